package layers_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/layers"
)

// TestBytesThatAreNoLayer: the diff ID and the compression are those of the bytes, or there is no answer.
func TestBytesThatAreNoLayer(t *testing.T) {
	t.Parallel()
	content := archive(t, layer(file("a", "text")))
	wide := compressed(t, "zstd", bytes.Repeat([]byte("x"), 32<<20), zstd.WithWindowSize(32<<20))
	for _, tt := range []struct {
		name   string
		bytes  []byte
		diffID string
		code   edge.Code
		says   string
	}{
		{"another diff ID", content, digestOf([]byte("other")), edge.DigestMismatch, "want the diff ID"},
		{"bytes behind the end of the archive", append(bytes.Clone(content), 1), digestOf(content), edge.DigestMismatch, "want the diff ID"},
		{"the diff ID of the compressed bytes", compressed(t, "gzip", content), digestOf(compressed(t, "gzip", content)), edge.DigestMismatch, "want the diff ID"},
		{"text", []byte(strings.Repeat("no archive ", 100)), "", edge.Malformed, "no tar archive"},
		{"an archive that ends early", content[:514], "", edge.Malformed, "no tar archive"},
		{"gzip that ends early", compressed(t, "gzip", content)[:40], "", edge.Malformed, "no tar archive"},
		{"gzip with something behind it", append(compressed(t, "gzip", content), 1, 2, 3), "", edge.Malformed, "no tar archive"},
		{"zstd that ends early", compressed(t, "zstd", content)[:20], "", edge.Malformed, "no tar archive"},
		{"zstd with a window that takes much memory", wide, "", edge.Malformed, "window size exceeded"},
		{"nothing but a bomb", compressed(t, "gzip", make([]byte, 10<<20)), "", edge.TooLarge, "more than 1048576 bytes"},
		{"a bomb of zstd", compressed(t, "zstd", make([]byte, 10<<20)), "", edge.TooLarge, "more than 1048576 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i, err := layers.New([]string{"a"}, small())
			if err != nil {
				t.Fatal(err)
			}
			if err := i.Apply(t.Context(), bytes.NewReader(tt.bytes), described(tt.bytes, tt.diffID)); !errors.Is(err, tt.code) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got error %v, want %s: %s", err, tt.code, tt.says)
			}
		})
	}
}

// TestBytesThatDoNotCome: why they do not is the reason, wherever they break off.
func TestBytesThatDoNotCome(t *testing.T) {
	t.Parallel()
	content := archive(t, layer(file("a", "text")))
	for name, begins := range map[string][]byte{
		"none": nil, "some of the archive": content[:514], "some of the end": content[:len(content)-1], "some of gzip": compressed(t, "gzip", content)[:40],
		"some that are no archive": []byte(strings.Repeat("no archive ", 100)),
	} {
		i, err := layers.New([]string{"a"}, small())
		if err != nil {
			t.Fatal(err)
		}
		body := io.MultiReader(bytes.NewReader(begins), iotest.ErrReader(edge.Refuse(edge.Timeout, "late")))
		if err := i.Apply(t.Context(), body, described(content, digestOf(content))); !errors.Is(err, edge.Timeout) {
			t.Errorf("%s: got error %v, want timeout", name, err)
		}
	}
}

// TestBytesOfAnotherLayer: the digest of the manifest counts, whatever the bytes are.
func TestBytesOfAnotherLayer(t *testing.T) {
	t.Parallel()
	content, other := archive(t, layer(file("a", "text"))), archive(t, layer(file("a", "other")))
	for name, body := range map[string][]byte{
		"another layer": other, "no layer": []byte(strings.Repeat("x", len(content))), "fewer bytes": content[:1024], "more bytes": append(bytes.Clone(content), 0),
	} {
		i, err := layers.New([]string{"a"}, small())
		if err != nil {
			t.Fatal(err)
		}
		err = i.Apply(t.Context(), bytes.NewReader(body), described(content, digestOf(content)))
		if !errors.Is(err, edge.DigestMismatch) {
			t.Errorf("%s: got error %v, want digest_mismatch", name, err)
		}
	}
}
