package oci_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/layers"
)

const layerType = "application/vnd.oci.image.layer.v1.tar+gzip"

// A blobLayer is a layer as a registry has it, and the digest of what it unpacks to.
type blobLayer struct {
	mediaType string
	content   []byte
	diffID    string
}

// gzipped is a layer of files.
func gzipped(t testing.TB, files map[string]string) blobLayer {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed(t, archive.Bytes())
}

func packed(t testing.TB, unpacked []byte) blobLayer {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(unpacked); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return blobLayer{layerType, out.Bytes(), describe("", unpacked).Digest}
}

// layered pushes an image of layers and returns its digest reference.
func (f *fake) layered(t testing.TB, repo string, stack ...blobLayer) (ref string, m man) {
	t.Helper()
	m = man{SchemaVersion: 2, MediaType: imageType}
	var diffIDs []string
	for _, l := range stack {
		m.Layers = append(m.Layers, f.push(t, repo, l.mediaType, l.content))
		diffIDs = append(diffIDs, fmt.Sprintf("%q", l.diffID))
	}
	config := f.push(t, repo, configType, []byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[`+strings.Join(diffIDs, ",")+`]}}`))
	m.Config = &config
	return f.host() + "/" + repo + "@" + f.tag(t, repo, "", m).Digest, m
}

func TestFiles(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	plain := gzipped(t, map[string]string{"etc/debian_version": "12.1", "usr/lib/os-release": "ID=debian"})
	ref, _ := f.layered(t, "org/app", plain, gzipped(t, map[string]string{"etc/debian_version": "12.2", "app/.wh.none": ""}))
	got, err := newClient(t).Files(t.Context(), anonymous, ref, []string{"/etc/debian_version", "usr/lib/os-release", "etc/shadow"})
	if err != nil {
		t.Fatal(err)
	}
	want := oci.Files{
		Text:  map[string]string{"/etc/debian_version": "12.2", "usr/lib/os-release": "ID=debian"},
		Links: map[string]string{}, Missing: []string{"etc/shadow"}, Unreadable: map[string]string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got := f.requests(); len(got) != 5 || count(got, "/blobs/") != 3 {
		t.Errorf("got requests %q, want the ping, the manifest, the config file and each layer once", got)
	}
}

// TestFilesRefuse: what ends the whole, and what was asked for until then.
func TestFilesRefuse(t *testing.T) {
	t.Parallel()
	few := layers.Defaults()
	few.Entries = 10_000
	good := func(t *testing.T) blobLayer { return gzipped(t, map[string]string{"a": "text"}) }
	million := func(t *testing.T) blobLayer {
		t.Helper()
		var one bytes.Buffer
		if err := tar.NewWriter(&one).WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeDir}); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		block := bytes.Repeat(one.Bytes(), 1000)
		for range 1000 {
			_, _ = w.Write(block)
		}
		_ = w.Close()
		return blobLayer{layerType, out.Bytes(), describe("", nil).Digest}
	}
	for _, tt := range []struct {
		name     string
		stack    func(*testing.T) []blobLayer
		change   func(*man)
		paths    []string
		options  []oci.Option
		code     oci.Code
		says     string
		requests int // at most
	}{
		{
			name: "a decompression bomb", stack: func(t *testing.T) []blobLayer { return []blobLayer{packed(t, make([]byte, 16<<20))} },
			options: []oci.Option{oci.WithUnpacking(layers.Limits{Unpacked: 1 << 20, Entries: 10, Names: 10, File: 10, Files: 10})},
			code:    oci.TooLarge, says: "more than 1048576 bytes when decompressed", requests: 4,
		},
		{
			name: "a million entries", stack: func(t *testing.T) []blobLayer { return []blobLayer{million(t)} },
			options: []oci.Option{oci.WithUnpacking(few)},
			code:    oci.TooLarge, says: "more than 10000 entries", requests: 4,
		},
		{
			name: "a diff ID of another layer", stack: func(t *testing.T) []blobLayer {
				l := good(t)
				l.diffID = describe("", nil).Digest
				return []blobLayer{l}
			}, code: oci.DigestMismatch, says: "want the diff ID", requests: 4,
		},
		{
			name: "a diff ID that is none", stack: func(t *testing.T) []blobLayer {
				l := good(t)
				l.diffID = "md5:00"
				return []blobLayer{l}
			}, code: oci.Malformed, says: "got the diff ID", requests: 3,
		},
		{
			name: "a layer of which the config file knows nothing", change: func(m *man) { m.Layers = append(m.Layers, m.Layers[0]) },
			code: oci.Malformed, says: "got 2 layers, want the 1 of the config file", requests: 3,
		},
		{
			name: "an encrypted layer", stack: func(t *testing.T) []blobLayer {
				l := good(t)
				l.mediaType += "+encrypted"
				return []blobLayer{l}
			}, code: oci.Malformed, says: "want a tar of files", requests: 3,
		},
		{
			name: "layers that are too large together", stack: func(t *testing.T) []blobLayer { return []blobLayer{good(t), good(t)} },
			options: []oci.Option{oci.WithMaxImage(150)}, code: oci.TooLarge, says: "more than 150 bytes in all", requests: 3,
		},
		{
			name: "a layer that is larger than it says", change: func(m *man) { m.Layers[0].Size-- },
			code: oci.DigestMismatch, says: "of its descriptor", requests: 4,
		},
		{
			name: "a layer that is not there", change: func(m *man) { m.Layers[0].Digest = describe("", []byte("none")).Digest },
			code: oci.NotFound, says: "status 404", requests: 4,
		},
		{
			name: "a layer without a digest", change: func(m *man) { m.Layers[0].Digest = "../../x" },
			code: oci.Malformed, says: "got a descriptor with digest", requests: 3,
		},
		{
			name: "many layers", stack: func(t *testing.T) []blobLayer { return slices.Repeat([]blobLayer{good(t)}, 257) },
			code: oci.TooLarge, says: "got 257, want at most 256", requests: 3,
		},
		{
			name: "a config file of no image", change: func(m *man) { m.Config.Digest, m.Config.Size = m.Layers[0].Digest, m.Layers[0].Size },
			code: oci.Malformed, says: "got a config file that is none of an image", requests: 3,
		},
		{name: "a path that climbs", paths: []string{"a/../../b"}, code: oci.Malformed, says: "want the path of a file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			stack := []blobLayer{good(t)}
			if tt.stack != nil {
				stack = tt.stack(t)
			}
			ref, m := f.layered(t, "org/app", stack...)
			if tt.change != nil {
				tt.change(&m)
				ref = f.host() + "/org/app@" + f.tag(t, "org/app", "", m).Digest
			}
			if tt.paths == nil {
				tt.paths = []string{"a"}
			}
			_, err := newClient(t, tt.options...).Files(t.Context(), anonymous, ref, tt.paths)
			mustRefuse(t, err, tt.code, tt.says)
			if got := f.requests(); len(got) > tt.requests {
				t.Errorf("got requests %q, want at most %d", got, tt.requests)
			}
		})
	}
}

// TestFilesOfARegistryThatMisbehaves: each layer is the registry's to send, and ours to refuse.
func TestFilesOfARegistryThatMisbehaves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		how  func(good []byte) http.HandlerFunc
		code oci.Code
		says string
	}{
		{"other bytes", func(good []byte) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), len(good))) }
		}, oci.DigestMismatch, "got bytes with digest"},
		{"bytes without end", func([]byte) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { zeros(w, 64<<20, false) }
		}, oci.DigestMismatch, "or more, want the"},
		{"a body that announces another size", func([]byte) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }
		}, oci.DigestMismatch, "got 1 bytes, want the"},
		{"a body that is cut short", func(good []byte) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(len(good)))
				_, _ = w.Write(good[:len(good)/2])
			}
		}, oci.Unreachable, "cut short"},
		{"an error", func([]byte) http.HandlerFunc { return status(http.StatusInternalServerError) }, oci.Unreachable, "status 500"},
		{"a redirect to a metadata address", func([]byte) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
			}
		}, oci.ForbiddenHost, "169.254.169.254"},
		{"a tarpit", func(good []byte) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(len(good)))
				_, _ = w.Write(good[:20])
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
		}, oci.Timeout, "no answer in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			good := gzipped(t, map[string]string{"a": "text"})
			ref, m := f.layered(t, "org/app", good)
			f.on(m.Layers[0].Digest, tt.how(good.content))
			patience := time.Minute
			if tt.code == oci.Timeout {
				patience = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c := newClient(t)
			_, err := c.Files(ctx, anonymous, ref, []string{"a"})
			mustRefuse(t, err, tt.code, tt.says)
			f.misbehave(nil)
			if got, err := c.Files(t.Context(), anonymous, ref, []string{"a"}); err != nil || got.Text["a"] != "text" {
				t.Errorf("got %v and error %v once the registry behaves, want the text", got, err)
			}
		})
	}
}

// TestForeignLayers are read from the registry of the image: their URLs are nobody's but the image's.
func TestForeignLayers(t *testing.T) {
	t.Parallel()
	f, elsewhere := newFake(t), newFake(t)
	foreign := gzipped(t, map[string]string{"a": "text"})
	foreign.mediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	_, m := f.layered(t, "org/app", foreign)
	type withURLs struct {
		desc
		URLs []string `json:"urls"`
	}
	d := f.tag(t, "org/app", "", map[string]any{
		"schemaVersion": 2, "mediaType": imageType, "config": m.Config, "layers": []withURLs{{m.Layers[0], []string{elsewhere.URL + "/layer"}}},
	})
	ref := f.host() + "/org/app@" + d.Digest
	got, err := newClient(t).Files(t.Context(), anonymous, ref, []string{"a"})
	if err != nil || got.Text["a"] != "text" {
		t.Errorf("got %v and error %v, want the text from the registry", got, err)
	}
	f.on(m.Layers[0].Digest, status(http.StatusNotFound))
	_, err = newClient(t).Files(t.Context(), anonymous, ref, []string{"a"})
	mustRefuse(t, err, oci.NotFound, "status 404")
	if got := elsewhere.requests(); len(got) != 0 {
		t.Errorf("got requests %q where the URL leads, want none", got)
	}
}

// TestFilesWaitForEachOther: few images are unpacked at a time, and who waits leaves when its time is over.
func TestFilesWaitForEachOther(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, m := f.layered(t, "org/app", gzipped(t, map[string]string{"a": "text"}))
	entered := make(chan struct{}, 10)
	f.on(m.Layers[0].Digest, func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
	})
	c := newClient(t)
	busy, stop := context.WithCancel(t.Context())
	done := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := c.Files(busy, anonymous, ref, []string{"a"})
			done <- err
		}()
	}
	<-entered
	<-entered
	late, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := c.Files(late, anonymous, ref, []string{"a"})
	mustRefuse(t, err, oci.Timeout, "layers of")
	stop()
	for range 2 {
		mustRefuse(t, <-done, oci.Timeout)
	}
	if len(entered) != 0 {
		t.Errorf("got %d more requests for the layer, want none", len(entered))
	}
}
