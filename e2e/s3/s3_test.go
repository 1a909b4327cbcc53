package s3_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/s3"
)

func TestItsAccountAlone(t *testing.T) {
	t.Parallel()
	s := s3.Start(t)
	if err := s.Bucket(t.Context(), "bundles"); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "bundles/a/b", []byte("content")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), "bundles/a/b"); err != nil || string(got) != "content" {
		t.Errorf("got %q and %v, want what was put", got, err)
	}
	if got, err := s.List(t.Context(), "bundles"); err != nil || !slices.Equal(got, []string{"a/b"}) {
		t.Errorf("got keys %q and %v, want the one that was put", got, err)
	}
	stranger := *s
	stranger.SecretKey = "guess"
	if _, err := stranger.Get(t.Context(), "bundles/a/b"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("another key: got %v, want 403", err)
	}
}
