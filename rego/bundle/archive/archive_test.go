package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/bundle/archive"
)

// file is one entry of an archive that a test makes.
type file struct {
	tar.Header
	text string
}

func plain(name, text string) file { return file{tar.Header{Name: name, Typeflag: tar.TypeReg}, text} }

func special(name string, kind byte, link string) file {
	return file{tar.Header{Name: name, Typeflag: kind, Linkname: link}, ""}
}

// tarred is a tar without the manifest that [made] adds.
func tarred(t testing.TB, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := tarTo(&out, files...); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarTo(out io.Writer, files ...file) error {
	w := tar.NewWriter(out)
	for _, f := range files {
		f.Size, f.Mode = int64(len(f.text)), 0o644
		if err := w.WriteHeader(&f.Header); err != nil {
			return err
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			return err
		}
	}
	return w.Close()
}

func hexed(sum []byte) string { return hex.EncodeToString(sum) }

func zipped(t testing.TB, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const roots = `{"revision": "1", "roots": ["policies/a", "a"]}`

// made is a bundle with the roots policies/a and a.
func made(t testing.TB, files ...file) []byte {
	t.Helper()
	return zipped(t, tarred(t, append([]file{plain(".manifest", roots)}, files...)...))
}

func manifest(t testing.TB, text string, files ...file) []byte {
	t.Helper()
	return zipped(t, tarred(t, append([]file{plain(".manifest", text)}, files...)...))
}

const module = "package policies.a\n\nallow if input.x\n"

func TestReadsWhatOthersWrite(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		data []byte
		want []string
	}{
		{"paths as assay writes them", made(t, plain("p.rego", module), plain("a/data.json", `{"x": 1}`)), []string{"a/data.json", "p.rego"}},
		{"paths as opa build writes them", made(t, plain("/p.rego", module), plain("/data.json", `{"a": {"x": 1}}`)), []string{"data.json", "p.rego"}},
		{"paths as tar writes them", made(t, special("./", tar.TypeDir, ""), special("./a/", tar.TypeDir, ""), plain("./a/data.json", `{}`)), []string{"a/data.json"}},
		{"data as YAML", made(t, plain("a/data.yaml", "x: [1, 2]\n")), []string{"a/data.yaml"}},
		{"Rego of before v1, where the manifest says so", manifest(t, `{"roots": ["policies/a"], "rego_version": 0}`, plain("p.rego", "package policies.a\nallow { input.x }\n")), []string{"p.rego"}},
		{"and of single files", manifest(t, `{"roots": ["policies/a"], "rego_version": 1, "file_rego_versions": {"/old/*": 0}}`,
			plain("/old/p.rego", "package policies.a\nallow { input.x }\n")), []string{"old/p.rego"}},
		{"roots with slashes around", manifest(t, `{"roots": ["/a/"]}`, plain("a/data.json", `{}`)), []string{"a/data.json"}},
		{"metadata that is not ours", manifest(t, `{"roots": ["a"], "metadata": {"team": {"x": 1}}}`), nil},
		{"padding behind the tar", zipped(t, append(tarred(t, plain(".manifest", roots)), make([]byte, 10240)...)), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := archive.Read(tt.data, archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, names(got)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if got.Delta || got.Signed || got.About.Format != "" {
				t.Errorf("got delta %t, signed %t, format %q, want none", got.Delta, got.Signed, got.About.Format)
			}
		})
	}
}

func TestReadRefusesFiles(t *testing.T) {
	t.Parallel()
	good := made(t, plain("p.rego", module))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	middle := bytes.Clone(good)
	middle[len(middle)/2] ^= 0xff
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "the file is truncated"},
		{"no gzip", []byte("policies: []\n..............."), "want gzip"},
		{"no tar", zipped(t, []byte(strings.Repeat("policies: []\n", 100))), "want a tar"},
		{"a file that ends early", good[:len(good)-20], "the file is truncated"},
		{"a file that ends in its checksum", good[:len(good)-1], "the file is truncated"},
		{"a tar that ends early", zipped(t, tarred(t, plain(".manifest", roots), plain("p.rego", module))[:1600]), "the file is truncated"},
		{"a corrupted file", middle, "bundle"},
		{"a corrupted checksum", flipped, "checksum"},
		{"bytes behind it", append(bytes.Clone(good), 'x'), "got 1 bytes behind the gzip member"},
		{"a second member", append(bytes.Clone(good), good...), "behind the gzip member"},
		{"a second tar", zipped(t, append(tarred(t, plain(".manifest", roots)), tarred(t, plain("p.rego", module))...)), "data behind the end of the tar"},

		{"an absolute path", made(t, plain("//p.rego", module)), "absolute path"},
		{"a path that leads out", made(t, plain("../p.rego", module)), "leads out"},
		{"a path that leads out on the way", made(t, plain("a/../../p.rego", module)), "leads out"},
		{"a path that leads out after a slash", made(t, plain("/../p.rego", module)), "leads out"},
		{"a path with backslashes", made(t, plain(`a\..\p.rego`, module)), `path with \ or %`},
		{"a path that is not clean", made(t, plain("a//p.rego", module)), "not clean, want a/p.rego"},
		{"a path with a dot on the way", made(t, plain("a/./p.rego", module)), "not clean"},
		{"an encoded slash", made(t, plain("a%2fb/data.json", "{}")), `path with \ or %`},
		{"a name that OPA strips to another", made(t, plain(".a/data.json", "{}")), "hidden name .a"},
		{"a control character", made(t, plain("a/\x01/data.json", "{}")), "control characters"},
		{"two entries of a path", made(t, plain("p.rego", module), plain("p.rego", module)), "got two entries of that path"},
		{"two entries that OPA takes for one path", made(t, plain("p.rego", module), plain("/p.rego", module)), "got two entries of that path"},
		{"a symbolic link", made(t, special("p.rego", tar.TypeSymlink, "/etc/passwd")), `got a link to "/etc/passwd"`},
		{"a hard link", made(t, special("p.rego", tar.TypeLink, ".manifest")), "got a link"},
		{"a device", made(t, special("p.rego", tar.TypeChar, "")), "want a regular file"},
		{"a pipe", made(t, special("p.rego", tar.TypeFifo, "")), "want a regular file"},

		{"a file that nobody reads", made(t, plain("policy.yaml", "kind: ClusterImagePolicy\n")), "a file that nobody reads"},
		{"WebAssembly", made(t, plain("policy.wasm", "\x00asm")), "evaluates no other program"},
		{"a plan", made(t, plain("plan.json", "{}")), "evaluates no other program"},
		{"no manifest", zipped(t, tarred(t, plain("p.rego", module))), "got no .manifest"},
		{"a manifest in a directory", made(t, plain("a/.manifest", roots)), "got another manifest"},
		{"a file that OPA takes for a manifest", made(t, plain("a/x.manifest", roots)), "got another manifest"},
		{"a manifest in protobuf", made(t, plain(".manifest.pb", "")), "got another manifest"},
		{"signatures in a directory", made(t, plain("a/.signatures.json", "{}")), "got another file of signatures"},
		{"signatures by another name", made(t, plain("x.signatures.json", "{}")), "got another file of signatures"},
		{"signatures by their old name", made(t, plain("signatures.json", "{}")), "got another file of signatures"},

		{"Rego that cannot be read", made(t, plain("p.rego", "package policies.a\nallow if {")), "rego_parse_error"},
		{"Rego outside the roots", made(t, plain("p.rego", "package policies.b\n")), "want it below the roots: policies/a, a"},
		{"Rego in a package of the product", made(t, plain("p.rego", "package assay.admission\n")), "reserved"},
		{"Rego in a policy's own package", made(t, plain("p.rego", `package cip["x"]`)), "reserved"},
		{"data outside the roots", made(t, plain("data.json", `{"b": 1}`)), "below the roots"},
		{"data of the product", made(t, plain("data.json", `{"assay": {"x": 1}}`)), "reserved"},
		{"data of the product by its place", made(t, plain("cip/x/data.json", `{}`)), "reserved"},
		{"data whose name has the slash of a root", made(t, plain("data.json", `{"policies/a": 1}`)), "below the roots"},
		{"data that is no object", made(t, plain("a/data.json", `[1]`)), "want an object"},
		{"data with a name twice", made(t, plain("a/data.json", `{"x": 1, "x": 2}`)), "duplicate"},
		{"data with more behind it", made(t, plain("a/data.json", `{} {}`)), "want JSON"},
		{"two documents of one place", made(t, plain("a/data.json", `{"x": 1}`), plain("a/data.yaml", `y: 1`)), "is of the same place"},
		{"two documents that say something of one place", made(t, plain("a/data.json", `{"b": {"c": 1}}`), plain("a/b/data.json", `{"d": 1}`)), "is of the same place: it has b"},
		{"a document below what is no object", made(t, plain("a/data.json", `{"b": 1}`), plain("a/b/c/data.json", `{"d": 1}`)), "is of the same place: it has b.c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.data, archive.Limits{}, tt.want)
		})
	}
}

