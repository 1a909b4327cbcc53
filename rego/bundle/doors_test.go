package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

// registryOf is a registry with one repository, p, in which the tag prod names a bundle.
type registryOf struct {
	*service
	layerType string
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// push has the tag name an image with those layers.
func (r registryOf) push(t testing.TB, layers ...[]byte) {
	t.Helper()
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
	}
	var manifest struct {
		SchemaVersion int          `json:"schemaVersion"`
		Layers        []descriptor `json:"layers"`
	}
	manifest.SchemaVersion = 2
	for _, layer := range layers {
		r.put("/v2/p/blobs/"+digestOf(layer), layer)
		manifest.Layers = append(manifest.Layers, descriptor{r.layerType, digestOf(layer), len(layer)})
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	r.pushManifest("prod", text)
}

func (r registryOf) pushManifest(tag string, text []byte) {
	r.put("/v2/p/manifests/"+digestOf(text), text)
	r.put("/v2/p/manifests/"+tag, text)
}

// newRegistry answers as registries do: with the digest of what it sends.
func newRegistry(t testing.TB) registryOf {
	t.Helper()
	r := registryOf{newService(t), "application/vnd.oci.image.layer.v1.tar+gzip"}
	r.answer(func(w http.ResponseWriter, request *http.Request) { r.as(w, request) })
	return r
}

func (r registryOf) as(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	body := r.bodies[request.URL.Path]
	r.mu.Unlock()
	if body == nil {
		http.NotFound(w, request)
		return
	}
	w.Header().Set("Docker-Content-Digest", digestOf(body))
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	if request.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// door is a way for a bundle to come in.
type door struct {
	config string
	put    func(t *testing.T, bundle []byte)
}

// unverified is a token that says something, and is signed by nobody.
func unverified(payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"HS256"}`)) + "." + encode([]byte(payload)) + "." + encode([]byte("x"))
}

// doors are all that a configuration has without --bundle-trust.
func doors(t *testing.T) map[string]door {
	t.Helper()
	registry, server := newRegistry(t), newService(t)
	file := filepath.Join(t.TempDir(), "main.tar.gz")
	return map[string]door{
		"a server": {
			"services: {s: {url: '" + server.URL + "'}}\nbundles: {a: {service: s, resource: a.tar.gz, trigger: manual}}\n",
			func(_ *testing.T, bundle []byte) { server.put("/a.tar.gz", bundle) },
		},
		"a registry": {ofRegistry(registry.URL, ""), func(t *testing.T, bundle []byte) { registry.push(t, bundle) }},
		"a file": {
			"bundles: {a: {resource: 'file://" + file + "', trigger: manual}}\n",
			func(t *testing.T, bundle []byte) {
				if err := os.WriteFile(file, bundle, 0o600); err != nil {
					t.Fatal(err)
				}
			},
		},
	}
}

func ofRegistry(url, more string) string {
	return "services: {s: {url: '" + url + "', type: oci" + more + "}}\nbundles: {a: {service: s, resource: 'elsewhere.example.com/p:prod', trigger: manual}}\n"
}

// packed is a tar in gzip.
func packed(t testing.TB, write func(*tar.Writer)) []byte {
	t.Helper()
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)
	write(archive)
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func with(entries ...tar.Header) func(*tar.Writer) {
	return func(to *tar.Writer) {
		const manifest = `{"revision": "2", "roots": ["x"]}`
		_ = to.WriteHeader(&tar.Header{Name: ".manifest", Size: int64(len(manifest)), Typeflag: tar.TypeReg, Mode: 0o600})
		_, _ = to.Write([]byte(manifest))
		for _, entry := range entries {
			_ = to.WriteHeader(&entry)
			_, _ = to.Write(bytes.Repeat([]byte(" "), int(entry.Size)))
		}
	}
}

// hostile are bundles that nobody takes, and what is said of each.
func hostile(t *testing.T) map[string]struct {
	bundle []byte
	want   string
} {
	t.Helper()
	regular := func(name string, size int64) tar.Header {
		return tar.Header{Name: name, Size: size, Typeflag: tar.TypeReg, Mode: 0o600}
	}
	many := make([]tar.Header, 101)
	for i := range many {
		many[i] = regular(fmt.Sprintf("x/%d.rego", i), 1)
	}
	signed := `{"signatures": ["` + unverified(`{"files": [{"name": ".manifest", "hash": "00", "algorithm": "SHA-256"}]}`) + `"]}`
	return map[string]struct {
		bundle []byte
		want   string
	}{
		"more than it may be packed": {append(make([]byte, 1<<20), 1), "1048576"},
		"a bomb":                     {packed(t, with(regular("x/data.json", 3<<20), regular("x/y/data.json", 3<<20))), "bundle too large"},
		"a file that is too large":   {packed(t, with(regular("x/data.json", archive.MaxFile+1))), "bundle too large"},
		"more files than there may":  {packed(t, with(many...)), "more than 100 files"},
		"a path that leads out":      {packed(t, with(regular("../../x/data.json", 2))), "../../x/data.json"},
		"an absolute link":           {packed(t, with(tar.Header{Name: "x/data.json", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink})), "link"},
		"a device":                   {packed(t, with(tar.Header{Name: "x/data.json", Typeflag: tar.TypeChar})), "regular file"},
		"the same path twice":        {packed(t, with(regular("x/a.rego", 1), regular("x/a.rego", 1))), "two entries"},
		"a file that nobody reads":   {packed(t, with(regular("x/run.sh", 1))), "x/run.sh"},
		"a file that is not listed": {packed(t, func(to *tar.Writer) {
			const manifest = `{"revision": "2", "roots": ["x"]}`
			for name, text := range map[string]string{".manifest": manifest, ".signatures.json": signed, "x/data.json": "{}"} {
				_ = to.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Typeflag: tar.TypeReg, Mode: 0o600})
				_, _ = to.Write([]byte(text))
			}
		}), "x/data.json"},
		"no archive": {[]byte("<html>not found</html>"), "gzip"},
		"a torn one": {packed(t, with(regular("x/a.rego", 100)))[:60], "truncated"},
	}
}

// TestWhatNobodyTakesIsRefusedAtEachDoor, and what served serves on.
func TestWhatNobodyTakesIsRefusedAtEachDoor(t *testing.T) {
	t.Parallel()
	for of, tt := range hostile(t) {
		for _, through := range []string{"a server", "a registry", "a file"} {
			t.Run(of+" through "+through, func(t *testing.T) {
				t.Parallel()
				at, served := doors(t)[through], &side{}
				at.put(t, tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
				m := open(t, at.config, served, func(o *bundle.Options) { o.Limits = archive.Limits{Compressed: 1 << 20, Expanded: 4 << 20, Files: 100} })
				if err := m.Trigger(t.Context()); err != nil {
					t.Fatal(err)
				}
				at.put(t, tt.bundle)
				if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want an error with %q", err, tt.want)
				}
				status := m.Statuses()["a"]
				if status.Revision != "1" || !strings.Contains(status.Error, tt.want) || strings.Contains(status.Error, "assay.invalid") {
					t.Errorf("status: got %+v, want revision 1 and %q, and no host that is none", status, tt.want)
				}
				if len(served.published) != 1 {
					t.Errorf("got %d sets, want the first alone", len(served.published))
				}
				at.put(t, tarball(t, "3", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
				if err := m.Trigger(t.Context()); err != nil || m.Statuses()["a"].Revision != "3" {
					t.Errorf("what is good again: got %v, %+v, want revision 3", err, m.Statuses()["a"])
				}
			})
		}
	}
}

// TestDirectories are bundles that are not packed: the same is refused of them.
func TestDirectories(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, directory string, files map[string]string) {
		t.Helper()
		for name, text := range files {
			at := filepath.Join(directory, name)
			if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		change func(t *testing.T, directory string)
		want   string
	}{
		"a link that leads out": {func(t *testing.T, directory string) {
			if err := os.Symlink("/etc/passwd", filepath.Join(directory, "numbers.rego")); err != nil {
				t.Fatal(err)
			}
		}, "link"},
		"too much": {func(t *testing.T, directory string) {
			write(t, directory, map[string]string{"numbers/data.json": strings.Repeat(" ", 5<<20)})
		}, "bundle too large"},
		"what nobody reads": {func(t *testing.T, directory string) { write(t, directory, map[string]string{"numbers/x.sh": "x"}) }, "numbers/x.sh"},
		"gone":              {func(_ *testing.T, directory string) { _ = os.RemoveAll(directory) }, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory, served := t.TempDir(), &side{}
			write(t, directory, map[string]string{".manifest": `{"revision": "1", "roots": ["numbers"]}`, "numbers/data.json": `{"x": 1}`})
			m := open(t, "bundles: {a: {resource: 'file://"+directory+"', trigger: manual}}\n", served, func(o *bundle.Options) {
				o.Limits = archive.Limits{Compressed: 1 << 20, Expanded: 4 << 20, Files: 100}
			})
			if err := m.Trigger(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]any{"numbers": map[string]any{"x": json.Number("1")}}, served.last().Data); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			tt.change(t, directory)
			if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if status := m.Statuses()["a"]; status.Revision != "1" || len(served.published) != 1 {
				t.Errorf("got %+v and %d sets, want the first alone", status, len(served.published))
			}
		})
	}
}
