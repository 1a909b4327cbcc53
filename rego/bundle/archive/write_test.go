package archive_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/assay-dev/assay/rego/bundle/archive"
)

func names(a *archive.Archive) []string { return slices.Sorted(maps.Keys(a.Files)) }

func ours() *archive.Archive {
	return &archive.Archive{
		Manifest: bundle.Manifest{Revision: "7", Roots: &[]string{"policies/a", "resources/ClusterImagePolicy/x"}},
		About: archive.About{
			Format: archive.Format, BuiltBy: "assay test", Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
			Requires: archive.Requires{Builtins: []string{"cosign.verify", "oci.parse"}},
		},
		Files: map[string][]byte{
			"a/p.rego":      []byte(module),
			"a/p_test.rego": []byte("package policies.a_test\n"),
			"resources/ClusterImagePolicy/x/data.json": []byte(`{"kind": "ClusterImagePolicy", "metadata": {"name": "x"}}`),
		},
	}
}

func written(t testing.TB, a *archive.Archive) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := archive.Write(&out, a); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(t testing.TB, data []byte) *archive.Archive {
	t.Helper()
	out, err := archive.Read(data, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWritesWhatItReads(t *testing.T) {
	t.Parallel()
	a := ours()
	delete(a.Files, "a/p_test.rego")
	first := written(t, a)
	if !bytes.Equal(first, written(t, a)) {
		t.Error("got other bytes of the same content")
	}
	got := read(t, first)
	if diff := cmp.Diff(a.Files, got.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	want := a.About
	want.Set = a.Set()
	if diff := cmp.Diff(want, got.About); diff != "" {
		t.Errorf("metadata.assay (-want +got):\n%s", diff)
	}
	if !bytes.Equal(first, written(t, got)) {
		t.Error("got other bytes of what was read, want the same")
	}
}

func TestWriteRefusesWhatReadWould(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"../p.rego": "leads out", "policy.yaml": "nobody reads", ".manifest.pb": "another manifest", "b/data.json": "below the roots",
	} {
		a := ours()
		delete(a.Files, "a/p_test.rego")
		a.Files[name] = []byte(`{}`)
		if err := archive.Write(&bytes.Buffer{}, a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	if err := archive.Write(&bytes.Buffer{}, ours()); err == nil { // policies.a_test is not below policies/a
		t.Error("got a bundle with a package outside its roots")
	}
}

func TestSetIsOfTheContentAlone(t *testing.T) {
	t.Parallel()
	set := ours().Set()
	for _, tt := range []struct {
		name   string
		change func(*archive.Archive)
		same   bool
	}{
		{"revision", func(a *archive.Archive) { a.Manifest.Revision = "8" }, true},
		{"expiry", func(a *archive.Archive) { a.About.Expires = time.Time{} }, true},
		{"order of roots", func(a *archive.Archive) { slices.Reverse(*a.Manifest.Roots) }, true},
		{"roots", func(a *archive.Archive) { *a.Manifest.Roots = (*a.Manifest.Roots)[:1] }, false},
		{"version of Rego", func(a *archive.Archive) { a.Manifest.RegoVersion = new(int) }, false},
		{"a byte", func(a *archive.Archive) { a.Files["a/p.rego"] = []byte(module + " ") }, false},
		{"a path", func(a *archive.Archive) { a.Files["b/p.rego"] = a.Files["a/p.rego"]; delete(a.Files, "a/p.rego") }, false},
	} {
		a := ours()
		tt.change(a)
		if got := a.Set() == set; got != tt.same {
			t.Errorf("%s: same set: got %t, want %t", tt.name, got, tt.same)
		}
	}
}

func TestOPAReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	a := ours()
	delete(a.Files, "a/p_test.rego")
	got, err := bundle.NewReader(bytes.NewReader(written(t, a))).WithLazyLoadingMode(false).Read()
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Modules) != 1 || got.Manifest.Revision != "7" {
		t.Errorf("got %d modules of revision %s, want 1 of 7", len(got.Modules), got.Manifest.Revision)
	}
	want := map[string]any{"resources": map[string]any{"ClusterImagePolicy": map[string]any{"x": map[string]any{
		"kind": "ClusterImagePolicy", "metadata": map[string]any{"name": "x"},
	}}}}
	if diff := cmp.Diff(want, got.Data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

func TestReadsWhatOPAWrites(t *testing.T) {
	t.Parallel()
	manifest := bundle.Manifest{Revision: "1", Roots: &[]string{"a"}}
	manifest.SetRegoVersion(1)
	b := bundle.Bundle{
		Manifest: manifest,
		Data:     map[string]any{"a": map[string]any{"x": json.Number("1")}},
		Modules:  []bundle.ModuleFile{{URL: "/p.rego", Path: "/p.rego", Raw: []byte("package a.b\n")}},
	}
	key, public := keys(t)
	if err := b.GenerateSignature(bundle.NewSigningConfig(key, "ES256", ""), "k", true); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := bundle.NewWriter(&out).UseModulePath(true).DisableFormat(true).Write(b); err != nil {
		t.Fatal(err)
	}
	got := read(t, out.Bytes())
	if !got.Signed {
		t.Fatal("got a bundle without its signature")
	}
	if err := got.Verify(config("k", public)); err != nil {
		t.Error(err)
	}
}

// keys are a key of ES256 and its public one.
func keys(t testing.TB) (private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("PRIVATE KEY", der), encode("PUBLIC KEY", pub)
}

func config(id, public string) *bundle.VerificationConfig {
	key := &bundle.KeyConfig{Key: public, Algorithm: "ES256"}
	return bundle.NewVerificationConfig(map[string]*bundle.KeyConfig{id: key}, id, "", nil)
}

func TestSignsAsOPAVerifies(t *testing.T) {
	t.Parallel()
	a := ours()
	delete(a.Files, "a/p_test.rego")
	key, public := keys(t)
	_, other := keys(t)
	signed, err := a.Sign(bundle.NewSigningConfig(key, "ES256", ""), "k")
	if err != nil {
		t.Fatal(err)
	}
	data := written(t, signed)
	got := read(t, data)
	if err := got.Verify(config("k", public)); err != nil {
		t.Error(err)
	}
	if err := got.Verify(config("k", other)); err == nil {
		t.Error("got a signature by another key verified")
	}
	if err := a.Verify(config("k", public)); err == nil {
		t.Error("got a bundle without a signature verified")
	}
	if _, err := bundle.NewReader(bytes.NewReader(data)).WithBundleVerificationConfig(config("k", public)).Read(); err != nil {
		t.Errorf("OPA: %v", err)
	}
	if _, err := bundle.NewReader(bytes.NewReader(data)).WithBundleVerificationConfig(config("k", other)).Read(); err == nil {
		t.Error("OPA: got a signature by another key verified")
	}
}

// jws is a signature of nobody that lists files.
func jws(t testing.TB, plugin string, files ...bundle.FileInfo) file {
	t.Helper()
	payload, err := json.Marshal(map[string]any{"files": files})
	if err != nil {
		t.Fatal(err)
	}
	token := "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".e30"
	text, err := json.Marshal(bundle.SignaturesConfig{Signatures: []string{token}, Plugin: plugin})
	if err != nil {
		t.Fatal(err)
	}
	return plain(".signatures.json", string(text))
}

func TestReadHoldsFilesToTheSignature(t *testing.T) {
	t.Parallel()
	info := func(name, algorithm string, value any) bundle.FileInfo {
		hasher, err := bundle.NewSignatureHasher(bundle.HashingAlgorithm(algorithm))
		if err != nil {
			t.Fatal(err)
		}
		sum, err := hasher.HashFile(value)
		if err != nil {
			t.Fatal(err)
		}
		return bundle.NewFile(name, hexed(sum), algorithm)
	}
	var m any
	if err := json.Unmarshal([]byte(roots), &m); err != nil {
		t.Fatal(err)
	}
	mine, policy := info(".manifest", "SHA-256", m), info("p.rego", "SHA-256", []byte(module))
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"a file that is not listed", made(t, plain("p.rego", module), jws(t, "", mine)), `"p.rego": the signature does not list it`},
		{"a manifest that is not listed", made(t, plain("p.rego", module), jws(t, "", policy)), `".manifest": the signature does not list it`},
		{"a listed file that is absent", made(t, jws(t, "", mine, policy)), "the bundle does not have it"},
		{"a file that was changed", made(t, plain("p.rego", module+"# changed"), jws(t, "", mine, policy)), "digest mismatch"},
		{"a digest that can be forged", made(t, plain("p.rego", module), jws(t, "", mine, info("p.rego", "MD5", []byte(module)))), `by "MD5"`},
		{"a file that is listed twice", made(t, plain("p.rego", module), jws(t, "", mine, policy, policy)), "twice"},
		{"a file that is listed in two ways", made(t, plain("p.rego", module), jws(t, "", mine, policy, info("/p.rego", "SHA-256", []byte(module)))), "each once"},
		{"a verifier that the bundle names", made(t, plain("p.rego", module), jws(t, "lenient", mine, policy)), `plugin: got "lenient"`},
		{"no signature", made(t, plain(".signatures.json", `{"signatures": []}`)), "signatures: got 0, want one"},
		{"two signatures", made(t, plain(".signatures.json", `{"signatures": ["a.b.c", "a.b.c"]}`)), "signatures: got 2"},
		{"no JWS", made(t, plain(".signatures.json", `{"signatures": ["a"]}`)), "three parts"},
		{"no payload", made(t, plain(".signatures.json", `{"signatures": ["a.*.c"]}`)), "payload"},
		{"an unknown field", made(t, plain(".signatures.json", `{"signature": ["a"]}`)), "unknown field"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.data, archive.Limits{}, tt.want)
		})
	}
	if got := read(t, made(t, plain("p.rego", module), jws(t, "", mine, policy))); !got.Signed {
		t.Error("got no signature")
	} else if err := got.Verify(config("k", "")); err == nil {
		t.Error("got a signature of nobody verified")
	}
}

