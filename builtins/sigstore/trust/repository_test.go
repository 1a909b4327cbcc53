package trust

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world/sigstore"
	"github.com/assay-dev/assay/world/tuf"
)

func TestArchiveServes(t *testing.T) {
	t.Parallel()
	for name, prefix := range map[string]string{
		"TR-1: an archive made within the repository":              "",
		"TR-1: an archive made within the repository with dots":    "./",
		"TR-1: an archive made of the directory of the repository": "repository/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive, err := OpenArchive(sound(t).resource(t, prefix), clock())
			if err != nil {
				t.Fatal(err)
			}
			root, cause := archive.Serving(clock())
			if root == nil || len(root.Material().RekorLogs()) != 2 || len(root.Authorities()) != 1 {
				t.Errorf("got %v, %q, want the root of the world", root, cause)
			}
		})
	}
	t.Run("TR-4: another directory and another target", func(t *testing.T) {
		t.Parallel()
		m := mint(t, map[string][]byte{"own.json": trustedRoot(t)}, nil, nil)
		for name, content := range m.Files {
			if below, ok := strings.CutPrefix(name, "targets/"); ok {
				m.Files["deep/down/"+below] = content
				delete(m.Files, name)
			}
		}
		r := m.resource(t, "")
		r.Targets, r.TrustedRootTarget = "deep/down", "own.json"
		if _, err := OpenArchive(r, clock()); err != nil {
			t.Error(err)
		}
	})
	t.Run("TR-9: a large file is read whole", func(t *testing.T) {
		t.Parallel()
		root := append(trustedRoot(t), bytes.Repeat([]byte(" "), 1<<20)...)
		m := mint(t, map[string][]byte{"trusted_root.json": root}, nil, nil)
		if _, err := OpenArchive(m.resource(t, ""), clock()); err != nil {
			t.Error(err)
		}
	})
}

// TestArchiveEndsWithItsMetadata: TR-1 has no newer metadata to be had, so that the
// root ends when the first role does, while it serves and at the next start alike.
func TestArchiveEndsWithItsMetadata(t *testing.T) {
	t.Parallel()
	for _, role := range []string{metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS} {
		t.Run("TR-1: "+role, func(t *testing.T) {
			t.Parallel()
			end := clock().Add(time.Hour)
			m := mint(t, map[string][]byte{"trusted_root.json": trustedRoot(t)}, nil, map[string]time.Time{role: end})
			r := m.resource(t, "")
			archive, err := OpenArchive(r, clock())
			if err != nil {
				t.Fatal(err)
			}
			want := role + ".json expired at " + end.Format(time.RFC3339)
			if root, cause := archive.Serving(end); root == nil {
				t.Errorf("at the end: got %q, want the root", cause)
			}
			if root, cause := archive.Serving(end.Add(time.Second)); root != nil || !strings.Contains(cause, want) {
				t.Errorf("after the end: got %v, %q, want %q", root, cause, want)
			}
			if _, err := OpenArchive(r, end.Add(time.Second)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("read after the end: got %v, want %q", err, want)
			}
		})
	}
}

