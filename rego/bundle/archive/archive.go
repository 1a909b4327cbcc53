// Package archive reads and writes a bundle as a file: an ordinary OPA bundle, which the
// stock opa loads too.
//
// A bundle is a gzip-compressed tar. In it is a manifest with its roots, Rego and data at
// their places, and resources, each as a data document of its own at
// resources/KIND/NAME/data.json. What [Write] writes is the same to the byte whenever the
// content is the same.
//
// [Read] is for what comes from anywhere. It holds every bound before it takes memory, and
// refuses what OPA would clean, merge, overwrite or leave out in silence: a path that means
// another place, two files of one place, a file that nobody reads, links, a second manifest,
// a file that the signature does not list, WebAssembly, and whatever belongs to the product
// itself ([Reserved]). It extracts nothing to a disk, opens no connection and trusts nobody:
// that a signature lists a file says nothing until [Archive.Verify] has seen the key.
package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"
)

// Format names what metadata.assay looks like.
const Format = "assay.bundle/1"

// Names of the files that are neither Rego nor data.
const (
	manifestFile   = ".manifest"
	signaturesFile = ".signatures.json"
	patchFile      = "patch.json"
)

// MaxFile bounds one file of a bundle, in bytes.
const MaxFile = 16 << 20

// maxDocument bounds a file: OPA holds a JSON document in about twenty times its bytes.
const maxDocument = MaxFile

// ErrTooLarge is wrapped by what refuses a bundle that is past one of its [Limits].
var ErrTooLarge = errors.New("bundle too large")

// Limits bound a bundle. A field that is zero stands for that of [Defaults].
type Limits struct {
	// Compressed bounds the file, and Expanded what it expands to, in bytes, headers of the
	// archive included.
	Compressed, Expanded int64
	// Files bounds the entries of the archive, directories included.
	Files int
}

// Defaults are far above a thousand policies, which take three megabytes, and below what an
// activation can hold in memory.
func Defaults() Limits { return Limits{Compressed: 32 << 20, Expanded: 64 << 20, Files: 10_000} }

func (l Limits) orDefaults() Limits {
	defaults := Defaults()
	if l.Compressed == 0 {
		l.Compressed = defaults.Compressed
	}
	if l.Expanded == 0 {
		l.Expanded = defaults.Expanded
	}
	if l.Files == 0 {
		l.Files = defaults.Files
	}
	return l
}

// Archive is a bundle.
type Archive struct {
	// Manifest is .manifest. Its metadata.assay is About.
	Manifest bundle.Manifest
	// About is what a bundle says that assay built. Its Format is empty in others.
	About About
	// Files are all others by their path, which has no leading slash: Rego, data
	// documents, or the patch.json of a delta.
	Files map[string][]byte
	// Delta reports a bundle that only patches the data of another one.
	Delta bool
	// Signed reports a signature, which [Archive.Verify] has yet to verify.
	Signed bool

	signatures bundle.SignaturesConfig
	rooms      rooms
	// written are the paths as the archive had them, by those that are clean: the patterns of
	// file_rego_versions are of these.
	written map[string]string
}

// Read reads a bundle. It refuses what is not exactly one, and says what it is.
func Read(data []byte, limits Limits) (*Archive, error) {
	limits = limits.orDefaults()
	if int64(len(data)) > limits.Compressed {
		return nil, fmt.Errorf("%w: got %d bytes, want at most %d", ErrTooLarge, len(data), limits.Compressed)
	}
	files, written, err := unpack(data, limits)
	if err != nil {
		return nil, err
	}
	return assemble(files, written)
}

// unpack returns the files by their clean paths, and how these were written, where each has a
// place in a bundle. It reads no byte past the bound.
func unpack(data []byte, limits Limits) (files map[string][]byte, written map[string]string, err error) {
	compressed := bytes.NewReader(data)
	expanded, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, nil, fmt.Errorf("bundle: want gzip: %w", cut(err))
	}
	expanded.Multistream(false)
	bounded := &bound{reader: expanded, left: limits.Expanded, limit: limits.Expanded}
	if files, written, err = untar(bounded, limits); err != nil {
		return nil, nil, err
	}
	if err := atEnd(bounded, compressed); err != nil {
		return nil, nil, err
	}
	return files, written, allExpected(files)
}

