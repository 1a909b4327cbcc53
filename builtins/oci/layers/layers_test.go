package layers_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/layers"
)

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// described are bytes as a manifest and a config file describe them.
func described(b []byte, diffID string) layers.Layer {
	return layers.Layer{Digest: digestOf(b), Size: int64(len(b)), DiffID: diffID}
}

func file(name, text string) entry      { return entry{name: name, kind: tar.TypeReg, to: text} }
func dir(name string) entry             { return entry{name: name, kind: tar.TypeDir} }
func symlink(name, to string) entry     { return entry{name: name, kind: tar.TypeSymlink, to: to} }
func hardLink(name, to string) entry    { return entry{name: name, kind: tar.TypeLink, to: to} }
func whiteout(name string) entry        { return file(name, "") }
func device(name string) entry          { return entry{name: name, kind: tar.TypeChar} }
func layer(entries ...entry) []entry    { return entries }
func image(layers ...[]entry) [][]entry { return layers }

// read applies layers, of which each has the diff ID that it should have.
func read(t testing.TB, limits layers.Limits, unpacked [][]entry, paths ...string) (layers.Files, error) {
	t.Helper()
	i, err := layers.New(paths, limits)
	if err != nil {
		return layers.Files{}, err
	}
	for _, l := range unpacked {
		content := archive(t, l)
		if err := i.Apply(t.Context(), bytes.NewReader(content), described(content, digestOf(content))); err != nil {
			return layers.Files{}, err
		}
	}
	return i.Files(), nil
}

func small() layers.Limits {
	return layers.Limits{Unpacked: 1 << 20, Entries: 100, Names: 50, File: 1 << 10, Files: 2 << 10}
}

// TestRefusals: what ends the whole.
func TestRefusals(t *testing.T) {
	t.Parallel()
	var many, links, deep, parts, winding []entry
	for n := range 101 {
		many = append(many, file(fmt.Sprintf("f%d", n), ""))
	}
	for n := range 51 {
		links = append(links, symlink(fmt.Sprintf("l%d", n), "x"))
	}
	for n := range 45 {
		deep = append(deep, symlink(fmt.Sprintf("l%d", n), fmt.Sprintf("l%d", n+1)))
	}
	for n := range 6 {
		parts = append(parts, file(strings.Repeat("a/", 2000)+fmt.Sprint(n), ""))
	}
	for n := range 10 {
		winding = append(winding, symlink(fmt.Sprintf("l%d", n), strings.Repeat("./", 2000)+fmt.Sprintf("l%d", n+1)))
	}
	full := strings.Repeat("x", 1<<10)
	for _, tt := range []struct {
		name     string
		unpacked [][]entry
		paths    []string
		code     edge.Code
		says     string
	}{
		{"more entries than are read", image(layer(many...)), []string{"f"}, edge.TooLarge, "more than 100 entries"},
		{"more entries, over several layers", image(many[:60], many[60:]), []string{"f"}, edge.TooLarge, "more than 100 entries"},
		{"more links than are remembered", image(links), []string{"f"}, edge.TooLarge, "more than 50 names"},
		{"more bytes than are unpacked", image(layer(file("f", strings.Repeat("x", 1<<20)))), []string{"g"}, edge.TooLarge, "more than 1048576 bytes"},
		{"files that are too large together", image(layer(file("a", full), file("b", full), file("c", full))), []string{"a", "b", "c"}, edge.TooLarge, "more than 2048 bytes"},
		{"a name that climbs", image(layer(file("../etc/passwd", ""))), []string{"etc/passwd"}, edge.Malformed, "want one below the root"},
		{"a name that climbs within", image(layer(file("a/../../etc/passwd", ""))), []string{"etc/passwd"}, edge.Malformed, "want one below the root"},
		{"a hard link to what climbs", image(layer(hardLink("a", "../b"))), []string{"a"}, edge.Malformed, "want one below the root"},
		{"a name that is too long", image(layer(file(strings.Repeat("x/", 2099)+"xx", ""))), []string{"a"}, edge.Malformed, "a name of 4200 bytes"},
		{"a link that is too long", image(layer(symlink("a", strings.Repeat("x", 5000)))), []string{"a"}, edge.Malformed, "a target of 5000 bytes"},
		{"links in a circle", image(layer(symlink("a", "b"), symlink("b", "a"), file("a/x", ""))), []string{"x"}, edge.Malformed, "more than 40 links"},
		{"a chain of links", image(slices.Concat(deep, layer(file("l0/x", "")))), []string{"x"}, edge.Malformed, "more than 40 links"},
		{"a hard link through a circle of links", image(layer(symlink("a", "b"), symlink("b", "a"), hardLink("c", "a/x"))), []string{"c"}, edge.Malformed, `a hard link to "a/x", which leads through more than 40 links`},
		{"a hard link through a chain of links", image(slices.Concat(deep, layer(hardLink("c", "l0/x")))), []string{"c"}, edge.Malformed, "more than 40 links"},
		{"a hard link to a name that is too long", image(layer(hardLink("a", strings.Repeat("x/", 2099)+"xx"))), []string{"a"}, edge.Malformed, "a name of 4200 bytes"},
		{"a link to nothing", image(layer(symlink("a", ""))), []string{"a"}, edge.Malformed, "a target of 0 bytes"},
		{"more parts of names than are looked at", image(layer(parts...)), []string{"f"}, edge.TooLarge, "names with more than 10000 parts"},
		{"more parts of names, over several layers", image(parts[:3], parts[3:]), []string{"f"}, edge.TooLarge, "names with more than 10000 parts"},
		{"more parts of links", image(slices.Concat(winding, layer(file("l0/x", "")))), []string{"f"}, edge.TooLarge, "names with more than 10000 parts"},
		{"more parts of links that a hard link leads through", image(slices.Concat(winding, layer(hardLink("c", "l0/x")))), []string{"f"}, edge.TooLarge, "names with more than 10000 parts"},
		{"a whiteout of its own directory", image(layer(whiteout("a/.wh.."))), []string{"a"}, edge.Malformed, "whiteout of \".\""},
		{"a whiteout of nothing", image(layer(whiteout("a/.wh."))), []string{"a"}, edge.Malformed, "whiteout of \"\""},
		{"a whiteout that climbs", image(layer(whiteout("a/.wh..."))), []string{"a"}, edge.Malformed, "whiteout of \"..\""},
		{"a file and behind it its whiteout", image(layer(file("a/b", ""), whiteout("a/.wh.b"))), []string{"a/b"}, edge.Malformed, "behind it a whiteout"},
		{"a file and behind it a whiteout of its directory", image(layer(file("a/b/c", ""), whiteout("a/.wh.b"))), []string{"a/b/c"}, edge.Malformed, "behind it a whiteout"},
		{"a path that climbs", nil, []string{"../etc/passwd"}, edge.Malformed, "want the path of a file"},
		{"a path with a null byte", nil, []string{"etc/passwd\x00"}, edge.Malformed, "want the path of a file"},
		{"a path that is too long", nil, []string{strings.Repeat("x", 5000)}, edge.Malformed, "want the path of a file"},
		{"the root", nil, []string{"/"}, edge.Malformed, "want the path of a file"},
		{"no path", nil, []string{""}, edge.Malformed, "want the path of a file"},
		{"many paths", nil, make([]string, 101), edge.TooLarge, "got 101, want at most 100"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := read(t, small(), tt.unpacked, tt.paths...)
			if !errors.Is(err, tt.code) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v and error %v, want %s: %s", got, err, tt.code, tt.says)
			}
		})
	}
}