func TestReadRefusesManifests(t *testing.T) {
	t.Parallel()
	about := func(fields string) string { return `{"roots": ["a"], "metadata": {"assay": {` + fields + `}}}` }
	set := strings.Repeat("0", 64)
	for _, tt := range []struct{ name, text, want string }{
		{"no JSON", `roots: []`, "want JSON"},
		{"two of it", `{"roots": ["a"]} {}`, "want JSON"},
		{"an unknown field", `{"roots": ["a"], "root": "b"}`, `unknown field "root"`},
		{"a field in another case", `{"roots": ["a"], "Roots": ["assay"]}`, `unknown field "Roots"`},
		{"a field twice", `{"roots": ["a"], "roots": ["b"]}`, `duplicate field "roots"`},
		{"no roots", `{"revision": "1"}`, "roots: got none"},
		{"empty roots", `{"roots": []}`, "roots: got none"},
		{"the root of all", `{"roots": [""]}`, "reserved: it is all of data"},
		{"the root of all with a slash", `{"roots": ["/"]}`, "reserved: it is all of data"},
		{"a root of the product", `{"roots": ["a", "assay"]}`, `root "assay": reserved`},
		{"a root below one of the product", `{"roots": ["cip/x"]}`, `root "cip/x": reserved`},
		{"a root of the product with slashes around", `{"roots": ["/cip_index/"]}`, "reserved"},
		{"a root of OPA", `{"roots": ["system/bundles"]}`, "reserved"},
		{"a root of policies inside", `{"roots": ["sigstore"]}`, "reserved"},
		{"a root that OPA decodes", `{"roots": ["%61ssay"]}`, "without"},
		{"a root that is not clean", `{"roots": ["a//b"]}`, "clean path"},
		{"a root that leads out", `{"roots": ["a/../assay"]}`, "clean path"},
		{"overlapping roots", `{"roots": ["a/b", "a"]}`, `root "a/b": overlaps the root "a"`},
		{"a root twice", `{"roots": ["a", "/a"]}`, `root "a": got it twice`},
		{"WebAssembly", `{"roots": ["a"], "wasm": [{"entrypoint": "a/b", "module": "x.wasm"}]}`, "wasm: got WebAssembly"},
		{"a version of Rego that is unknown", `{"roots": ["a"], "rego_version": 7}`, "rego_version"},
		{"a version of a file that is unknown", `{"roots": ["a"], "file_rego_versions": {"x": 7}}`, "rego_version"},
		{"a revision of two lines", `{"roots": ["a"], "revision": "1\n2"}`, "revision: got"},
		{"metadata of no format", about(`"set": "` + set + `"`), "metadata.assay.format"},
		{"metadata of another format", about(`"format": "assay.bundle/2", "set": "` + set + `"`), `got "assay.bundle/2", want assay.bundle/1`},
		{"metadata with an unknown field", about(`"format": "assay.bundle/1", "expire": "x"`), `unknown field "expire"`},
		{"metadata of another type", about(`"format": 1`), "metadata.assay"},
		{"a set that is none", about(`"format": "assay.bundle/1", "set": "x"`), "metadata.assay.set"},
		{"the set of another content", about(`"format": "assay.bundle/1", "set": "` + set + `"`), "that of the content"},
		{"a name that is none", about(`"format": "assay.bundle/1", "set": "` + set + `", "name": ""`), "metadata.assay.name"},
		{"a name that would be any", about(`"format": "assay.bundle/1", "set": "` + set + `", "name": null`), "metadata.assay.name"},
		{"a name that no log bears", about(`"format": "assay.bundle/1", "set": "` + set + `", "name": "a\nb"`), "metadata.assay"},
		{"a time that is none", about(`"format": "assay.bundle/1", "set": "` + set + `", "expires": "tomorrow"`), "metadata.assay"},
		{"a time that would be never", about(`"format": "assay.bundle/1", "set": "` + set + `", "expires": null`), "metadata.assay.expires"},
		{"the year 1, which would be never", about(`"format": "assay.bundle/1", "set": "` + set + `", "expires": "0001-01-01T00:00:00Z"`), "metadata.assay.expires"},
		{"builtins that are not sorted", about(`"format": "assay.bundle/1", "set": "` + set + `", "requires": {"builtins": ["b", "a"]}`), "sorted"},
		{"metadata that is no object", `{"roots": ["a"], "metadata": {"assay": 1}}`, "metadata.assay"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refused(t, manifest(t, tt.text), archive.Limits{}, tt.want)
		})
	}
}

