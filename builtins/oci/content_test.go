package oci_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
)

const configType = "application/vnd.oci.image.config.v1+json"

// built pushes an image with a config file and describes it.
func (f *fake) built(t testing.TB, repo, tag, config string) desc {
	t.Helper()
	c := f.push(t, repo, configType, []byte(config))
	return f.tag(t, repo, tag, man{SchemaVersion: 2, MediaType: imageType, Config: &c})
}

// index pushes an index.
func (f *fake) index(t testing.TB, repo, tag string, children ...desc) (ref string, d desc) {
	t.Helper()
	d = f.tag(t, repo, tag, man{SchemaVersion: 2, MediaType: indexType, Manifests: children})
	return f.host() + "/" + repo + "@" + d.Digest, d
}

func platform(os, architecture, rest string) string {
	return fmt.Sprintf(`{"os":%q,"architecture":%q%s,"created":"2026-06-01T12:00:00Z","rootfs":{"type":"layers","diff_ids":[]},"config":{"User":"65532"},"ours":1}`,
		os, architecture, rest)
}

// TestManifestAfterItsTagCostsNothing: what was read of a tag is known by its digest.
func TestManifestAfterItsTagCostsNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	_, d := f.index(t, "org/app", "v1", f.built(t, "org/app", "", platform("linux", "amd64", "")))
	c := newClient(t)
	digest, err := c.Resolve(t.Context(), anonymous, f.host()+"/org/app:v1")
	if err != nil || digest != d.Digest {
		t.Fatalf("got %s and %v, want %s", digest, err, d.Digest)
	}
	if got := f.requests(); len(got) != 2 {
		t.Fatalf("got requests %q, want the ping and the tag", got)
	}
	ref := f.host() + "/org/app@" + digest
	for _, read := range []func() ([]byte, error){
		func() ([]byte, error) { return c.Manifest(t.Context(), anonymous, ref) },
		func() ([]byte, error) { return c.Index(t.Context(), anonymous, ref) },
	} {
		body, err := read()
		if err != nil || describe("", body).Digest != digest {
			t.Errorf("got %s and %v, want the manifest", body, err)
		}
	}
	if got := f.requests(); len(got) != 0 {
		t.Errorf("got requests %q, want none", got)
	}
	if _, err := c.Manifest(t.Context(), tenant("alice"), ref); err != nil || len(f.requests()) != 2 {
		t.Errorf("got error %v, want another tenant to ask for itself", err)
	}
}

