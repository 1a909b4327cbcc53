package stores

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
)

// directory is a store on disk, for one machine or a shared volume. [os.Root] keeps every name, symbolic links
// included, inside it.
type directory struct{ root *os.Root }

func openDirectory(u *url.URL) (Store, error) {
	if _, err := knows(u); err != nil {
		return nil, err
	}
	if u.Host != "" || u.Path == "" {
		return nil, fmt.Errorf("got host %q and path %q, want file:///dir", u.Host, u.Path)
	}
	root, err := os.OpenRoot(u.Path)
	if err != nil {
		return nil, ofDisk(err)
	}
	return directory{root}, nil
}

// Put writes beside the object and renames: a reader, and a machine that loses power, has one or the other.
func (d directory) Put(_ context.Context, name string, data []byte) (err error) {
	dir := path.Dir(name)
	if err := d.root.MkdirAll(dir, 0o755); err != nil {
		return ofDisk(err)
	}
	temporary := path.Join(dir, "."+rand.Text()) // no name of an object begins with a dot
	f, err := d.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return ofDisk(err)
	}
	defer func() {
		if err != nil {
			_ = d.root.Remove(temporary)
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return ofDisk(err)
	}
	return ofDisk(d.root.Rename(temporary, name))
}

// Get does not wait for a pipe that somebody put in an object's place.
func (d directory) Get(_ context.Context, name string, most int64) ([]byte, error) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, ofDisk(err)
	}
	defer func() { _ = f.Close() }() // what was only read loses nothing
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, ofDisk(err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("got a %s, want a file", kind(info.Mode()))
	case info.Size() > most:
		return nil, fmt.Errorf("got %d bytes, want at most %d: %w", info.Size(), most, ErrTooLarge)
	}
	return readAll(f, most)
}

func kind(mode fs.FileMode) string {
	if mode.IsDir() {
		return "directory"
	}
	return "special file"
}

// List follows no symbolic link.
func (d directory) List(ctx context.Context, prefix, after string, most int) ([]Entry, error) {
	var found []Entry
	seen := 0
	err := fs.WalkDir(d.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist): // removed since its directory was read
			return nil
		case err != nil:
			return err
		case name == ".":
			return nil
		}
		if seen++; seen > maxListed {
			return fmt.Errorf("got more than %d files and directories: %w", maxListed, ErrTooLarge)
		}
		if entry.IsDir() {
			if outside(name+"/", prefix, after) {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || !asked(name, prefix, after) {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		found = append(found, Entry{Name: name, Size: info.Size(), Modified: info.ModTime()})
		return nil
	})
	return page(found, most), ofDisk(err)
}

// outside says whether no name below a directory can be in the listing.
func outside(dir, prefix, after string) bool {
	if !strings.HasPrefix(dir, prefix) && !strings.HasPrefix(prefix, dir) {
		return true
	}
	return dir < after && !strings.HasPrefix(after, dir)
}

// ofDisk makes the store's errors of those of files.
func ofDisk(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return err
}
