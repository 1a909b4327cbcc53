package artifact_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/artifact"
)

func TestLayout(t *testing.T) {
	t.Parallel()
	content, dir := bundle(t, "7"), filepath.Join(t.TempDir(), "layout")
	image := made(t, content, "7")
	if err := artifact.WriteLayout(dir, image); err != nil {
		t.Fatal(err)
	}
	got, read, err := artifact.ReadLayout(dir, artifact.MaxBytes)
	if err != nil || !bytes.Equal(read, content) {
		t.Fatalf("got %d bytes, %v, want %d", len(read), err, len(content))
	}
	want, _ := image.Digest()
	if digest, err := got.Digest(); err != nil || digest != want {
		t.Errorf("got %s, %v, want %s", digest, err, want)
	}
	if err := artifact.WriteLayout(dir, image); err == nil || !strings.Contains(err.Error(), "want an empty one") {
		t.Errorf("got %v, want what is there left alone", err)
	}
	if _, _, err := artifact.ReadLayout(dir, int64(len(content))-1); !errors.Is(err, oci.TooLarge) {
		t.Errorf("got %v, want %s", err, oci.TooLarge)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil || len(blobs) != 3 {
		t.Fatalf("got %q, %v, want three blobs", blobs, err)
	}
	for _, blob := range blobs {
		before, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(before, []byte("rootfs")) {
			continue // the config file says nothing: a registry checks it
		}
		if err := os.WriteFile(blob, append([]byte(" "), before[:len(before)-1]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := artifact.ReadLayout(dir, artifact.MaxBytes); err == nil {
			t.Errorf("%s: got a layout that was changed, want it refused", blob)
		}
		if err := os.WriteFile(blob, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := artifact.ReadLayout(t.TempDir(), artifact.MaxBytes); err == nil {
		t.Error("got a layout out of an empty directory")
	}
}