func FuzzRead(f *testing.F) {
	a := ours()
	delete(a.Files, "a/p_test.rego")
	f.Add(written(f, a))
	f.Add(made(f, plain("/p.rego", module), plain("/data.json", `{"a": {"x": 1}}`)))
	f.Add(made(f, plain("patch.json", `{"data": [{"op": "remove", "path": "/a/b"}]}`)))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := archive.Read(data, archive.Limits{Compressed: 1 << 16, Expanded: 1 << 20, Files: 100})
		if err == nil {
			holds(t, got)
		}
	})
}

// FuzzReadFiles has the fuzzer choose names and texts, not the bytes of gzip.
func FuzzReadFiles(f *testing.F) {
	f.Add("p.rego", module, "a/data.json", `{"x": 1}`, roots)
	f.Add("/a/../p.rego", module, ".a/data.json", `{}`, `{"roots": ["a", "cip"]}`)
	f.Add("patch.json", `{"data": [{"op": "remove", "path": "/a/b"}]}`, "a/data.yaml", "x: &a [*a]", `{"roots": ["%61"]}`)
	f.Fuzz(func(t *testing.T, one, text, other, document, manifest string) {
		var out bytes.Buffer
		if err := tarTo(&out, plain(".manifest", manifest), plain(one, text), plain(other, document)); err != nil {
			t.Skip(err)
		}
		got, err := archive.Read(zipped(t, out.Bytes()), archive.Limits{Expanded: 1 << 20})
		if err == nil {
			holds(t, got)
		}
	})
}

