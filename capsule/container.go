package capsule

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The bounds of a capsule. A decision about ten images with a bill of materials each
// takes some megabytes; what is larger is not written, and not read.
const (
	mostBytes   = 256 << 20
	mostMembers = 8192
	mostIndex   = 2 << 20
	mostJSON    = 32 << 20 // of one member that is read as JSON
	mostValues  = 1 << 20  // in it
)

// Tampered says that a member is not what capsule.json says.
type Tampered struct {
	Member    string
	Got, Want string
}

// Error names the member and both digests.
func (t *Tampered) Error() string {
	return fmt.Sprintf("member %s: got digest %s, want %s", t.Member, t.Got, t.Want)
}

// ErrTooLarge is that a capsule has more than is written or read.
var ErrTooLarge = errors.New("the capsule is too large")

// The members.
const (
	indexName = "capsule.json"
	blobsPath = "blobs/sha256/"
)

var blobName = regexp.MustCompile(`^blobs/sha256/[0-9a-f]{64}$`)

// index is capsule.json.
type index struct {
	Format  string   `json:"format"`
	Members []member `json:"members"`
}

type member struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// parts are the members that are JSON, in their order.
func (c *Capsule) parts() []part {
	return []part{
		{"decision.json", &c.Outcome}, {"settings.json", &c.Settings}, {"review.json", &c.Review},
		{"policies.json", &c.Policies}, {"trust.json", &c.Trust}, {"exchanges.json", &c.Records},
	}
}

type part struct {
	name  string
	value any
}

// sealed is a capsule as bytes.
type sealed struct {
	index []byte
	names []string
	parts map[string][]byte
}

// seal makes all members, and capsule.json over them.
func (c *Capsule) seal() (sealed, error) {
	out := sealed{parts: map[string][]byte{}}
	for _, p := range c.parts() {
		text, err := json.MarshalIndent(p.value, "", " ")
		if err != nil {
			return out, fmt.Errorf("%s: %w", p.name, err)
		}
		if len(text) > mostJSON || values(text) > mostValues {
			return out, fmt.Errorf("%s: %w", p.name, ErrTooLarge)
		}
		out.names, out.parts[p.name] = append(out.names, p.name), text
	}
	for _, digest := range slices.Sorted(maps.Keys(c.Blobs)) {
		name := blobsPath + strings.TrimPrefix(digest, "sha256:")
		out.names, out.parts[name] = append(out.names, name), c.Blobs[digest]
	}
	list, total := index{Format: Format}, int64(0)
	for _, name := range out.names {
		content := out.parts[name]
		total += int64(len(content))
		list.Members = append(list.Members, member{name, strings.TrimPrefix(digestOf(content), "sha256:"), int64(len(content))})
	}
	var err error
	out.index, err = json.MarshalIndent(list, "", " ")
	if total > mostBytes || len(list.Members) > mostMembers || len(out.index) > mostIndex {
		return out, ErrTooLarge
	}
	return out, err
}

// write writes the archive. Nothing in it depends on when or where that happens.
func (s sealed) write(w io.Writer) error {
	archive := tar.NewWriter(w)
	add := func(name string, content []byte) error {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := archive.Write(content)
		return err
	}
	err := add(indexName, s.index)
	for _, name := range s.names {
		err = cmp.Or(err, add(name, s.parts[name]))
	}
	return cmp.Or(err, archive.Close())
}

// Write writes a capsule and gives its digest.
func Write(w io.Writer, c *Capsule) (digest string, err error) {
	s, err := c.seal()
	if err != nil {
		return "", err
	}
	return digestOf(s.index), s.write(w)
}

// Read reads a capsule and gives its digest.
func Read(r io.Reader) (c *Capsule, digest string, err error) {
	archive := tar.NewReader(r)
	header, text, err := next(archive, indexName, mostIndex)
	if err != nil {
		return nil, "", err
	}
	if header.Name != indexName {
		return nil, "", fmt.Errorf("member 0: got %.100q, want %s: this is no capsule", header.Name, indexName)
	}
	var list index
	if err := decode(indexName, text, &list); err != nil {
		return nil, "", err
	}
	c = &Capsule{Blobs: map[string][]byte{}}
	parts := c.parts()
	if err := list.check(parts); err != nil {
		return nil, "", err
	}
	for i, want := range list.Members {
		content, err := read(archive, want)
		if err != nil {
			return nil, "", err
		}
		if i >= len(parts) {
			c.Blobs["sha256:"+want.SHA256] = content
			continue
		}
		if err := decode(want.Name, content, parts[i].value); err != nil {
			return nil, "", err
		}
	}
	return c, digestOf(text), end(archive, r)
}

