package suite

import (
	"errors"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/suite/fixture"
)

// TestSetThatFailsIsCompiledOnce: what stands in a fixture's resources later is no matter.
func TestSetThatFailsIsCompiledOnce(t *testing.T) {
	t.Parallel()
	found, err := prepared(t, unpacked(t, manyCases(1))).load()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStage(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	file := &fixture.File{Path: "broken_test.yaml", Resources: []fixture.Manifest{{Origin: "broken_test.yaml", Text: "kind: ["}}}
	engine, first := s.engine(t.Context(), file, fixture.Config{})
	if engine != nil || first == nil {
		t.Fatalf("got %v and %v, want an error", engine, first)
	}
	file.Resources[0].Text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"
	if engine, again := s.engine(t.Context(), file, fixture.Config{}); engine != nil || !errors.Is(again, first) {
		t.Errorf("got %v and %v, want what it came to the first time: %v", engine, again, first)
	}
}
