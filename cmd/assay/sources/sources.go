// Package sources finds and reads what the files and directories on a command line hold:
// resources, policies in Rego, and data documents for these.
//
// A directory stands for the YAML and JSON files directly in it, which hold resources, and
// for the .rego files and data documents in it and below it. A data document is a file of
// the name data.json, data.yaml or data.yml; as in OPA's bundles, its place below the
// directory is its place below data. What begins with a dot is left out, and so are Rego
// tests (*_test.rego) and fixtures (*_test.yaml and *_test.yml with cases or a world, and no resource).
// Links are followed, but no directory is read twice.
//
// What is there and cannot be read is an error: leaving it out would drop a policy.
package sources

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assay-dev/assay/cmd/assay/suite/fixture"
	"github.com/assay-dev/assay/rego/cip/strict"
)

// Bounds.
const (
	// MaxFile bounds one file, as the vocabulary bounds one stream.
	MaxFile = 4 << 20
	// maxData bounds all data documents together; as values of OPA they take ten times that.
	maxData = 64 << 20
	// maxFiles, which bounds directories too, and maxDepth are far above any repository
	// of policies, and below any disk.
	maxFiles = 10_000
	maxDepth = 32
)

// Files are those that were found, in order.
type Files struct {
	// Resources hold Kubernetes objects.
	Resources []string
	// Rego are policies in Rego, and libraries.
	Rego []string
	// Tests are Rego tests in the directories, which no policy set is made of.
	Tests []string
	// Data are the data documents.
	Data []Document
	// Directories are where files may change.
	Directories []string
}

// Document is a data document.
type Document struct {
	Path string
	// At is its place below data.
	At []string
}

// Find lists what the paths stand for.
func Find(paths []string) (Files, error) {
	f := finder{seen: map[string]bool{}}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return Files{}, err
		}
		if info.IsDir() {
			err = f.directory(path)
		} else {
			f.out.Directories = append(f.out.Directories, filepath.Dir(path))
			err = f.named(path)
		}
		if err != nil {
			return Files{}, err
		}
	}
	slices.Sort(f.out.Directories)
	f.out.Directories = slices.Compact(f.out.Directories)
	return f.out, nil
}

type finder struct {
	out  Files
	seen map[string]bool // directories, without links
}

// Kind is what a file is to policies in Rego.
type Kind int

// The kinds of files.
const (
	Other  Kind = iota // resources, and all else
	Policy             // policies in Rego, and libraries
	Tests              // of these
	Data               // a data document
)

// KindOf says what a file of that name is.
func KindOf(name string) Kind {
	switch {
	case strings.HasSuffix(name, "_test.rego"):
		return Tests
	case filepath.Ext(name) == ".rego":
		return Policy
	case slices.Contains([]string{"data.json", "data.yaml", "data.yml"}, name):
		return Data
	}
	return Other
}

// Hidden reports whether a file or directory of that name is left out where a directory
// stands for what is in it.
func Hidden(name string) bool { return strings.HasPrefix(name, ".") }

// named takes a file that was named itself.
func (f *finder) named(path string) error {
	switch KindOf(filepath.Base(path)) {
	case Tests:
		return fmt.Errorf("%s: got Rego tests, want policies", path)
	case Policy:
		f.out.Rego = append(f.out.Rego, path)
	case Data:
		f.out.Data = append(f.out.Data, Document{Path: path})
	default:
		f.out.Resources = append(f.out.Resources, path)
	}
	return nil
}

func (f *finder) directory(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		file := filepath.Join(path, entry.Name())
		if isResource(entry.Name()) && mayBeFile(file) && !isFixture(file) {
			f.out.Resources = append(f.out.Resources, file)
		}
	}
	return f.walk(path, nil)
}

// walk finds Rego and data in a directory and below it.
func (f *finder) walk(path string, at []string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if real, err = filepath.Abs(real); err != nil {
		return err
	}
	if f.seen[real] {
		return nil
	}
	f.seen[real] = true
	if len(f.seen) > maxFiles {
		return fmt.Errorf("%s: got more than %d directories, want those of policies", path, maxFiles)
	}
	if len(at) > maxDepth {
		return fmt.Errorf("%s: got directories %d deep, want at most %d", path, len(at), maxDepth)
	}
	f.out.Directories = append(f.out.Directories, path)
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := f.entry(filepath.Join(path, entry.Name()), entry.Name(), at); err != nil {
			return err
		}
	}
	return nil
}