// holds checks what is true of every bundle that Read admits: OPA reads it too, and sees
// nothing outside its roots.
func holds(t *testing.T, a *archive.Archive) {
	t.Helper()
	if err := archive.Reserved(*a.Manifest.Roots); err != nil || len(*a.Manifest.Roots) == 0 {
		t.Errorf("got the roots %q, want none that is reserved", *a.Manifest.Roots)
	}
	if a.Signed {
		return // who signs may list other forms of the manifest
	}
	var out bytes.Buffer
	if err := archive.Write(&out, a); err != nil {
		t.Fatalf("got a bundle that cannot be written: %v", err)
	}
	read(t, out.Bytes())
	got, err := bundle.NewReader(&out).WithLazyLoadingMode(false).Read()
	if err != nil {
		t.Fatalf("got a bundle that OPA refuses: %v", err)
	}
	for name := range got.Data {
		if slices.Contains([]string{"assay", "cip", "cip_index", "sigstore", "system"}, name) {
			t.Errorf("got data of the product: %s", name)
		}
	}
}

// BenchmarkRead reads a bundle of a thousand ClusterImagePolicies.
func BenchmarkRead(b *testing.B) {
	a := &archive.Archive{
		Manifest: bundle.Manifest{Revision: "1", Roots: &[]string{}},
		About:    archive.About{Format: archive.Format}, Files: map[string][]byte{},
	}
	for i := range 1000 {
		name := fmt.Sprintf("policy-%d", i)
		root := "resources/ClusterImagePolicy/" + name
		*a.Manifest.Roots = append(*a.Manifest.Roots, root)
		a.Files[root+"/data.json"] = fmt.Appendf(nil, `{"apiVersion":"policy.sigstore.dev/v1beta1","kind":"ClusterImagePolicy","metadata":{"name":%q},`+
			`"spec":{"authorities":[{"keyless":{"identities":[{"issuer":"https://issuer.example","subject":"release-%d@acme.example"}]}}],"images":[{"glob":"ghcr.io/acme/app-%d**"}]}}`, name, i, i)
	}
	data := written(b, a)
	b.ReportMetric(float64(len(data)), "bytes")
	b.ReportAllocs()
	for b.Loop() {
		read(b, data)
	}
}
