package trust

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// The bounds of a repository that came along. The public-good one has 60 files and
// 300 KB; a TrustRoot is at most a Kubernetes object, 1.5 MB.
const (
	mostArchiveBytes  = 4 << 20
	mostUnpackedBytes = 32 << 20
	mostFileBytes     = 8 << 20
	mostEntries       = 2000
	longestPath       = 512
)

// files are those of a TUF repository by their path in it.
type files map[string][]byte

// unpack reads a gzipped tar archive into memory: plain files, whole, each once,
// below the directory that holds them. Everything else is an error: a repository
// has no use for it.
func unpack(archive []byte) (files, error) {
	if len(archive) > mostArchiveBytes {
		return nil, fmt.Errorf("archive: got %d bytes, want at most %d", len(archive), mostArchiveBytes)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("failed to uncompress: %w", err) // upstream's text (TR-7)
	}
	bounded := &io.LimitedReader{R: unzipped, N: mostUnpackedBytes + 1}
	out := files{}
	for reader, entries := tar.NewReader(bounded), 1; ; entries++ {
		header, err := reader.Next()
		switch {
		case bounded.N <= 0:
			return nil, fmt.Errorf("archive: got more than %d bytes unpacked", mostUnpackedBytes)
		case errors.Is(err, io.EOF):
			return out, drain(bounded)
		case err != nil:
			return nil, fmt.Errorf("archive: %w", err)
		case entries > mostEntries:
			return nil, fmt.Errorf("archive: got more than %d entries", mostEntries)
		}
		if err := out.add(header, reader); err != nil && bounded.N > 0 {
			return nil, fmt.Errorf("archive: %.80q: %w", header.Name, err)
		}
	}
}

// drain reads what follows the last entry, so that an archive that was cut off or
// changed there is not taken for a whole one: the checksum stands at the end.
func drain(rest *io.LimitedReader) error {
	if _, err := io.Copy(io.Discard, rest); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if rest.N <= 0 {
		return fmt.Errorf("archive: got more than %d bytes unpacked", mostUnpackedBytes)
	}
	return nil
}

func (f files) add(header *tar.Header, content io.Reader) error {
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeDir:
		// A sparse file is one of these too, and its holes are no bytes of the archive.
		if header.PAXRecords["GNU.sparse.major"] != "" || header.PAXRecords["GNU.sparse.map"] != "" ||
			header.PAXRecords["GNU.sparse.size"] != "" || header.PAXRecords["GNU.sparse.realsize"] != "" {
			return errors.New("got a sparse file, want whole ones")
		}
	case tar.TypeXGlobalHeader: // a comment, as git archive writes one
		return nil
	default:
		return fmt.Errorf("got an entry of type %q, want files and directories", header.Typeflag)
	}
	name, err := local(header.Name)
	if err != nil || header.Typeflag == tar.TypeDir {
		return err
	}
	if _, twice := f[name]; twice {
		return errors.New("the file stands twice")
	}
	if header.Size > mostFileBytes {
		return fmt.Errorf("got %d bytes, want at most %d", header.Size, mostFileBytes)
	}
	// One Read may give less than there is (TR-9).
	f[name], err = io.ReadAll(io.LimitReader(content, mostFileBytes))
	return err
}

// local is the path of an entry below the root of the archive.
func local(name string) (string, error) {
	if len(name) > longestPath {
		return "", fmt.Errorf("path: got %d bytes, want at most %d", len(name), longestPath)
	}
	out := path.Clean(name)
	if path.IsAbs(out) || strings.ContainsAny(name, "\\\x00") || out == ".." || strings.HasPrefix(out, "../") ||
		strings.Contains(name, "/../") {
		return "", errors.New("path: got one that leads out of the archive")
	}
	return out, nil
}

// repository are the files below the directory with the metadata: archives are made
// of the directory, or from within it.
func (f files) repository() (files, error) {
	var roots []string
	for name := range f {
		if path.Base(name) == "timestamp.json" {
			roots = append(roots, path.Dir(name))
		}
	}
	if len(roots) != 1 {
		return nil, fmt.Errorf("archive: got %d files timestamp.json, want one", len(roots))
	}
	out := files{}
	for name, content := range f {
		if roots[0] == "." {
			out[name] = content
		} else if below, ok := strings.CutPrefix(name, roots[0]+"/"); ok {
			out[below] = content
		}
	}
	return out, nil
}