func (f *finder) entry(file, name string, at []string) error {
	kind := KindOf(name)
	switch {
	case Hidden(name):
		return nil
	case kind == Tests && mayBeFile(file):
		f.out.Tests = append(f.out.Tests, file)
	case kind == Policy && mayBeFile(file):
		f.out.Rego = append(f.out.Rego, file)
	case kind == Data && mayBeFile(file):
		f.out.Data = append(f.out.Data, Document{Path: file, At: at})
	default:
		info, err := os.Stat(file)
		switch {
		case err != nil && isResource(name): // reading it says why, where it is read
		case err != nil: // a link that leads nowhere may have led to policies
			return err
		case info.IsDir():
			return f.walk(file, append(slices.Clone(at), name))
		}
	}
	if n := len(f.out.Rego) + len(f.out.Data); n > maxFiles {
		return fmt.Errorf("%s: got more than %d files of Rego and data", file, maxFiles)
	}
	return nil
}

func isResource(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) && KindOf(name) != Data
}

// isFixture is true of a file of tests beside the policies that they are of. Its name alone
// says nothing: what might be a resource is none.
func isFixture(path string) bool {
	if !fixture.IsFixture(path) {
		return false
	}
	text, err := Read(path, fixture.MaxBytes)
	return err == nil && fixture.Holds(text)
}

// mayBeFile is true of files, and of what cannot be told, such as a link that leads
// nowhere: reading it fails, where leaving it out would drop a policy. It follows links: a
// mounted ConfigMap is made of them.
func mayBeFile(path string) bool {
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular()
}

// Modules are the texts of the Rego files by path.
func (f Files) Modules() (map[string]string, error) { return Texts(f.Rego) }

// Texts are those of files by path, with slashes.
func Texts(paths []string) (map[string]string, error) {
	out := map[string]string{}
	var errs []error
	for _, path := range paths {
		text, err := Read(path, MaxFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		out[filepath.ToSlash(path)] = string(text)
	}
	return out, errors.Join(errs...)
}

// Documents are the data documents as one.
func (f Files) Documents() (map[string]any, error) {
	out := map[string]any{}
	var errs []error
	size := 0
	for _, document := range f.Data {
		object, n, err := document.object()
		if size += n; err == nil && size > maxData {
			return nil, fmt.Errorf("%s: got more than %d bytes of data documents", document.Path, maxData)
		}
		if err == nil {
			for _, part := range slices.Backward(document.At) {
				object = map[string]any{part: object}
			}
			err = Merge(out, object, "data")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", document.Path, err))
		}
	}
	return out, errors.Join(errs...)
}

// JSON is the document as JSON, whatever it is written in.
func (d Document) JSON() ([]byte, error) {
	text, err := Read(d.Path, MaxFile)
	if err != nil {
		return nil, err
	}
	return strict.JSON(text)
}

// Places are where below data the documents stand: of one at the top, each of its names.
func (f Files) Places() (out [][]string) {
	for _, document := range f.Data {
		if len(document.At) > 0 {
			out = append(out, document.At)
			continue
		}
		object, _, _ := document.object() // what is wrong with it, Documents says
		for name := range object {
			out = append(out, []string{name})
		}
	}
	return out
}

func (d Document) object() (map[string]any, int, error) {
	encoded, err := d.JSON()
	if err != nil {
		return nil, 0, err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, 0, err
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, 0, fmt.Errorf("got %s, want an object", strict.KindOf(tree))
	}
	kind, isKind := object["kind"].(string)
	if _, versioned := object["apiVersion"].(string); isKind && versioned {
		return nil, 0, fmt.Errorf("got a resource, %s, want a data document: give the file another name", kind)
	}
	return object, len(encoded), nil
}

// Merge puts one document into another. Two must not say anything of the same.
func Merge(into, from map[string]any, path string) error {
	for name, value := range from {
		before, taken := into[name]
		if !taken {
			into[name] = value
			continue
		}
		one, ok := before.(map[string]any)
		other, also := value.(map[string]any)
		if !ok || !also {
			return fmt.Errorf("%s.%s is in another data document too", path, name)
		}
		if err := Merge(one, other, path+"."+name); err != nil {
			return err
		}
	}
	return nil
}

// Read reads a file of at most so many bytes.
func Read(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("got more than %d bytes", most)
	}
	return data, nil
}