// check refuses a list of members that is not what a capsule has: the parts in their
// order, then blobs in the order of their digests.
func (l index) check(parts []part) error {
	if l.Format != Format {
		return fmt.Errorf("%s: format: got %.100q, want %s", indexName, l.Format, Format)
	}
	if len(l.Members) > mostMembers {
		return fmt.Errorf("%s: members: got %d, want at most %d: %w", indexName, len(l.Members), mostMembers, ErrTooLarge)
	}
	total, last := int64(0), ""
	for i, m := range l.Members {
		switch {
		case i < len(parts) && m.Name != parts[i].name:
			return fmt.Errorf("%s: members[%d].name: got %.100q, want %s", indexName, i, m.Name, parts[i].name)
		case i < len(parts) && m.Size > mostJSON:
			return fmt.Errorf("%s: %s: got %d bytes, want at most %d: %w", indexName, m.Name, m.Size, mostJSON, ErrTooLarge)
		case i >= len(parts) && !blobName.MatchString(m.Name):
			return fmt.Errorf("%s: members[%d].name: got %.100q, want %s and 64 hex digits", indexName, i, m.Name, blobsPath)
		case i >= len(parts) && m.Name != blobsPath+m.SHA256:
			return fmt.Errorf("%s: %s: got sha256 %.100q, want that of its name", indexName, m.Name, m.SHA256)
		case i > len(parts) && m.Name <= last:
			return fmt.Errorf("%s: members[%d].name: got %s behind %s, want each once and in order", indexName, i, m.Name, last)
		case m.Size < 0 || m.Size > mostBytes:
			return fmt.Errorf("%s: %s: got size %d, want at most %d: %w", indexName, m.Name, m.Size, mostBytes, ErrTooLarge)
		}
		if total += m.Size; total > mostBytes {
			return fmt.Errorf("%s: got more than %d bytes in all members: %w", indexName, mostBytes, ErrTooLarge)
		}
		last = m.Name
	}
	if len(l.Members) < len(parts) {
		return fmt.Errorf("%s: members: got %d, want at least %d", indexName, len(l.Members), len(parts))
	}
	return nil
}

// next reads the next member, whatever it is, within a bound. Only plain files are
// members: no links, no sparse files, none of the extensions of tar.
func next(archive *tar.Reader, want string, most int64) (*tar.Header, []byte, error) {
	header, err := archive.Next()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil, fmt.Errorf("member %s: got the end of the file: it is cut short, or no capsule", want)
	case err != nil:
		return nil, nil, fmt.Errorf("member %s: %w", want, err)
	case header.Typeflag != tar.TypeReg || header.Format&tar.FormatUSTAR == 0 || len(header.PAXRecords) > 0:
		return nil, nil, fmt.Errorf("member %.100q: got type %q of format %v, want a plain file of ustar", header.Name, header.Typeflag, header.Format)
	case header.Size > most:
		return nil, nil, fmt.Errorf("member %.100q: got %d bytes, want at most %d: %w", header.Name, header.Size, most, ErrTooLarge)
	}
	content, err := io.ReadAll(io.LimitReader(archive, most+1))
	if err != nil {
		return nil, nil, fmt.Errorf("member %.100q: got %d bytes of %d: %w", header.Name, len(content), header.Size, err)
	}
	return header, content, nil
}

// read reads a member that capsule.json lists.
func read(archive *tar.Reader, want member) ([]byte, error) {
	header, content, err := next(archive, want.Name, want.Size)
	if err != nil {
		return nil, err
	}
	if header.Name != want.Name {
		return nil, fmt.Errorf("member: got %.100q, want %s", header.Name, want.Name)
	}
	if got, want := digestOf(content), "sha256:"+want.SHA256; got != want {
		return nil, &Tampered{header.Name, got, want}
	}
	return content, nil
}

// end refuses what lies behind the last member.
func end(archive *tar.Reader, r io.Reader) error {
	if header, err := archive.Next(); err == nil {
		return fmt.Errorf("member %.100q: got one that %s does not list", header.Name, indexName)
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("end of the archive: %w", err)
	}
	if n, _ := io.ReadFull(r, make([]byte, 1)); n > 0 {
		return errors.New("end of the archive: got more bytes behind it")
	}
	return nil
}

// decode reads a member that is JSON, strictly.
func decode(name string, text []byte, into any) error {
	if n := values(text); n > mostValues {
		return fmt.Errorf("%s: got more than %d values: %w", name, mostValues, ErrTooLarge)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: got more than one value", name)
	}
	return nil
}

// values counts what stands in arrays and objects, so that a small text cannot become
// a large value.
func values(text []byte) (n int) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
