package layers_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci/layers"
)

// The model unpacks layers one entry after the other into a file system, as containerd does. It is simple where the
// package is thrifty: it keeps everything.
type model struct {
	root  *inode
	layer int
	// removes is containerd's way with whiteouts: all that is there goes. By the specification what the same layer
	// brought stays.
	removes bool
}

type inode struct {
	in    map[string]*inode // of a directory
	link  string
	text  string
	layer int
}

// errUnpackable: no runtime gets through these layers.
var errUnpackable = errors.New("not to be unpacked")

// resolve is where a name leads, with every link followed, and what is there.
func (m *model) resolve(name string) (string, *inode, error) {
	done, todo := []string{}, strings.Split(name, "/")
	find := func() *inode {
		at := m.root
		for _, part := range done {
			if at = at.in[part]; at == nil {
				return nil
			}
		}
		return at
	}
	for hops := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = done[:max(0, len(done)-1)]
			continue
		}
		done = append(done, part)
		if at := find(); at != nil && at.link != "" {
			if hops++; hops > 40 {
				return "", nil, errUnpackable
			}
			done = done[:len(done)-1]
			if strings.HasPrefix(at.link, "/") {
				done = nil
			}
			todo = append(strings.Split(at.link, "/"), todo...)
		}
	}
	return strings.Join(done, "/"), find(), nil
}

// dir is the directory of a name, made where there is none.
func (m *model) dir(name string) (*inode, error) {
	where, _, err := m.resolve(name)
	if err != nil {
		return nil, err
	}
	at := m.root
	for part := range strings.SplitSeq(where, "/") {
		if part == "" {
			continue
		}
		if at.in[part] == nil {
			at.in[part] = &inode{in: map[string]*inode{}, layer: m.layer}
		}
		if at = at.in[part]; at.in == nil {
			return nil, errUnpackable
		}
	}
	return at, nil
}

// older removes what is older than the layer, and says whether anything is left.
func (m *model) older(at *inode) bool {
	for name, child := range at.in {
		if !m.older(child) {
			delete(at.in, name)
		}
	}
	return len(at.in) > 0 || at.layer == m.layer
}

func (m *model) apply(e entry) error {
	parent, base := path.Split(e.name)
	if hidden, ok := strings.CutPrefix(base, ".wh."); ok {
		_, at, err := m.resolve(parent)
		switch {
		case err != nil || at == nil || at.in == nil:
			return err
		case hidden == ".wh..opq":
			for name, child := range at.in {
				if !m.older(child) {
					delete(at.in, name)
				}
			}
		case at.in[hidden] != nil && (m.removes || !m.older(at.in[hidden])):
			delete(at.in, hidden)
		}
		return nil
	}
	at, err := m.dir(parent)
	if err != nil {
		return err
	}
	old := at.in[base]
	switch e.kind {
	case tar.TypeDir:
		if old == nil || old.in == nil {
			at.in[base] = &inode{in: map[string]*inode{}}
		}
	case tar.TypeSymlink:
		at.in[base] = &inode{link: e.to}
	case tar.TypeReg:
		at.in[base] = &inode{text: e.to}
	case tar.TypeLink:
		// containerd removes what is in the way first.
		delete(at.in, base)
		dir, last := path.Split(e.to)
		_, from, err := m.resolve(dir)
		if err != nil || from == nil || from.in[last] == nil || from.in[last].in != nil {
			return errUnpackable
		}
		copied := *from.in[last]
		at.in[base] = &copied
	}
	at.in[base].layer = m.layer
	return nil
}

// entry is one of a tar.
type entry struct {
	name string
	kind byte
	to   string // target of a link, text of a file
}

