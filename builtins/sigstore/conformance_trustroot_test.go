package sigstore

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// realRepository is a TUF repository on disk as a TrustRoot carries it.
func realRepository(t testing.TB, data, name string) cip.Repository {
	t.Helper()
	dir := filepath.Join(data, "trust", name, "tuf-repository")
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	if err := archive.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return cip.Repository{
		Root: readFile(t, dir, "root.json"), MirrorFS: out.Bytes(), Targets: "targets", TrustedRootTarget: "trusted_root.json",
	}
}

// TestConformanceTrustRootRepository reads real repositories of private Sigstores.
func TestConformanceTrustRootRepository(t *testing.T) {
	data := conformanceData(t)
	t.Run("TR-1: a repository that is valid until 2036", func(t *testing.T) {
		r := realRepository(t, data, "conforma-private-sigstore-2026-05")
		archive, err := trust.OpenArchive(r, measuredAt())
		if err != nil {
			t.Fatal(err)
		}
		got, cause := archive.Serving(measuredAt())
		want, err := trust.Parse(readFile(t, data, "trust/conforma-private-sigstore-2026-05/trusted_root.json"))
		if err != nil || got == nil {
			t.Fatal(err, cause)
		}
		if got.Hash() != want.Hash() {
			t.Errorf("got another root, want the trusted_root.json beside the repository")
		}
	})
	t.Run("TR-5: the same repository by its usages", func(t *testing.T) {
		r := realRepository(t, data, "conforma-private-sigstore-2026-05")
		r.TrustedRootTarget = "not-there.json"
		archive, err := trust.OpenArchive(r, measuredAt())
		if err != nil {
			t.Fatal(err)
		}
		root, _ := archive.Serving(measuredAt())
		m := root.Material()
		if len(root.Authorities()) == 0 || len(m.CTLogs()) == 0 || len(m.RekorLogs()) == 0 {
			t.Errorf("got %d authorities, %d CT logs, %d logs, want some of each", len(root.Authorities()), len(m.CTLogs()), len(m.RekorLogs()))
		}
	})
	t.Run("TR-1: a repository that has expired says what and when", func(t *testing.T) {
		r := realRepository(t, data, "conforma-private-sigstore-2025-05")
		_, err := trust.OpenArchive(r, measuredAt())
		if err == nil || !strings.Contains(err.Error(), ".json expired at 2025-") {
			t.Fatalf("got %v, want what expired in 2025", err)
		}
		t.Log(err)
		if _, err := trust.OpenArchive(r, time.Date(2025, 5, 20, 0, 0, 0, 0, time.UTC)); err != nil {
			t.Errorf("when it was made: got %v, want a root", err)
		}
	})
}
