package tuf

import (
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/world/sigstore"
	"github.com/assay-dev/assay/world/tuf"
)

// TestRotatedRoot: a root that the one before vouches for is followed, once something is published
// by it. Until then nothing new is believed, and the last good root serves.
func TestRotatedRoot(t *testing.T) {
	t.Parallel()
	end := tuf.At(time.Now().Add(time.Hour))
	published, err := tuf.New(end, target(t))
	if err != nil {
		t.Fatal(err)
	}
	mirror := tuf.Serve(published)
	t.Cleanup(mirror.Close)
	r, err := New(Options{Mirror: mirror.URL, Root: mirror.Root, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, _ := r.Root()

	if err := published.Rotate(end); err != nil {
		t.Fatal(err)
	}
	if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "not enough signatures") {
		t.Errorf("nothing is published yet: got %v, want what the old key signed refused", err)
	}
	if between, cause := r.Root(); between == nil || between.Hash() != before.Hash() {
		t.Errorf("nothing is published yet: got %v, %q, want the last good root", between, cause)
	}
	if err := published.Publish(end, target(t)); err != nil {
		t.Fatal(err)
	}
	if err := r.Refresh(t.Context()); err != nil {
		t.Errorf("published: got %v, want it followed", err)
	}
	if after, cause := r.Root(); after == nil || after.Hash() == before.Hash() {
		t.Errorf("published: got %v, %q, want another root", after, cause)
	}
}

// target is the trusted root of a Sigstore that nobody else has.
func target(t *testing.T) tuf.Target {
	t.Helper()
	made, err := sigstore.New(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	content, err := made.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	return tuf.Target{Name: "trusted_root.json", Content: content}
}