func TestManifestRefuses(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	image := f.built(t, "org/app", "v1", platform("linux", "amd64", ""))
	ref := f.host() + "/org/app@" + image.Digest
	for _, tt := range []struct {
		name string
		how  http.HandlerFunc
		want oci.Code
	}{
		{"other bytes", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"schemaVersion":2}`)) }, oci.DigestMismatch},
		{"no such manifest", status(http.StatusNotFound), oci.NotFound},
		{"a huge one", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 5<<20)) }, oci.TooLarge},
		{"a metadata address", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		}, oci.ForbiddenHost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.on("/manifests/", tt.how)
			_, err := newClient(t).Manifest(t.Context(), anonymous, ref)
			mustRefuse(t, err, tt.want, "manifest ")
			_, err = newClient(t).Configs(t.Context(), anonymous, ref)
			mustRefuse(t, err, tt.want, "failed to get ref "+ref+" : ")
		})
	}
	f.misbehave(nil)
	long := f.tag(t, "org/app", "", map[string]any{"schemaVersion": 2, "annotations": map[string]string{"x": strings.Repeat("x", 256<<10)}})
	for _, read := range []func(*oci.Client, string) error{
		func(c *oci.Client, ref string) error { _, err := c.Manifest(t.Context(), anonymous, ref); return err },
		func(c *oci.Client, ref string) error { _, err := c.Index(t.Context(), anonymous, ref); return err },
	} {
		mustRefuse(t, read(newClient(t), f.host()+"/org/app@"+long.Digest), oci.TooLarge, "want at most 262144")
	}
	_, err := newClient(t).Manifest(t.Context(), anonymous, f.host()+"/org/app:v1")
	mustRefuse(t, err, oci.Malformed, "got a tag, want a digest")
	_, err = newClient(t).Index(t.Context(), anonymous, ref)
	mustRefuse(t, err, oci.Malformed, "want an index")
}

// TestConfigs holds IN-4 and IDX-1 of what an index leads to.
func TestConfigs(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	attestation := func(content string) desc {
		d := f.built(t, "org/app", "", platform("unknown", "unknown", `,"author":"`+content+`"`))
		d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
		return d
	}
	aside := func(content string) any { // as BuildKit lists it, with a platform
		b, _ := json.Marshal(attestation(content))
		return json.RawMessage(strings.TrimSuffix(string(b), "}") + `,"platform":{"os":"unknown","architecture":"unknown"}}`)
	}
	amd64 := f.built(t, "org/app", "", platform("linux", "amd64", ""))
	armv7 := f.built(t, "org/app", "", platform("linux", "arm", `,"variant":"v7"`))
	windows := f.built(t, "org/app", "", platform("windows", "amd64", `,"os.version":"10.0.1"`))
	none := f.built(t, "org/app", "", `{}`)
	_, nested := f.index(t, "org/app", "", armv7, amd64)
	_, deeper := f.index(t, "org/app", "", nested, windows)
	raw := func(children ...any) desc {
		return f.tag(t, "org/app", "", map[string]any{"schemaVersion": 2, "manifests": children})
	}
	of := func(d desc, _ ...string) string { return f.host() + "/org/app@" + d.Digest }
	ofIndex := func(children ...desc) string { ref, _ := f.index(t, "org/app", "", children...); return ref }
	for _, tt := range []struct {
		name, ref string
		want      []string
	}{
		{"IN-4: an image has one entry", of(amd64), []string{"linux/amd64"}},
		{"IN-4: a variant", of(armv7), []string{"linux/arm/v7"}},
		{"IN-4: the version of Windows", of(windows), []string{"windows/amd64:10.0.1"}},
		{"IN-4: all children of an index", ofIndex(amd64, armv7, windows), []string{"linux/amd64", "linux/arm/v7", "windows/amd64:10.0.1"}},
		{"IN-4: an index in an index", ofIndex(deeper, amd64), []string{"linux/amd64", "linux/arm/v7", "windows/amd64:10.0.1"}},
		{"IN-4: the same image twice", ofIndex(amd64, amd64, nested), []string{"linux/amd64", "linux/arm/v7"}},
		{"IN-4: attestations of BuildKit lie beside", of(raw(amd64, aside("a"), armv7, aside("b"))), []string{"linux/amd64", "linux/arm/v7", "unknown/unknown"}},
		{"IN-4: an empty index", ofIndex(), nil},
		{"IN-4: a config file that says nothing", of(none), []string{""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := newClient(t).Configs(t.Context(), anonymous, tt.ref)
			if err != nil {
				t.Fatal(err)
			}
			var platforms []string
			for platform := range got {
				platforms = append(platforms, platform)
			}
			slices.Sort(platforms)
			if diff := cmp.Diff(tt.want, platforms); diff != "" {
				t.Errorf("platforms (-want +got):\n%s", diff)
			}
		})
	}
	got, err := newClient(t).Configs(t.Context(), anonymous, of(amd64))
	want := `{"architecture":"amd64","created":"2026-06-01T12:00:00Z","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{"User":"65532"}}`
	if err != nil || string(got["linux/amd64"]) != want {
		t.Errorf("IN-4: got %s and %v, want the fields of v1.ConfigFile: %s", got["linux/amd64"], err, want)
	}
}

// TestConfigsRequests: the children of an index are read side by side, by digest, and once.
func TestConfigsRequests(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.index(t, "org/app", "", f.built(t, "org/app", "", platform("linux", "amd64", "")), f.built(t, "org/app", "", platform("linux", "arm64", "")))
	c := newClient(t)
	for _, want := range []int{6, 0} { // ping, index, 2 manifests, 2 config files
		if _, err := c.Configs(t.Context(), anonymous, ref); err != nil {
			t.Fatal(err)
		}
		if got := f.requests(); len(got) != want {
			t.Errorf("got requests %q, want %d", got, want)
		}
	}
}

// TestHostileIndex: each refuses the whole, with policy-controller's texts where it has them.
func TestHostileIndex(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	good := f.built(t, "org/app", "", platform("linux", "amd64", ""))
	twin := f.built(t, "org/app", "", platform("linux", "amd64", `,"author":"mallory"`))
	config := f.push(t, "org/app", configType, []byte("no config file"))
	broken := f.tag(t, "org/app", "", man{SchemaVersion: 2, MediaType: imageType, Config: &config})
	huge := desc{MediaType: configType, Digest: config.Digest, Size: 2<<20 + 1}
	gross := f.tag(t, "org/app", "", man{SchemaVersion: 2, MediaType: imageType, Config: &huge})
	lying := good
	lying.Size++
	absent := describe(imageType, []byte("nobody pushed this"))
	both := f.tag(t, "org/app", "", man{SchemaVersion: 2, Config: &config, Manifests: []desc{good}})
	strange := f.tag(t, "org/app", "", map[string]any{"schemaVersion": 2, "mediaType": "application/x-strange"})
	long := desc{MediaType: imageType, Digest: strings.Repeat("x", 1<<16), Size: 1}
	many := make([]desc, 10000)
	for i := range many {
		many[i] = describe(imageType, fmt.Append(nil, i))
	}
	_, deep := f.index(t, "org/app", "", good)
	for range 4 {
		_, deep = f.index(t, "org/app", "", deep)
	}
	served := map[string][]byte{} // the registry of the tests would refuse some of these
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		body, ok := served[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]
		if ok {
			_, _ = w.Write(body)
		}
		return ok
	})
	tests := []struct {
		name     string
		children []desc
		want     oci.Code
		words    []string
	}{
		{"IN-4: a child that is not there", []desc{good, absent}, oci.NotFound, []string{"failed to get a ConfigFile: [failed to get ref ", absent.Digest + " : "}},
		{"IN-4: a child of another size", []desc{lying}, oci.DigestMismatch, []string{"failed to get a ConfigFile: [failed to get ref "}},
		{"IN-4: a child whose digest is none", []desc{long}, oci.Malformed, []string{"failed to get ref "}},
		{"IN-4: a child that is neither image nor index", []desc{strange}, oci.Malformed, []string{"unknown mime type for ", "application/x-strange"}},
		{"IN-4: a child that is both", []desc{both}, oci.Malformed, []string{"unknown mime type for "}},
		{"IN-4: a config file that is none", []desc{good, broken}, oci.Malformed, []string{"failed to get a ConfigFile: [getting ConfigFile for "}},
		{"IN-4: a huge config file", []desc{gross}, oci.TooLarge, []string{"config files of "}},
		{"IN-4: two images of one platform", []desc{good, twin}, oci.Malformed, []string{"two images of platform", "linux/amd64"}},
		{"IN-4: ten thousand children", many, oci.TooLarge, []string{"more than 128 manifests"}},
		{"IN-4: indexes five deep", []desc{deep}, oci.TooLarge, []string{"more than 3 deep"}},
	}
	refs := make([]string, len(tests))
	for i, tt := range tests {
		body, _ := json.Marshal(man{SchemaVersion: 2, MediaType: indexType, Manifests: tt.children})
		d := describe(indexType, body)
		served[d.Digest], refs[i] = body, f.host()+"/org/app@"+d.Digest
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := newClient(t).Configs(t.Context(), anonymous, refs[i])
			mustRefuse(t, err, tt.want, tt.words...)
			if len(got) > 0 {
				t.Errorf("got %d config files beside a refusal", len(got))
			}
			if len(err.Error()) > 4<<10 {
				t.Errorf("got a message of %d bytes", len(err.Error()))
			}
		})
	}
}

