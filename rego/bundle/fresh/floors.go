package fresh

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// format is the version of the file that is written, and the only one that is read.
const format = "assay.floors/1"

// maxFile bounds the file: some thousand bundles with the longest revisions.
const maxFile = 1 << 20

// Floors is the highest revision of each bundle that was ever active here. It is safe for
// concurrent use, by one process: two that share a file would each forget what the other
// has seen.
type Floors struct {
	path string

	mu      sync.Mutex
	highest map[string]floor // by the name of the bundle
}

// floor is the highest revision of a bundle, and what it held.
type floor struct {
	Revision string `json:"revision"`
	// Content names what the bundle held. Revisions that are equal in order may be written in
	// many ways, and one is signed perhaps more than once: only this one is as new.
	Content string `json:"content"`
}

// file is what is written.
type file struct {
	Format string           `json:"format"`
	Floors map[string]floor `json:"floors"`
}

// Open reads the file, and none is an empty one: a first start has seen nothing. A file
// that cannot be read, or that is not what was written, is an error: taken for an empty
// one it would let every bundle go backwards. With an empty path nothing is kept on disk.
func Open(path string) (*Floors, error) {
	floors := &Floors{path: path, highest: map[string]floor{}}
	if path == "" {
		return floors, nil
	}
	content, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return floors, nil
	}
	if err != nil {
		return nil, fmt.Errorf("floors of revisions: %w", err)
	}
	if floors.highest, err = decode(content); err != nil {
		return nil, fmt.Errorf("floors of revisions: %s: %w", path, err)
	}
	return floors, nil
}

func read(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // only read
	content, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s: got more than %d bytes, want at most that", path, maxFile)
	}
	return content, nil
}

func decode(content []byte) (map[string]floor, error) {
	var got file
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		return nil, fmt.Errorf("got no JSON as it was written: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("got more after the object, want one object")
	}
	if got.Format != format {
		return nil, fmt.Errorf("format: got %q, want %q", cut(got.Format), format)
	}
	if got.Floors == nil {
		return nil, errors.New("floors: got none, want an object")
	}
	for name, of := range got.Floors {
		if _, err := parse(of.Revision); err != nil {
			return nil, fmt.Errorf("floors: bundle %q: %w", cut(name), err)
		}
	}
	return got.Floors, nil
}

// Check refuses a revision of a bundle with some content, "" where that is not known, that has no order, that is lower than the minimum,
// where there is one, and that is lower than one which was active here.
func (f *Floors) Check(name, revision, minimum, content string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.check(name, revision, minimum, content)
}

func (f *Floors) check(name, revision, minimum, content string) error {
	if _, err := parse(revision); err != nil {
		return fmt.Errorf("bundle %q: %w", name, err)
	}
	if minimum != "" {
		order, err := Compare(revision, minimum)
		if err != nil {
			return fmt.Errorf("bundle %q: minimum: %w", name, err)
		}
		if order < 0 {
			return fmt.Errorf("%w: bundle %q: got revision %q, want at least the minimum %q", ErrBackwards, name, revision, minimum)
		}
	}
	highest, ok := f.highest[name]
	if !ok {
		return nil
	}
	order, err := Compare(revision, highest.Revision)
	if err != nil {
		return fmt.Errorf("bundle %q: %w", name, err)
	}
	if order < 0 {
		return fmt.Errorf("%w: bundle %q: got revision %q, want at least %q, which was active here", ErrBackwards, name, revision, highest.Revision)
	}
	if order == 0 && content != "" && highest.Content != "" && content != highest.Content {
		return fmt.Errorf("%w: bundle %q: got revision %q with other content than %q had, which was active here, want a higher revision",
			ErrBackwards, name, revision, highest.Revision)
	}
	return nil
}

// Was says whether the highest revision of a bundle that was active here held just that.
func (f *Floors) Was(name, content string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	of, ok := f.highest[name]
	return ok && content != "" && of.Content == content
}

// Raise says that a revision of a bundle is active. Lower than one before it is refused.
// When it returns, the file has it: after a loss of power too.
func (f *Floors) Raise(name, revision, content string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(name, revision, "", content); err != nil {
		return err
	}
	if highest, ok := f.highest[name]; ok {
		if order, err := Compare(revision, highest.Revision); err != nil || order == 0 {
			return err
		}
	}
	raised := maps.Clone(f.highest)
	raised[name] = floor{revision, content}
	if f.path != "" {
		if err := write(f.path, raised); err != nil {
			return fmt.Errorf("floors of revisions: bundle %q: %w", name, err)
		}
	}
	f.highest = raised
	return nil
}

// write replaces the file by one that is whole on the disk.
func write(path string, floors map[string]floor) error {
	content, err := json.MarshalIndent(file{Format: format, Floors: floors}, "", "  ")
	if err != nil {
		return err
	}
	if len(content) >= maxFile {
		return fmt.Errorf("%s: got %d bytes, want at most %d", path, len(content), maxFile)
	}
	dir := filepath.Dir(path)
	out, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()) }() // gone where it was renamed
	_, err = out.Write(append(content, '\n'))
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	in, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	return in.Sync()
}