func TestReadHoldsLimits(t *testing.T) {
	t.Parallel()
	bomb := zipped(t, append(tarred(t, plain(".manifest", roots)), make([]byte, 300<<20)...))
	large := made(t, plain("a/data.json", `{"x": "`+strings.Repeat("x", 1<<20)+`"}`))
	var many []file
	for i := range 20 {
		many = append(many, special(fmt.Sprintf("a/%d/", i), tar.TypeDir, ""))
	}
	for _, tt := range []struct {
		name   string
		data   []byte
		limits archive.Limits
		want   string
	}{
		{"a file that is too large", large, archive.Limits{Compressed: 100}, "want at most 100"},
		{"a file that expands too much", large, archive.Limits{Expanded: 1 << 19}, "goes past what the bundle may expand to"},
		{"zeros without end", bomb, archive.Limits{}, "expands to more than 67108864 bytes"},
		{"too many files", made(t, many...), archive.Limits{Files: 20}, "more than 20 files"},
		{"a document that is too large", made(t, plain("a/data.json", `{"x": "`+strings.Repeat("x", 17<<20)+`"}`)), archive.Limits{}, "want at most 16777216"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.data, tt.limits, tt.want)
			if _, err := archive.Read(tt.data, tt.limits); !errors.Is(err, archive.ErrTooLarge) {
				t.Errorf("got %v, want ErrTooLarge", err)
			}
		})
	}
}

