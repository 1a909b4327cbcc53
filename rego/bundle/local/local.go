// Package local is a bundle that is a file of this machine, or a directory with one that is not packed: read
// within bounds, and once, so that what was looked at is what is used.
package local

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
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/assay-dev/assay/rego/bundle/archive"
)

// File is one.
type File struct {
	Path   string
	Limits archive.Limits
}

// Carry gives the bytes that there are now, nil where their tag is one of those that are known.
func (f File) Carry(_ context.Context, known []string) ([]byte, string, error) {
	body, err := f.read()
	if err != nil {
		return nil, "", fmt.Errorf("file %w", err)
	}
	sum := sha256.Sum256(body)
	tag := "sha256:" + hex.EncodeToString(sum[:])
	if slices.Contains(known, tag) {
		body = nil
	}
	return body, tag, nil
}

// read reads the file once: what is looked at is what OPA gets.
func (f File) read() ([]byte, error) {
	// Without waiting for whoever writes to it, where it is a pipe.
	in, err := os.OpenFile(f.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // only read
	info, err := in.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return f.pack()
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: got %s, want a regular file or a directory", f.Path, info.Mode())
	}
	body, err := io.ReadAll(io.LimitReader(in, f.Limits.Compressed+1))
	if err == nil && int64(len(body)) > f.Limits.Compressed {
		err = fmt.Errorf("%s: got more than %d bytes", f.Path, f.Limits.Compressed)
	}
	return body, err
}

// pack makes of a directory the archive that it stands for. A link becomes a link, which is
// refused as it is in any other.
func (f File) pack() (packed []byte, err error) {
	root, err := os.OpenRoot(f.Path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // only read
	var out bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(&limitedWriter{compressed, f.Limits.Expanded})
	if err := archive.AddFS(root.FS()); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	if err := errors.Join(archive.Close(), compressed.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return out.Bytes(), nil
}

// limitedWriter ends what writes too much.
type limitedWriter struct {
	to   io.Writer
	left int64
}

// Write implements [io.Writer].
func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.left -= int64(len(p)); w.left < 0 {
		return 0, fmt.Errorf("%w: got more than a bundle may expand to", archive.ErrTooLarge)
	}
	return w.to.Write(p)
}

// Kept shows what was kept, if anything was, and puts it aside where that is refused.
func (f File) Kept(show func(body []byte) error) error {
	body, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = show(body)
	}
	if err != nil {
		return errors.Join(err, os.Rename(f.Path, f.Path+".refused"))
	}
	return nil
}