// TestLayerWithoutEndIsLeft when its reader's time is over.
func TestLayerWithoutEndIsLeft(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	i, err := layers.New([]string{"a"}, layers.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	content := archive(t, layer(file("a", "text")))
	endless := io.MultiReader(bytes.NewReader(content), zeros{after: func() { cancel() }})
	if err := i.Apply(ctx, endless, layers.Layer{}); !errors.Is(err, edge.Timeout) {
		t.Errorf("got error %v, want timeout", err)
	}
}

// zeros has no end.
type zeros struct{ after func() }

func (z zeros) Read(p []byte) (int, error) {
	z.after()
	return len(p), nil
}

func TestFiles(t *testing.T) {
	t.Parallel()
	text := func(path, content string) layers.Files {
		return layers.Files{Text: map[string]string{path: content}}
	}
	missing := func(path string) layers.Files { return layers.Files{Missing: []string{path}} }
	leads := func(path, to string) layers.Files { return layers.Files{Links: map[string]string{path: to}} }
	unreadable := func(path, why string) layers.Files {
		return layers.Files{Unreadable: map[string]string{path: why}}
	}
	for _, tt := range []struct {
		name     string
		unpacked [][]entry
		path     string
		want     layers.Files
	}{
		{"no layers", nil, "a", missing("a")},
		{"a file", image(layer(dir("etc"), file("etc/a", "x"))), "etc/a", text("etc/a", "x")},
		{"an empty file", image(layer(file("a", ""))), "a", text("a", "")},
		{"a path from the root", image(layer(file("etc/a", "x"))), "/etc/a", text("/etc/a", "x")},
		{"names from the root", image(layer(file("/etc/a", "x"))), "etc/a", text("etc/a", "x")},
		{"names from here", image(layer(file("./etc/./a", "x"))), "etc/a", text("etc/a", "x")},
		{"another file", image(layer(file("etc/ab", "x"))), "etc/a", missing("etc/a")},
		{"the last layer wins", image(layer(file("a", "x")), layer(file("a", "y")), layer(file("b", "z"))), "a", text("a", "y")},
		{"the last entry wins", image(layer(file("a", "x"), file("a", "y"))), "a", text("a", "y")},
		{"a whiteout", image(layer(file("etc/a", "x")), layer(whiteout("etc/.wh.a"))), "etc/a", missing("etc/a")},
		{"a whiteout of its directory", image(layer(file("etc/a", "x")), layer(whiteout(".wh.etc"))), "etc/a", missing("etc/a")},
		{"a whiteout of another", image(layer(file("etc/a", "x")), layer(whiteout("etc/.wh.b"))), "etc/a", text("etc/a", "x")},
		{"a whiteout and then a file", image(layer(file("a", "x")), layer(whiteout(".wh.a"), file("a", "y"))), "a", text("a", "y")},
		{"a file above a whiteout", image(layer(file("a", "x")), layer(whiteout(".wh.a")), layer(file("a", "y"))), "a", text("a", "y")},
		{"a whiteout below a file", image(layer(whiteout(".wh.a")), layer(file("a", "y"))), "a", text("a", "y")},
		{"an opaque directory", image(layer(file("etc/d/a", "x")), layer(whiteout("etc/.wh..wh..opq"))), "etc/d/a", missing("etc/d/a")},
		{"an opaque root", image(layer(file("a", "x")), layer(whiteout(".wh..wh..opq"))), "a", missing("a")},
		{"an opaque directory behind its files", image(layer(file("etc/a", "x")), layer(file("etc/a", "y"), whiteout("etc/.wh..wh..opq"))), "etc/a", text("etc/a", "y")},
		{"an opaque directory before its files", image(layer(file("etc/a", "x")), layer(whiteout("etc/.wh..wh..opq"), file("etc/a", "y"))), "etc/a", text("etc/a", "y")},
		{"an opaque directory beside it", image(layer(file("etc/a", "x")), layer(whiteout("opt/.wh..wh..opq"))), "etc/a", text("etc/a", "x")},
		{"what AUFS keeps for itself", image(layer(file("a", "x"), whiteout(".wh..wh.aufs"))), "a", text("a", "x")},
		{"a file in place of its directory", image(layer(file("etc/a", "x")), layer(file("etc", ""))), "etc/a", missing("etc/a")},
		{"a directory", image(layer(dir("etc"))), "etc", unreadable("etc", "got a directory")},
		{"a directory that nobody lists", image(layer(file("etc/a", "x"))), "etc", unreadable("etc", "got a directory")},
		{"a directory in place of a file", image(layer(file("etc", "x")), layer(dir("etc"))), "etc", unreadable("etc", "got a directory")},
		{"a device", image(layer(device("dev/null"))), "dev/null", unreadable("dev/null", "got a device or a pipe")},
		{"a device in place of a file", image(layer(file("a", "x")), layer(device("a"))), "a", unreadable("a", "got a device or a pipe")},
		{"a symbolic link", image(layer(symlink("etc/os-release", "../usr/lib/os-release"), file("usr/lib/os-release", "x"))), "etc/os-release", leads("etc/os-release", "usr/lib/os-release")},
		{"a directory that is a symbolic link", image(layer(symlink("lib", "usr/lib"), file("usr/lib/a", "x"))), "lib/a", leads("lib/a", "usr/lib/a")},
		{"a link that leads out", image(layer(symlink("a", "../../../etc/passwd"))), "a", leads("a", "etc/passwd")},
		{"a link from the root", image(layer(symlink("d/a", "/b"))), "d/a", leads("d/a", "b")},
		{"a link to the root", image(layer(symlink("a", "/"))), "a", leads("a", ".")},
		{"a link to itself", image(layer(symlink("a", "a"))), "a", unreadable("a", "got more than 40 symbolic links")},
		{"a link in place of a file", image(layer(file("a", "x")), layer(symlink("a", "b"))), "a", leads("a", "b")},
		{"a file in place of a link", image(layer(symlink("a", "b")), layer(file("a", "x"))), "a", text("a", "x")},
		{"a layer that writes through a link", image(layer(symlink("lib", "usr/lib"), file("usr/lib/a", "x")), layer(file("lib/a", "y"))), "usr/lib/a", text("usr/lib/a", "y")},
		{"a whiteout through a link", image(layer(symlink("lib", "usr/lib"), file("usr/lib/a", "x")), layer(whiteout("lib/.wh.a"))), "usr/lib/a", missing("usr/lib/a")},
		{"a layer that writes through a hard link to a link", image(layer(symlink("l", "usr"), hardLink("m", "l"), file("usr/a", "x")), layer(file("m/a", "y"))), "usr/a", text("usr/a", "y")},
		{"a directory in place of a link", image(layer(symlink("lib", "usr/lib"), file("usr/lib/a", "x")), layer(dir("lib"), file("lib/a", "y"))), "usr/lib/a", text("usr/lib/a", "x")},
		{"a link that an opaque directory hides", image(layer(symlink("d/l", "/e"), file("e/a", "x")), layer(whiteout("d/.wh..wh..opq"), file("d/l/a", "y"), dir("d/l"))), "d/l/a", text("d/l/a", "y")},
		{"a hard link", image(layer(file("a", "x"), hardLink("b", "a"))), "b", unreadable("b", `got a hard link to "a"`)},
		{"bytes that are no text", image(layer(file("a", "\xff"))), "a", unreadable("a", "got bytes that are not UTF-8")},
		{"a large file", image(layer(file("a", strings.Repeat("x", 1025)))), "a", unreadable("a", "got 1025 bytes, want at most 1024")},
		{"a file of the largest size", image(layer(file("a", strings.Repeat("x", 1024)))), "a", text("a", strings.Repeat("x", 1024))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := read(t, small(), tt.unpacked, tt.path)
			if err != nil {
				t.Fatal(err)
			}
			want := layers.Files{Text: map[string]string{}, Links: map[string]string{}, Missing: []string{}, Unreadable: map[string]string{}}
			if tt.want.Text != nil {
				want.Text = tt.want.Text
			}
			if tt.want.Links != nil {
				want.Links = tt.want.Links
			}
			if tt.want.Missing != nil {
				want.Missing = tt.want.Missing
			}
			if tt.want.Unreadable != nil {
				want.Unreadable = tt.want.Unreadable
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPathsThatAreAskedTogether: what a link leads to is text where that was asked for as well.
func TestPathsThatAreAskedTogether(t *testing.T) {
	t.Parallel()
	unpacked := image(layer(symlink("etc/os-release", "../usr/lib/os-release"), file("usr/lib/os-release", "ID=debian"),
		hardLink("copy", "usr/lib/os-release")))
	got, err := read(t, small(), unpacked, "/etc/os-release", "usr/lib/os-release", "copy", "none")
	if err != nil {
		t.Fatal(err)
	}
	want := layers.Files{
		Text:  map[string]string{"/etc/os-release": "ID=debian", "usr/lib/os-release": "ID=debian", "copy": "ID=debian"},
		Links: map[string]string{}, Missing: []string{"none"}, Unreadable: map[string]string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// compressed are bytes as a registry has them.
func compressed(t testing.TB, with string, content []byte, options ...zstd.EOption) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch with {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		encoder, err := zstd.NewWriter(&out, options...)
		if err != nil {
			t.Fatal(err)
		}
		w = encoder
	default:
		return content
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestCompression(t *testing.T) {
	t.Parallel()
	content := archive(t, layer(file("a", "text")))
	half := len(content) / 2
	for name, body := range map[string][]byte{
		"none": content, "gzip": compressed(t, "gzip", content), "zstd": compressed(t, "zstd", content),
		"gzip in parts":               append(compressed(t, "gzip", content[:half]), compressed(t, "gzip", content[half:])...),
		"zstd in parts":               append(compressed(t, "zstd", content[:half]), compressed(t, "zstd", content[half:])...),
		"zstd behind what is skipped": append([]byte{0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2}, compressed(t, "zstd", content)...),
	} {
		i, err := layers.New([]string{"a"}, small())
		if err != nil {
			t.Fatal(err)
		}
		if err := i.Apply(t.Context(), bytes.NewReader(body), described(body, digestOf(content))); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := i.Files().Text["a"]; got != "text" {
			t.Errorf("%s: got %q, want the text", name, got)
		}
	}
}

// FuzzApply: no bytes break the reader, or make it hold more than its limits.
func FuzzApply(f *testing.F) {
	content := archive(f, layer(file("a", "text"), symlink("b", "a"), whiteout(".wh.c"), hardLink("d", "a")))
	for _, with := range []string{"none", "gzip", "zstd"} {
		f.Add(compressed(f, with, content))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		i, err := layers.New([]string{"a", "b/c", "d"}, small())
		if err != nil {
			t.Fatal(err)
		}
		_ = i.Apply(t.Context(), bytes.NewReader(body), described(body, ""))
		held := 0
		for _, text := range i.Files().Text {
			held += len(text)
		}
		if held > 3<<10 {
			t.Errorf("got %d bytes of files, want at most one more than the limit holds", held)
		}
	})
}