func TestReadHoldsDeltas(t *testing.T) {
	t.Parallel()
	patch := func(text string) file { return plain("patch.json", `{"data": [`+text+`]}`) }
	got, err := archive.Read(made(t, patch(`{"op": "upsert", "path": "/a/b", "value": 1}`)), archive.Limits{})
	if err != nil || !got.Delta {
		t.Errorf("got %v, want a delta", err)
	}
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"with data too", made(t, patch(`{"op": "remove", "path": "/a/b"}`), plain("a/data.json", "{}")), "want it alone"},
		{"in a directory", made(t, plain("a/patch.json", `{}`)), "got a patch in a directory"},
		{"of nothing", made(t, patch(``)), "got no patch"},
		{"with another operation", made(t, patch(`{"op": "move", "path": "/a/b"}`)), `got "move"`},
		{"outside the roots", made(t, patch(`{"op": "remove", "path": "/b"}`)), "below the roots"},
		{"of all", made(t, patch(`{"op": "replace", "path": "/"}`)), "reserved"},
		{"of the product", made(t, patch(`{"op": "upsert", "path": "/cip/x", "value": 1}`)), "reserved"},
		{"with an encoded slash", made(t, patch(`{"op": "upsert", "path": "/policies~1a/x", "value": 1}`)), "below the roots"},
		{"with a percent sign", made(t, patch(`{"op": "upsert", "path": "/a/%2e", "value": 1}`)), "without %"},
		{"without roots", manifest(t, `{}`, patch(`{"op": "upsert", "path": "/a/x", "value": 1}`)), "roots: got none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.data, archive.Limits{}, tt.want)
		})
	}
}

