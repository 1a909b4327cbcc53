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

// TestConformanceImagesUnderTrustRoots judges real images of a private Sigstore with
// its root in each form that a TrustRoot has.
func TestConformanceImagesUnderTrustRoots(t *testing.T) {
	data := conformanceData(t)
	const name = "conforma-private-sigstore-2026-05"
	archive, err := trust.OpenArchive(realRepository(t, data, name), measuredAt())
	if err != nil {
		t.Fatal(err)
	}
	repository, _ := archive.Serving(measuredAt())
	image := readLayout(t, filepath.Join(data, "images"), name)
	a := withLog(withTrustRoot(cip.Authority{SignatureFormat: cip.FormatLegacy, Keyless: &cip.KeylessRef{Identities: []cip.Identity{{
		Issuer: "https://kubernetes.default.svc.cluster.local", Subject: "https://kubernetes.io/namespaces/default/serviceaccounts/default",
	}}}}))
	a.CTLog = &cip.TLog{TrustRootRef: "world"}
	for kind, test := range map[string]struct {
		root *trust.Root
		want Code
	}{
		"TR-1: repository":                       {repository, ""},
		"TR-3: sigstoreKeys":                     {keysOf(t, data, name), ""},
		"TR-3: the sigstoreKeys of another year": {keysOf(t, data, "conforma-private-sigstore-2024-11"), TLog},
	} {
		t.Run(kind, func(t *testing.T) {
			c, refusal := NewCheck(a, trust.Roots{Named: map[string]*trust.Root{"world": test.root}}, Options{Now: measuredAt()})
			if refusal != nil {
				t.Fatal(refusal)
			}
			digest := "sha256:bb2863eb5a15ce3551748cd6aecd40db02c96c0276ae062354b415ad37330fee"
			if _, refusal := c.Signatures(digest, []Evidence{{FormatLegacy, image.signatures}}); codeOf(refusal) != test.want {
				t.Errorf("signature: got %v, want code %q", refusal, test.want)
			}
			if _, refusal := c.Attestations(digest, []Evidence{{FormatLegacy, image.attestations}}); codeOf(refusal) != test.want {
				t.Errorf("attestation: got %v, want code %q", refusal, test.want)
			}
		})
	}
}

// keysOf is the TrustRoot resource of a real Sigstore.
func keysOf(t testing.TB, data, name string) *trust.Root {
	t.Helper()
	parsed, err := cip.Parse(readFile(t, data, "trust/trustroots", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := trust.FromKeys(parsed.TrustRoots[0].Spec.SigstoreKeys)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestConformanceTrustRoots makes a root of every valid TrustRoot resource.
func TestConformanceTrustRoots(t *testing.T) {
	data := conformanceData(t)
	count := 0
	for _, pattern := range []string{"policies/valid/*.yaml", "trust/trustroots/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := cip.Parse(readFile(t, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, resource := range parsed.TrustRoots {
				count++
				if _, err := trust.FromKeys(resource.Spec.SigstoreKeys); err != nil {
					t.Errorf("TR-3: %s: %v", filepath.Base(file), err)
				}
			}
		}
	}
	if count < 6 {
		t.Errorf("got %d TrustRoots, want at least 6", count)
	}
}
