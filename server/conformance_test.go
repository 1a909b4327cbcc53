package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReviewsOfOtherProjects(t *testing.T) {
	t.Parallel()
	root := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if root == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: it names the folder of conformance data")
	}
	names, err := filepath.Glob(filepath.Join(root, "admission", "*_*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("got %d reviews (%v), want some", len(names), err)
	}
	s, err := New(plainConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := 200
		if strings.Contains(name, "broken_") {
			want = 400
		}
		for _, path := range []string{"/validate", "/mutate"} {
			if got := handle(s, path, string(body)); got.Code != want {
				t.Errorf("%s %s: got %d %s, want %d", path, filepath.Base(name), got.Code, got.Body, want)
			}
		}
	}
}
