// Package layers reads files out of the layers of an image, as whoever unpacks the image would: bytes in, files out.
//
// [New] says which paths are wanted, [Image.Apply] reads one layer after the other, the lowest first, and
// [Image.Files] says what became of each path: the last layer wins, whiteouts and opaque directories hide what is
// below them, and a layer that writes through a symbolic link of a lower one writes where the link leads.
//
// What it refuses. A layer whose bytes are not those of its diff ID; more bytes, entries or names than its [Limits];
// names that climb out ("..") or that no file system takes; and what container runtimes unpack in different ways: a
// layer that has both a file and, behind it, its whiteout, a global header with the name of a file, an attribute of
// overlayfs. Each refusal ends the whole, with a code of package edge.
//
// What it never does. It writes no file, follows no URL, and gives no file that it may have mistaken: a path that leads
// to a symbolic link is answered with where that leads, a hard link and a device with what they are.
package layers

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

// Limits bound the work for one image.
type Limits struct {
	Unpacked int64 // bytes of all layers, decompressed
	Entries  int   // of all layers
	Names    int   // that have to be remembered: symbolic links and what leads to them
	File     int64 // bytes of one file that is wanted
	Files    int64 // bytes of all of them
}

// Defaults are limits that hold large images of programming languages (1.1 GB and 30,000 entries), and keep a
// decompression bomb to some seconds and all names to some 50 MB.
func Defaults() Limits {
	return Limits{Unpacked: 2 << 30, Entries: 500_000, Names: 200_000, File: 1 << 20, Files: 4 << 20}
}

const (
	// maxPaths bounds what is asked for at a time.
	maxPaths = 100
	// maxName is PATH_MAX of Linux: nothing unpacks a longer name.
	maxName = 4096
	// maxHops is how many symbolic links Linux follows for one name.
	maxHops = 40
	// maxSteps, for each entry that the limits admit, bounds how many parts of names are looked at: with links that lead
	// to links one name may have thousands. A name has about six.
	maxSteps = 100
)

// Files is what became of the paths that were wanted. Each is in one of the members, spelled as it was asked for.
type Files struct {
	// Text is the content of regular files.
	Text map[string]string `json:"files"`
	// Links is where a path leads that is or has a symbolic link, unless that was wanted as well: then the path has the
	// text of what it leads to.
	Links map[string]string `json:"links"`
	// Missing are the paths at which there is nothing.
	Missing []string `json:"missing"`
	// Unreadable says of the other paths why there is no text.
	Unreadable map[string]string `json:"unreadable"`
}

// Image is the file system of an image as far as its layers were applied.
type Image struct {
	limits  Limits
	asked   map[string]string // as asked for, to the name
	wanted  map[string]bool   // names
	root    node
	layer   int // the one that is being applied, from 1
	entries int
	names   int
	steps   int
	left    int64 // bytes that may be unpacked
	text    int64 // bytes of files that are held
}

// New is an empty image of which paths are wanted: absolute, or relative to the root.
func New(paths []string, limits Limits) (*Image, error) {
	if len(paths) > maxPaths {
		return nil, edge.Refuse(edge.TooLarge, "paths: got %d, want at most %d", len(paths), maxPaths)
	}
	i := &Image{limits: limits, asked: map[string]string{}, wanted: map[string]bool{}, left: limits.Unpacked}
	for _, asked := range paths {
		name, err := cleaned(asked)
		if err != nil || name == "" {
			return nil, edge.Refuse(edge.Malformed, "paths: got %.100q, want the path of a file", asked)
		}
		i.asked[asked], i.wanted[name] = name, true
	}
	return i, nil
}

// cleaned is a name without a slash at its ends, "." or empty parts; "" is the root. It refuses what climbs.
func cleaned(name string) (string, error) {
	if len(name) > maxName {
		return "", edge.Refuse(edge.Malformed, "got a name of %d bytes, want at most %d", len(name), maxName)
	}
	if strings.Contains(name, "\x00") || slices.Contains(strings.Split(name, "/"), "..") {
		return "", edge.Refuse(edge.Malformed, "got the name %.100q, want one below the root", name)
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/"), nil
}

// Files says what became of the paths.
func (i *Image) Files() Files {
	out := Files{Text: map[string]string{}, Links: map[string]string{}, Missing: []string{}, Unreadable: map[string]string{}}
	for _, asked := range slices.Sorted(maps.Keys(i.asked)) {
		name := i.asked[asked]
		at, ok := i.resolve(name)
		if !ok {
			out.Unreadable[asked] = "got more than 40 symbolic links"
			continue
		}
		found := i.visible(at)
		switch {
		case at != name && !i.wanted[at]:
			out.Links[asked] = cmp.Or(at, ".")
		case found == nil:
			out.Missing = append(out.Missing, asked)
		case found.problem != "":
			out.Unreadable[asked] = found.problem
		default:
			out.Text[asked] = found.text
		}
	}
	return out
}

// check ends what goes on too long.
func (i *Image) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return edge.Refusal("layer", err)
	}
	if i.entries > i.limits.Entries {
		return edge.Refuse(edge.TooLarge, "got more than %d entries in all layers", i.limits.Entries)
	}
	if err := i.spent(); err != nil {
		return err
	}
	if i.names > i.limits.Names {
		return edge.Refuse(edge.TooLarge, "got more than %d names to remember in all layers", i.limits.Names)
	}
	if i.text > i.limits.Files {
		return edge.Refuse(edge.TooLarge, "files: got more than %d bytes in all", i.limits.Files)
	}
	return nil
}

// spent ends what looks at too many parts of names.
func (i *Image) spent() error {
	if most := i.limits.Entries * maxSteps; i.steps > most {
		return edge.Refuse(edge.TooLarge, "got names with more than %d parts in all layers", most)
	}
	return nil
}
