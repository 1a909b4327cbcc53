package layers_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/layers"
)

// TestEntriesThatRuntimesReadDifferently: what hides a file from some and not from others ends the whole.
func TestEntriesThatRuntimesReadDifferently(t *testing.T) {
	t.Parallel()
	global := func(name string) *tar.Header {
		return &tar.Header{Name: name, Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}
	}
	with := func(attribute string) *tar.Header {
		return &tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755, PAXRecords: map[string]string{"SCHILY.xattr." + attribute: "y"}}
	}
	for _, tt := range []struct {
		name   string
		header *tar.Header
		says   string // nothing where the file is read
	}{
		{"the header of git archive", global("pax_global_header"), ""},
		{"a global header in place of the file", global("etc/passwd"), "got a global header"},
		{"a global header in place of its directory", global("etc"), "got a global header"},
		{"a global header that is a whiteout", global("etc/.wh.passwd"), "got a global header"},
		{"a capability", with("security.capability"), ""},
		{"what buildah leaves", with("user.overlay.impure"), ""},
		{"a directory that is opaque by an attribute", with("trusted.overlay.opaque"), "trusted.overlay.opaque"},
		{"a directory that is another", with("user.overlay.redirect"), "user.overlay.redirect"},
		{"content that is elsewhere", with("user.overlay.metacopy"), "user.overlay.metacopy"},
		{"a directory of whiteouts by an attribute", with("user.overlay.whiteouts"), "user.overlay.whiteouts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i, err := layers.New([]string{"etc/passwd"}, small())
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			w := tar.NewWriter(&out)
			if err := errors.Join(w.WriteHeader(tt.header), w.Close()); err != nil {
				t.Fatal(err)
			}
			for _, content := range [][]byte{archive(t, layer(file("etc/passwd", "root"))), out.Bytes()} {
				err = i.Apply(t.Context(), bytes.NewReader(content), described(content, digestOf(content)))
			}
			switch got := i.Files().Text["etc/passwd"]; {
			case tt.says == "" && (err != nil || got != "root"):
				t.Errorf("got %q and error %v, want the file", got, err)
			case tt.says != "" && (!errors.Is(err, edge.Malformed) || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("got error %v, want malformed: %s", err, tt.says)
			}
		})
	}
}