// entries makes layers of bytes: names of few letters, so that they meet.
func entries(data []byte) [][]entry {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	name := func() string {
		parts := make([]string, 1+next()%3)
		for i := range parts {
			parts[i] = string("abc"[next()%3])
		}
		return strings.Join(parts, "/")
	}
	var out [][]entry
	for len(data) > 0 && len(out) < 4 {
		var layer []entry
		for range 1 + next()%6 {
			e := entry{name: name()}
			switch next() % 9 {
			case 0, 1, 2:
				e.kind, e.to = tar.TypeReg, fmt.Sprintf("%d.%d", len(out), len(layer))
			case 3:
				e.kind = tar.TypeDir
			case 4:
				e.kind, e.to = tar.TypeSymlink, name()
			case 5:
				e.kind, e.to = tar.TypeSymlink, []string{"/", "../", "../../", "./"}[next()%4]+name()
			case 6:
				e.kind, e.to = tar.TypeLink, name()
			case 7:
				dir, base := path.Split(e.name)
				e.kind, e.name = tar.TypeReg, dir+".wh."+base
			case 8:
				dir, _ := path.Split(e.name)
				e.kind, e.name = tar.TypeReg, dir+".wh..wh..opq"
			}
			layer = append(layer, e)
		}
		out = append(out, layer)
	}
	return out
}

func archive(t testing.TB, layer []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range layer {
		header := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o644}
		if e.kind == tar.TypeReg {
			header.Size = int64(len(e.to))
		} else {
			header.Linkname = e.to
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if e.kind == tar.TypeReg {
			_, _ = w.Write([]byte(e.to))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// same holds the package to the model: both ways of unpacking give what it says, or it refuses, or nothing unpacks
// such layers.
func same(t *testing.T, unpacked [][]entry, paths []string) (judged bool) {
	t.Helper()
	image, err := layers.New(paths, layers.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	models := []*model{{root: &inode{in: map[string]*inode{}}}, {root: &inode{in: map[string]*inode{}}, removes: true}}
	for _, layer := range unpacked {
		content := archive(t, layer)
		if err := image.Apply(t.Context(), bytes.NewReader(content), described(content, digestOf(content))); err != nil {
			return false
		}
		for _, m := range models {
			m.layer++
			for _, e := range layer {
				if m.apply(e) != nil {
					return false
				}
			}
		}
	}
	for _, m := range models {
		for _, asked := range paths {
			if got, want := told(image.Files(), asked), m.tells(asked, paths); got != want && !strings.HasPrefix(got, "got a hard link") {
				t.Errorf("containerd's way %t: %s: got %q, want %q, of %q", m.removes, asked, got, want, unpacked)
			}
		}
	}
	return true
}

// told is what the package says of a path.
func told(files layers.Files, asked string) string {
	var out []string
	if text, ok := files.Text[asked]; ok {
		out = append(out, "text "+text)
	}
	if to, ok := files.Links[asked]; ok {
		out = append(out, "leads to "+to)
	}
	if slices.Contains(files.Missing, asked) {
		out = append(out, "missing")
	}
	if problem, ok := files.Unreadable[asked]; ok {
		out = append(out, problem)
	}
	return strings.Join(out, " and ")
}

func (m *model) tells(asked string, paths []string) string {
	where, at, err := m.resolve(asked)
	switch {
	case err != nil:
		return "got more than 40 symbolic links"
	case where != asked && !slices.Contains(paths, where):
		if where == "" {
			where = "."
		}
		return "leads to " + where
	case at == nil:
		return "missing"
	case at.in != nil:
		return "got a directory"
	}
	return "text " + at.text
}

// TestLikeUnpacking compares with the model, for many layers made at random.
func TestLikeUnpacking(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	judged := 0
	for range 10_000 {
		data := make([]byte, 8+random.IntN(60))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		unpacked := entries(data)
		paths := map[string]bool{}
		for range 1 + random.IntN(3) {
			for _, e := range entries([]byte{0, byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())})[0] {
				paths[path.Clean(strings.ReplaceAll(e.name, ".wh.", ""))] = true
			}
		}
		delete(paths, ".")
		delete(paths, ".wh..opq")
		if same(t, unpacked, slices.Sorted(maps.Keys(paths))) {
			judged++
		}
		if t.Failed() {
			return
		}
	}
	if judged < 2_000 {
		t.Errorf("got %d images that unpack, want some thousands", judged)
	}
}

// FuzzLikeUnpacking looks for layers about which the package and the model differ.
func FuzzLikeUnpacking(f *testing.F) {
	f.Add([]byte("abcdefghijklmnopqrstuvwxyz"))
	f.Fuzz(func(t *testing.T, data []byte) {
		same(t, entries(data), []string{"a", "b/a", "a/b", "a/b/c", "c/c"})
	})
}