// TestIndexThatContainsItself: a registry that lies about a child cannot lead round in a circle.
func TestIndexThatContainsItself(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	child := describe(indexType, []byte("the index will be served for this"))
	body, _ := json.Marshal(man{SchemaVersion: 2, MediaType: indexType, Manifests: []desc{child}})
	child.Size = int64(len(body))
	body, _ = json.Marshal(man{SchemaVersion: 2, MediaType: indexType, Manifests: []desc{child}})
	f.on("/manifests/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	_, err := newClient(t).Configs(t.Context(), anonymous, f.host()+"/org/app@"+describe("", body).Digest)
	mustRefuse(t, err, oci.DigestMismatch, child.Digest)
	if got := f.requests(); len(got) != 3 {
		t.Errorf("got requests %q, want ping, index and child", got)
	}
}

// TestEvidenceIsThatOfTheReference, be it an index or an image.
func TestEvidenceIsThatOfTheReference(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	child := f.built(t, "org/app", "", platform("linux", "amd64", ""))
	ofIndex, index := f.index(t, "org/app", "", child)
	ofChild := f.host() + "/org/app@" + child.Digest
	f.attach(t, ofChild, ".sig", f.push(t, "org/app", simpleType, []byte("the child's")))
	c := newClient(t)
	t.Run("IDX-1: a signature of a child is none of the index", func(t *testing.T) {
		l, err := c.Signatures(t.Context(), anonymous, ofIndex, oci.Place{})
		if err != nil || len(l.Layers) != 0 {
			t.Errorf("got %d signatures and %v, want none", len(l.Layers), err)
		}
		if got := f.requests(); count(got, child.Digest) > 0 {
			t.Errorf("got requests %q, want none about the child", got)
		}
	})
	t.Run("IDX-1: a signature of the index is none of a child", func(t *testing.T) {
		f.attach(t, ofIndex, ".att", f.push(t, "org/app", simpleType, []byte("the index's")))
		l, err := c.Attestations(t.Context(), anonymous, ofChild, oci.Place{})
		if err != nil || len(l.Layers) != 0 {
			t.Errorf("got %d attestations and %v, want none", len(l.Layers), err)
		}
	})
	t.Run("IDX-1: the manifest says which of both it is", func(t *testing.T) {
		if _, err := c.Index(t.Context(), anonymous, ofIndex); err != nil {
			t.Errorf("got %v of index %s, want none", err, index.Digest)
		}
		_, err := c.Index(t.Context(), anonymous, ofChild)
		mustRefuse(t, err, oci.Malformed, "want an index")
	})
	t.Run("IDX-2: evidence about a digest that the registry does not have is read all the same", func(t *testing.T) {
		ghost := f.host() + "/org/app@" + describe("", []byte("nobody pushed this")).Digest
		f.attach(t, ghost, ".sig", f.push(t, "org/app", simpleType, []byte("a ghost's")))
		l, err := c.Signatures(t.Context(), anonymous, ghost, oci.Place{})
		if err != nil || len(l.Layers) != 1 {
			t.Errorf("got %d signatures and %v, want the one", len(l.Layers), err)
		}
		_, err = c.Manifest(t.Context(), anonymous, ghost)
		mustRefuse(t, err, oci.NotFound, "manifest ")
	})
}
