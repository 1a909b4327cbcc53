package recording

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assay-dev/assay/capsule"
)

// store keeps capsules in a directory up to a bound on their bytes: the oldest make
// room, since a bug report wants what happened last. It knows the files that were
// there when it began and those that it wrote, and touches no others.
type store struct {
	dir  string
	most int64

	opened bool
	files  []stored // the oldest first
	bytes  int64
}

type stored struct {
	path string
	size int64
}

// open reads the directory once.
func (s *store) open() error {
	if s.opened {
		return nil
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || !capsule.Named(entry.Name()) && !capsule.Unfinished(entry.Name()) {
			continue
		}
		s.add(stored{filepath.Join(s.dir, entry.Name()), info.Size()})
	}
	// A name begins with its time. What was left unfinished comes before all.
	slices.SortFunc(s.files, func(a, b stored) int { return strings.Compare(a.path, b.path) })
	s.opened = true
	return nil
}

func (s *store) add(file stored) {
	s.files = append(s.files, file)
	s.bytes += file.size
}

// save writes a capsule and removes the oldest until all are within the bound. The new
// one goes too when it alone is more.
func (s *store) save(c *capsule.Capsule) (path string, removed int, err error) {
	if err := s.open(); err != nil {
		return "", 0, err
	}
	path, size, err := capsule.Save(s.dir, c)
	if err != nil {
		return "", 0, err
	}
	s.files = slices.DeleteFunc(s.files, func(f stored) bool {
		if f.path == path { // the very same decision
			s.bytes -= f.size
		}
		return f.path == path
	})
	s.add(stored{path, size})
	s.files = slices.DeleteFunc(s.files, func(f stored) bool {
		if s.bytes <= s.most {
			return false
		}
		if gone := os.Remove(f.path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone) // it stays, and newer ones make room
			return false
		}
		s.bytes -= f.size
		removed++
		return true
	})
	return path, removed, err
}
