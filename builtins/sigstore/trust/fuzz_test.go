package trust

import (
	"archive/tar"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/cip/pubkey"
)

// FuzzUnpack reads archives that anybody wrote: an error, or files within all bounds
// and below their root.
func FuzzUnpack(f *testing.F) {
	archive, err := sound(f).Archive("repository/")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(archive)
	f.Add(archive[:len(archive)/2])
	f.Add([]byte(nil))
	for _, header := range []tar.Header{
		{Name: "../timestamp.json"}, {Name: "/timestamp.json"}, {Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"},
		{Name: "timestamp.json", PAXRecords: map[string]string{"comment": "x"}, Format: tar.FormatPAX}, {Name: "d/", Typeflag: tar.TypeDir},
	} {
		f.Add(archiveOf(f, entry{Header: header}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := unpack(data)
		if err != nil {
			return
		}
		total := 0
		for name, content := range got {
			if path.IsAbs(name) || name != path.Clean(name) || name == ".." || strings.HasPrefix(name, "../") || len(name) > longestPath {
				t.Errorf("got the path %q", name)
			}
			if len(content) > mostFileBytes {
				t.Errorf("%q: got %d bytes", name, len(content))
			}
			total += len(content)
		}
		if total > mostUnpackedBytes || len(got) > mostEntries {
			t.Errorf("got %d bytes in %d files", total, len(got))
		}
		_, _ = got.repository()
	})
}

// FuzzRepository changes metadata of a sound repository: nothing that its key did
// not sign makes another root of it.
func FuzzRepository(f *testing.F) {
	m := sound(f)
	good, err := OpenArchive(m.resource(f, ""), clock())
	if err != nil {
		f.Fatal(err)
	}
	names := []string{"1.root.json", "2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"}
	for i, name := range names {
		f.Add(uint8(i), m.Files[name])
	}
	f.Add(uint8(0), []byte(`{"signatures": [], "signed": {}}`))
	f.Add(uint8(2), []byte(`{"signatures": null, "signed": {"_type": "timestamp", "meta": null}}`))
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		changed := altered(m, "no such file", nil)
		changed.Files[names[int(which)%len(names)]] = content
		all := files(changed.Files)
		client, err := all.open(m.Root, "targets")
		if err != nil {
			t.Fatal(err)
		}
		client.UnsafeSetRefTime(clock())
		if client.Refresh() != nil {
			return
		}
		root, err := FromRepository(client, "trusted_root.json")
		if want, _ := good.Serving(clock()); err == nil && root.Hash() != want.Hash() {
			t.Errorf("got another root")
		}
	})
}

// FuzzRoot starts from a root.json that anybody wrote.
func FuzzRoot(f *testing.F) {
	m := sound(f)
	r := m.resource(f, "")
	f.Add(r.Root)
	f.Add([]byte(`{"signatures": [], "signed": {"_type": "root", "roles": {}, "keys": {}}}`))
	f.Fuzz(func(t *testing.T, root []byte) {
		changed := r
		changed.Root = root
		archive, err := OpenArchive(changed, clock())
		if err == nil && archive.root == nil {
			t.Error("got neither a root nor an error")
		}
	})
}

// FuzzParseCA reads what a policy may hold as ca-cert: an error, or an authority
// that issued nothing to anybody.
func FuzzParseCA(f *testing.F) {
	parsed, err := cip.Parse(trustRootOf(f))
	if err != nil {
		f.Fatal(err)
	}
	keys := parsed.TrustRoots[0].Spec.SigstoreKeys
	chain := keys.CertificateAuthorities[0].CertChain
	f.Add(chain)
	f.Add(keys.TLogs[0].PublicKey)
	f.Add(append(append([]byte{}, chain...), keys.TLogs[0].PublicKey...))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	certificates, err := ParseCertificates(chain, pubkey.MostCertificates)
	if err != nil {
		f.Fatal(err)
	}
	stranger, err := cip.Parse(trustRootOf(f))
	if err != nil {
		f.Fatal(err)
	}
	others, err := ParseCertificates(stranger.TrustRoots[0].Spec.SigstoreKeys.CertificateAuthorities[0].CertChain, pubkey.MostCertificates)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ca, err := ParseCA(data)
		if err != nil {
			return
		}
		if len(ca.roots) == 0 && ca.key == nil {
			t.Fatal("got an authority of nothing")
		}
		_, _ = ca.Verify(certificates[0], clock())
		if _, err := ca.With(certificates).Verify(others[0], clock().Add(time.Hour)); err == nil {
			t.Error("got a stranger's certificate verified")
		}
	})
}
