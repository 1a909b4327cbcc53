package bundle

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
	"os"
	"slices"
	"syscall"

	"github.com/assay-dev/assay/rego/bundle/archive"
)

// fileCarrier brings a bundle that is a file, or a directory with one that is not packed.
type fileCarrier struct {
	path   string
	limits archive.Limits
}

func (c fileCarrier) carry(_ context.Context, known []string) ([]byte, string, error) {
	body, err := c.read()
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
func (c fileCarrier) read() ([]byte, error) {
	// Without waiting for whoever writes to it, where it is a pipe.
	f, err := os.OpenFile(c.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return c.pack()
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: got %s, want a regular file or a directory", c.path, info.Mode())
	}
	body, err := io.ReadAll(io.LimitReader(f, c.limits.Compressed+1))
	if err == nil && int64(len(body)) > c.limits.Compressed {
		err = fmt.Errorf("%s: got more than %d bytes", c.path, c.limits.Compressed)
	}
	return body, err
}

// pack makes of a directory the archive that it stands for. A link becomes a link, which is
// refused as it is in any other.
func (c fileCarrier) pack() (packed []byte, err error) {
	root, err := os.OpenRoot(c.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // only read
	var out bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(&limitedWriter{compressed, c.limits.Expanded})
	if err := archive.AddFS(root.FS()); err != nil {
		return nil, fmt.Errorf("%s: %w", c.path, err)
	}
	if err := errors.Join(archive.Close(), compressed.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", c.path, err)
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