func TestArchiveRefuses(t *testing.T) {
	t.Parallel()
	m := sound(t)
	good := m.resource(t, "")
	file := func(name string) entry { return entry{tar.Header{Name: name}, []byte("{}")} }
	with := func(entries ...entry) []byte { return archiveOf(t, entries...) }
	stranger := sound(t)
	many := make([]entry, mostEntries+1)
	for i := range many {
		many[i] = file(fmt.Sprint("f", i))
	}
	large := make([]entry, 5)
	for i := range large {
		large[i] = entry{tar.Header{Name: fmt.Sprint("f", i)}, make([]byte, mostFileBytes)}
	}
	for name, test := range map[string]struct {
		archive []byte
		want    string
	}{
		"TR-7: no gzip":                    {[]byte("not gzip at all"), "failed to uncompress: gzip: invalid header"},
		"TR-7: no archive":                 {gzipped(t, []byte(strings.Repeat("x", 2048))), "archive: "},
		"TR-9: cut off":                    {good.MirrorFS[:len(good.MirrorFS)/2], "unexpected EOF"},
		"TR-9: cut off in the checksum":    {good.MirrorFS[:len(good.MirrorFS)-4], "unexpected EOF"},
		"nothing in it":                    {with(), "got 0 files timestamp.json"},
		"two repositories":                 {with(file("a/timestamp.json"), file("b/timestamp.json")), "got 2 files timestamp.json"},
		"a path that leads up":             {with(file("../timestamp.json")), "leads out of the archive"},
		"a path that leads up and back":    {with(file("a/../timestamp.json")), "leads out of the archive"},
		"an absolute path":                 {with(file("/timestamp.json")), "leads out of the archive"},
		"a path of another system":         {with(file(`..\timestamp.json`)), "leads out of the archive"},
		"a long path":                      {with(file(strings.Repeat("a", longestPath+1))), "path: got 513 bytes"},
		"a symbolic link":                  {with(entry{tar.Header{Name: "timestamp.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, nil}), "type '2'"},
		"a hard link":                      {with(entry{tar.Header{Name: "timestamp.json", Typeflag: tar.TypeLink, Linkname: "a"}, nil}), "type '1'"},
		"a device":                         {with(entry{tar.Header{Name: "timestamp.json", Typeflag: tar.TypeChar}, nil}), "type '3'"},
		"a file twice":                     {with(file("a"), file("./a")), "the file stands twice"},
		"a file that is too large":         {with(entry{tar.Header{Name: "a"}, make([]byte, mostFileBytes+1)}), "got 8388609 bytes"},
		"a bomb of many bytes":             {with(large...), "got more than 33554432 bytes unpacked"},
		"a bomb of holes":                  {sparse(t, 100), "got a sparse file, want whole ones"},
		"a bomb behind the end":            {gzipped(t, append(make([]byte, 1024), make([]byte, mostUnpackedBytes)...)), "got more than 33554432 bytes unpacked"},
		"too many entries":                 {with(many...), "got more than 2000 entries"},
		"an archive that is too large":     {make([]byte, mostArchiveBytes+1), "got 4194305 bytes"},
		"metadata of a stranger":           {stranger.resource(t, "").MirrorFS, "not enough signatures"},
		"metadata that is not JSON":        {with(file("timestamp.json")), "spec.repository: "},
		"a target that is not the one":     {altered(m, "targets/", []byte("{}")).resource(t, "").MirrorFS, "target trusted_root.json: "},
		"a target that is not there":       {altered(m, "targets/", nil).resource(t, "").MirrorFS, "target trusted_root.json: "},
		"a trusted root that is none":      {mintWith(t, m, []byte("[]")).MirrorFS, "not enough signatures"},
		"metadata that no snapshot has":    {altered(m, "1.snapshot.json", nil).resource(t, "").MirrorFS, "spec.repository: "},
		"an entry of nothing but a header": {gzipped(t, append([]byte("timestamp.json"), make([]byte, 498)...)), "archive: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := good
			r.MirrorFS = test.archive
			if got, err := OpenArchive(r, clock()); got != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	for name, test := range map[string]struct {
		change func(*cip.Repository)
		want   string
	}{
		"TR-7: root.json that is none": {func(r *cip.Repository) { r.Root = []byte("{}") }, "spec.repository.root: "},
		"TR-4: targets outside":        {func(r *cip.Repository) { r.Targets = "../targets" }, "spec.repository.targets: "},
		"TR-4: targets elsewhere":      {func(r *cip.Repository) { r.Targets = "elsewhere" }, "target trusted_root.json: "},
		"TR-5: a target that is not named, and no usages": {func(r *cip.Repository) { r.TrustedRootTarget = "other.json" },
			"target other.json not found, and by the usages of the targets: no certificate authorities found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := good
			test.change(&r)
			if got, err := OpenArchive(r, clock()); got != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// altered is a repository of which files with the prefix have other content, or none.
func altered(m minted, prefix string, content []byte) minted {
	out := minted{&tuf.Repository{Root: m.Root, Files: map[string][]byte{}}}
	for name, old := range m.Files {
		switch {
		case !strings.HasPrefix(name, prefix):
			out.Files[name] = old
		case content != nil:
			out.Files[name] = content
		}
	}
	return out
}

// mintWith is another repository under the first one's root.
func mintWith(t *testing.T, m minted, root []byte) cip.Repository {
	t.Helper()
	other := mint(t, map[string][]byte{"trusted_root.json": root}, nil, nil)
	other.Root = m.Root
	return other.resource(t, "")
}

// legacyTargets are the keys of a Sigstore as targets of their own, with usages.
func legacyTargets(t testing.TB) (targets map[string][]byte, custom map[string]string) {
	t.Helper()
	made, err := sigstore.New(clock())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := cip.Parse(made.TrustRoot("world"))
	if err != nil {
		t.Fatal(err)
	}
	keys := parsed.TrustRoots[0].Spec.SigstoreKeys
	intermediate, root := pem1(t, keys.CertificateAuthorities[0].CertChain)
	return map[string][]byte{
			"fulcio_intermediate.pem": intermediate, "fulcio.pem": root, "ctfe.pub": keys.CTLogs[0].PublicKey,
			"rekor.pub": keys.TLogs[0].PublicKey, "notes.txt": []byte("hello"),
		}, map[string]string{
			"fulcio_intermediate.pem": `{"sigstore": {"usage": "Fulcio", "status": "Active"}}`,
			"fulcio.pem":              `{"sigstore": {"usage": "Fulcio", "status": "Active", "uri": "https://fulcio.world.example"}}`,
			"ctfe.pub":                `{"sigstore": {"usage": "CTFE", "status": "Expired"}}`,
			"rekor.pub":               `{"sigstore": {"usage": "Rekor", "status": "Active"}}`,
			"notes.txt":               `{"sigstore": {"usage": "Notes"}}`,
		}
}

// pem1 parts a chain of two in its blocks.
func pem1(t testing.TB, chain []byte) (first, second []byte) {
	t.Helper()
	block, rest := pem.Decode(chain)
	if block == nil {
		t.Fatal("got no PEM")
	}
	return pem.EncodeToMemory(block), bytes.TrimSpace(rest)
}

func TestLegacyUsages(t *testing.T) {
	t.Parallel()
	targets, custom := legacyTargets(t)
	t.Run("TR-5: Fulcio, CTFE and Rekor by their usages, and no timestamp authority", func(t *testing.T) {
		t.Parallel()
		archive, err := OpenArchive(mint(t, targets, custom, nil).resource(t, ""), clock())
		if err != nil {
			t.Fatal(err)
		}
		root, _ := archive.Serving(clock())
		m := root.Material()
		if got := []int{len(root.Authorities()), len(m.CTLogs()), len(m.RekorLogs()), len(m.TimestampingAuthorities())}; fmt.Sprint(got) != "[1 1 1 0]" {
			t.Errorf("got %v authorities, CT logs, Rekor logs and timestamp authorities, want [1 1 1 0]", got)
		}
	})
	t.Run("TR-5: the trusted root comes first", func(t *testing.T) {
		t.Parallel()
		both := map[string][]byte{"trusted_root.json": trustedRoot(t)}
		for name, content := range targets {
			both[name] = content
		}
		archive, err := OpenArchive(mint(t, both, custom, nil).resource(t, ""), clock())
		if err != nil {
			t.Fatal(err)
		}
		if root, _ := archive.Serving(clock()); len(root.Material().TimestampingAuthorities()) != 1 {
			t.Error("got no timestamp authority, want that of trusted_root.json")
		}
	})
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	without := func(name string, content []byte) map[string][]byte {
		out := map[string][]byte{}
		for other, was := range targets {
			if out[other] = was; other == name {
				out[other] = content
			}
		}
		return out
	}
	for name, test := range map[string]struct {
		targets map[string][]byte
		custom  map[string]string
		want    string
	}{
		"TR-5: no CA": {targets, map[string]string{"rekor.pub": custom["rekor.pub"]}, "no certificate authorities found"},
		"TR-5: a Rekor key that is not ECDSA": {without("rekor.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), custom,
			"public key 0 is not ecdsa.PublicKey"},
		"TR-5: a Rekor key that is none": {without("rekor.pub", []byte("x")), custom, "public key 0: "},
		"TR-5: a CT key that is none":    {without("ctfe.pub", []byte("x")), custom, "spec.sigstoreKeys.ctLogs[0].publicKey: "},
		"TR-5: a CA that is none":        {without("fulcio.pem", []byte("x")), custom, "target fulcio.pem: certificates: got something that is not PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := OpenArchive(mint(t, test.targets, test.custom, nil).resource(t, ""), clock()); got != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	t.Run("TR-5: more keys than anybody has", func(t *testing.T) {
		t.Parallel()
		many, named := map[string][]byte{}, map[string]string{}
		for i := range mostKeys + 1 {
			name := fmt.Sprint(i, ".pub")
			many[name], named[name] = targets["rekor.pub"], custom["rekor.pub"]
		}
		if _, err := OpenArchive(mint(t, many, named, nil).resource(t, ""), clock()); err == nil || !strings.Contains(err.Error(), "more than 64 keys") {
			t.Errorf("got %v, want more than 64 keys", err)
		}
	})
}

// TestArchiveReadsNoFiles: the updater looks for metadata beside the program.
func TestArchiveReadsNoFiles(t *testing.T) {
	r := sound(t).resource(t, "")
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"timestamp.json", "snapshot.json", "targets.json"} {
		if err := os.WriteFile(name, []byte("not metadata"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenArchive(r, clock()); err != nil {
		t.Errorf("got %v, want what lies in the working directory left alone", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("got %v, %v, want nothing written", entries, err)
	}
}
