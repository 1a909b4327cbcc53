package oci_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
)

// TestRealLayouts serves each real OCI layout as a repository and reads all of its evidence.
func TestRealLayouts(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: no real layouts to read")
	}
	layouts := 0
	err := filepath.WalkDir(filepath.Join(data, "images"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "index.json" {
			layouts++
			readLayout(t, filepath.Dir(path))
		}
		return err
	})
	if err != nil || layouts == 0 {
		t.Errorf("got %d layouts and error %v, want some", layouts, err)
	}
	t.Logf("read %d layouts", layouts)
}

func readLayout(t *testing.T, dir string) {
	t.Helper()
	var index man
	if err := json.Unmarshal(readFile(t, filepath.Join(dir, "index.json")), &index); err != nil {
		t.Fatal(err)
	}
	subject := "sha256:" + strings.Repeat("0", 64) // any: the evidence is served for whatever digest is asked about
	of := map[string][]desc{}
	for _, d := range index.Manifests {
		kind := d.Annotations["kind"]
		of[kind] = append(of[kind], d)
	}
	blob := func(digest string) string {
		return filepath.Join(dir, "blobs", strings.Replace(digest, ":", "/", 1))
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := strings.Split(r.URL.Path, "/")
		last := at[len(at)-1]
		sigs, atts := of["dev.cosignproject.cosign/sigs"], of["dev.cosignproject.cosign/atts"]
		switch {
		case r.URL.Path == "/v2/":
		case at[len(at)-2] == "referrers":
			writeIndex(w, of["dev.sigstore.bundle"]...)
		case strings.HasSuffix(last, ".sig") && len(sigs) > 0:
			http.ServeFile(w, r, blob(sigs[0].Digest))
		case strings.HasSuffix(last, ".att") && len(atts) > 0:
			http.ServeFile(w, r, blob(atts[0].Digest))
		default:
			http.ServeFile(w, r, blob(last))
		}
	}))
	defer s.Close()
	ref := strings.TrimPrefix(s.URL, "http://") + "/layout@" + subject
	for _, d := range of["dev.cosignproject.cosign/image"] {
		configs, err := newClient(t).Configs(t.Context(), anonymous, strings.TrimPrefix(s.URL, "http://")+"/layout@"+d.Digest)
		if errors.Is(err, oci.NotFound) {
			continue // a layout without the image, or without its config file
		}
		if err != nil || len(configs) != 1 {
			t.Errorf("IN-4: %s: got %d config files and %v, want one", filepath.Base(dir), len(configs), err)
		}
		for platform := range configs {
			t.Logf("%s runs on %s", filepath.Base(dir), platform)
		}
		paths := []string{"etc/passwd", "etc/os-release", "usr/lib/os-release", "etc/ssl/certs/ca-certificates.crt"}
		files, err := newClient(t).Files(t.Context(), anonymous, strings.TrimPrefix(s.URL, "http://")+"/layout@"+d.Digest, paths)
		if errors.Is(err, oci.NotFound) {
			continue // a layout without layers
		}
		if n := len(files.Text) + len(files.Links) + len(files.Missing) + len(files.Unreadable); err != nil || n != len(paths) {
			t.Errorf("%s: got files %+v and %v, want each path once", filepath.Base(dir), files, err)
		}
		for path, text := range files.Text {
			t.Logf("%s has %d bytes at %s", filepath.Base(dir), len(text), path)
		}
	}
	got, want := 0, 0
	for name, call := range calls(newClient(t)) {
		l, err := call(t.Context(), anonymous, ref)
		if err != nil {
			t.Errorf("%s: %s: %v", filepath.Base(dir), name, err)
		}
		for _, layer := range l.Layers {
			switch {
			case layer.Err == nil:
				got++
			case !errors.Is(layer.Err, oci.DigestMismatch), !broken(t, dir):
				t.Errorf("%s: %s: %v", filepath.Base(dir), name, layer.Err)
			}
		}
	}
	for _, d := range slices.Concat(of["dev.cosignproject.cosign/sigs"], of["dev.cosignproject.cosign/atts"], of["dev.sigstore.bundle"]) {
		var m man
		if err := json.Unmarshal(readFile(t, blob(d.Digest)), &m); err != nil {
			t.Fatal(err)
		}
		want += len(m.Layers)
	}
	if (got != want) != broken(t, dir) {
		t.Errorf("%s: got %d layers, want the %d of an intact layout", filepath.Base(dir), got, want)
	}
}

// broken reports whether a layout holds a blob that is not named by its digest.
func broken(t *testing.T, dir string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		return describe("", readFile(t, file)).Digest != "sha256:"+filepath.Base(file)
	})
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
