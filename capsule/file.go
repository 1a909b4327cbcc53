package capsule

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Extension ends the names of capsules.
const Extension = ".capsule.tar"

// fileName has the beginning of the capsule's digest as its only group.
var fileName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}\.[0-9]{3}Z-(?:allowed|denied|undecided)-([0-9a-f]{12})` + regexp.QuoteMeta(Extension) + `$`)

// Named reports whether a file has a name that [Save] gives.
func Named(file string) bool { return fileName.MatchString(filepath.Base(file)) }

// unfinished begins the name of a file that is being written, or was when the program
// died.
const unfinished = ".writing-"

// Unfinished reports whether a file has such a name: it is no capsule.
func Unfinished(file string) bool {
	return strings.HasPrefix(filepath.Base(file), unfinished) && strings.HasSuffix(file, Extension)
}

// Save writes a capsule into a directory, which only its owner may enter if it has to
// be made. The file is its owner's too, and has its name only when it is whole: the
// time, the verdict, and the beginning of the digest.
func Save(dir string, c *Capsule) (path string, size int64, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", 0, err
	}
	s, err := c.seal()
	if err != nil {
		return "", 0, err
	}
	file, err := os.CreateTemp(dir, unfinished+"*"+Extension) // mode 0600
	if err != nil {
		return "", 0, err
	}
	err = s.write(file)
	if info, statErr := file.Stat(); statErr == nil {
		size = info.Size()
	}
	err = cmp.Or(err, file.Close())
	path = filepath.Join(dir, fmt.Sprintf("%s-%s-%s%s", c.Settings.Time.UTC().Format("20060102T150405.000Z"), c.Outcome.Verdict(),
		strings.TrimPrefix(digestOf(s.index), "sha256:")[:12], Extension))
	if err = cmp.Or(err, rename(file.Name(), path, err)); err != nil {
		return "", 0, errors.Join(err, os.Remove(file.Name()))
	}
	return path, size, nil
}

func rename(from, to string, before error) error {
	if before != nil {
		return nil
	}
	return os.Rename(from, to)
}

// Open reads the capsule in a file. A name that [Save] gave must still fit.
func Open(path string) (*Capsule, string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = file.Close() }()
	c, digest, err := Read(file)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	if found := fileName.FindStringSubmatch(filepath.Base(path)); found != nil && !strings.HasPrefix(digest, "sha256:"+found[1]) {
		return nil, "", fmt.Errorf("%s: %w", path, &Tampered{indexName, digest, "sha256:" + found[1] + "…, as the file's name says"})
	}
	return c, digest, nil
}

// Is reports whether bytes begin as a capsule does.
func Is(beginning []byte) bool { return bytes.HasPrefix(beginning, []byte(indexName+"\x00")) }