func untar(bounded *bound, limits Limits) (files map[string][]byte, written map[string]string, err error) {
	files, written = map[string][]byte{}, map[string]string{}
	for reader, entries := tar.NewReader(bounded), 0; ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, written, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("bundle: want a tar: %w", cut(err))
		}
		if entries++; entries > limits.Files {
			return nil, nil, fmt.Errorf("%w: got more than %d files", ErrTooLarge, limits.Files)
		}
		name, err := entry(header)
		if err != nil {
			return nil, nil, err
		}
		if name == "" { // the directory that all is in
			continue
		}
		if other, taken := written[name]; taken {
			return nil, nil, fmt.Errorf("%q: got two entries of that path, the other as %q", name, other)
		}
		written[name] = header.Name
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if files[name], err = content(reader, header, bounded.left); err != nil {
			return nil, nil, fmt.Errorf("bundle: %q: %w", name, err)
		}
	}
}

// content reads a file, whose size is checked before memory is taken for it. A size that the
// archive does not hold, of a hole, would be read without end otherwise.
func content(reader io.Reader, header *tar.Header, left int64) ([]byte, error) {
	if header.Size > left {
		return nil, fmt.Errorf("%w: got a file of %d bytes, which goes past what the bundle may expand to", ErrTooLarge, header.Size)
	}
	if header.Size > maxDocument {
		return nil, fmt.Errorf("%w: got a file of %d bytes, want at most %d", ErrTooLarge, header.Size, maxDocument)
	}
	var out bytes.Buffer // grows with what there is: the header may lie
	if _, err := io.Copy(&out, reader); err != nil {
		return nil, cut(err)
	}
	return out.Bytes(), nil
}

// entry checks what an entry is, and returns its clean path.
func entry(header *tar.Header) (string, error) {
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeSymlink, tar.TypeLink:
		return "", fmt.Errorf("%q: got a link to %q, want a regular file", header.Name, header.Linkname)
	default:
		return "", fmt.Errorf("%q: got an entry of type %q, want a regular file", header.Name, header.Typeflag)
	}
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return "", fmt.Errorf("%q: got a sparse file, want a regular one", header.Name)
		}
	}
	return clean(header.Name, header.Typeflag == tar.TypeDir)
}

// atEnd wants nothing behind the archive: padding of zeros in the one gzip member, whose
// checksum is checked at its end, and then the end of the file.
func atEnd(expanded *bound, compressed *bytes.Reader) error {
	block := make([]byte, 32<<10)
	for {
		n, err := expanded.Read(block)
		if len(bytes.Trim(block[:n], "\x00")) != 0 {
			return errors.New("bundle: got data behind the end of the tar")
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("bundle: %w", cut(err))
		}
	}
	if expanded.zeros < endOfTar {
		return errors.New("bundle: got a tar without its end: the file is truncated")
	}
	if compressed.Len() != 0 {
		return fmt.Errorf("bundle: got %d bytes behind the gzip member, want one member and nothing else", compressed.Len())
	}
	return nil
}

// cut says what an unexpected end of a file is.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the file is truncated")
	}
	return err
}

// bound counts what a bundle expands to, and ends it where it is too much.
type bound struct {
	reader      io.Reader
	left, limit int64
	zeros       int // that were last
}

// endOfTar is two blocks of zeros. The tar package takes the end of the file for the end of
// the tar, so that one that was cut between two files would be read.
const endOfTar = 1024

// Read implements io.Reader.
func (b *bound) Read(p []byte) (int, error) {
	if b.left <= 0 { // only more data is too much
		var one [1]byte
		n, err := b.reader.Read(one[:])
		if n > 0 {
			return 0, fmt.Errorf("%w: expands to more than %d bytes", ErrTooLarge, b.limit)
		}
		return 0, err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.reader.Read(p)
	b.left -= int64(n)
	if rest := bytes.TrimRight(p[:n], "\x00"); len(rest) == 0 {
		b.zeros += n
	} else {
		b.zeros = n - len(rest)
	}
	return n, err
}