func TestReadHoldsObjectsToTheirPlaces(t *testing.T) {
	t.Parallel()
	object := func(kind, namespace, name string) string {
		return fmt.Sprintf(`{"kind": %q, "metadata": {"namespace": %q, "name": %q}}`, kind, namespace, name)
	}
	made := func(place, text string) []byte {
		return manifest(t, `{"roots": ["resources"]}`, plain(strings.TrimPrefix(place+"/data.json", "/"), text))
	}
	for _, data := range [][]byte{
		made("resources/ClusterImagePolicy/x", object("ClusterImagePolicy", "", "x")),
		made("resources/ImagePolicy/n/x", object("ImagePolicy", "n", "x")),
		made("resources/ConfigMap/cosign-system/x", object("ConfigMap", "", "x")),
		made("", `{"resources": {"TrustRoot": {"x": `+object("TrustRoot", "", "x")+`}}}`),
	} {
		got, err := archive.Read(data, archive.Limits{})
		if err != nil {
			t.Error(err)
		} else if all, err := got.Resources(); err != nil || len(all) != 1 {
			t.Errorf("got the objects %v, %v, want one", all, err)
		}
	}
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"of another name", made("resources/ClusterImagePolicy/x", object("ClusterImagePolicy", "", "y")), "what its place says"},
		{"of another kind", made("resources/ClusterImagePolicy/x", object("TrustRoot", "", "x")), "what its place says"},
		{"of another namespace", made("resources/ImagePolicy/n/x", object("ImagePolicy", "m", "x")), "that of its place"},
		{"of no namespace", made("resources/ImagePolicy/n/x", object("ImagePolicy", "", "x")), "that of its place"},
		{"a Secret", made("resources/Secret/n/x", object("Secret", "n", "x")), "want one of the kinds"},
		{"of a kind that nobody compiles", made("resources/RegoPolicy/x", object("RegoPolicy", "", "x")), "want one of the kinds"},
		{"that is none", made("resources/ClusterImagePolicy", `{"x": 1}`), "what its place says"},
		{"all of them in a list", made("", `{"resources": []}`), "want an object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.data, archive.Limits{}, tt.want)
		})
	}
}

func TestReservedNamesTheRoots(t *testing.T) {
	t.Parallel()
	err := archive.Reserved([]string{"a", "assay/x", "assays", "/system/"})
	if !errors.Is(err, archive.ErrReserved) {
		t.Fatalf("got %v, want ErrReserved", err)
	}
	for text, want := range map[string]bool{`"assay/x"`: true, `"/system/"`: true, `"assays"`: false, `"a"`: false} {
		if got := strings.Contains(err.Error(), "root "+text); got != want {
			t.Errorf("names %s: got %t, want %t: %v", text, got, want, err)
		}
	}
}

func refused(t *testing.T, data []byte, limits archive.Limits, want string) {
	t.Helper()
	_, err := archive.Read(data, limits)
	if err == nil {
		t.Fatalf("got a bundle, want a refusal: %s", want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q", err, want)
	}
}
