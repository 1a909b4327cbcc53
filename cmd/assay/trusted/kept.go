package trusted

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/sources"
)

// The files of a bundle that is kept, and the links to the directories of two: the one that is
// to be activated, and the one that was active last, which a restart finds. Each directory is
// whole before a link leads to it.
const (
	bundleFile   = "bundle.tar.gz"
	manifestFile = "manifest.json"
	evidenceFile = "evidence" + capsule.Extension
	loading      = "loading"
	current      = "current"
	prefix       = "bundle-"  // of the directories
	unfinished   = ".writing" // begins the names of what is no such directory yet
)

// maxEvidence bounds a capsule before it is read: its own bounds are those of any decision.
const maxEvidence = 64 << 20

// kept is a bundle with all that is needed to believe it again.
type kept struct {
	bundle, manifest []byte
	evidence         *capsule.Capsule
}

func (k kept) digest() string {
	sum := sha256.Sum256(k.manifest)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// store is the directory of one bundle.
type store struct{ dir string }

// save has a bundle be the one that is to be activated.
func (s store) save(k kept) error {
	var evidence bytes.Buffer
	if _, err := capsule.Write(&evidence, k.evidence); err != nil {
		return err
	}
	if evidence.Len() > maxEvidence {
		return fmt.Errorf("evidence: got %d bytes, want at most %d", evidence.Len(), maxEvidence)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	made, err := os.MkdirTemp(s.dir, unfinished+"-*") // mode 0700
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{bundleFile: k.bundle, manifestFile: k.manifest, evidenceFile: evidence.Bytes()} {
		err = errors.Join(err, write(filepath.Join(made, name), content))
	}
	name := prefix + k.digest()[len("sha256:"):][:12] + strings.TrimPrefix(filepath.Base(made), unfinished)
	if err = errors.Join(err, settle(made)); err == nil {
		err = os.Rename(made, filepath.Join(s.dir, name))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(made))
	}
	if err := s.link(loading, name); err != nil {
		return err
	}
	return s.clean()
}

// keep has what was to be activated be what was active last.
func (s store) keep() error {
	name, err := os.Readlink(filepath.Join(s.dir, loading))
	if err != nil {
		return err
	}
	if err := s.link(current, name); err != nil {
		return err
	}
	return s.clean()
}

// link moves a link: there is always one.
func (s store) link(name, to string) error {
	made := filepath.Join(s.dir, unfinished+"-"+name)
	if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(to, made); err != nil {
		return err
	}
	if err := os.Rename(made, filepath.Join(s.dir, name)); err != nil {
		return err
	}
	return settle(s.dir)
}

// clean removes what no link leads to: older bundles, and what a process that died left.
func (s store) clean() error {
	var linked []string
	for _, name := range []string{loading, current} {
		if to, err := os.Readlink(filepath.Join(s.dir, name)); err == nil {
			linked = append(linked, to)
		}
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() && !slices.Contains(linked, name) && (strings.HasPrefix(name, prefix) || strings.HasPrefix(name, unfinished)) {
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, name)))
		}
	}
	return errors.Join(errs...)
}

// load reads what a link leads to. That it is there says nothing about it.
func (s store) load(link string, most int64) (k kept, err error) {
	name, err := os.Readlink(filepath.Join(s.dir, link))
	if err != nil {
		return k, err
	}
	if name != filepath.Base(name) || !strings.HasPrefix(name, prefix) {
		return k, fmt.Errorf("%w: %s: got a link to %q, want one to a directory beside it", ErrEvidence, link, name)
	}
	dir := filepath.Join(s.dir, name)
	if k.bundle, err = sources.Read(filepath.Join(dir, bundleFile), most); err != nil {
		return k, fmt.Errorf("%s: %w", bundleFile, err)
	}
	if k.manifest, err = sources.Read(filepath.Join(dir, manifestFile), artifact.MaxManifest); err != nil {
		return k, fmt.Errorf("%s: %w", manifestFile, err)
	}
	text, err := sources.Read(filepath.Join(dir, evidenceFile), maxEvidence)
	if err != nil {
		return k, fmt.Errorf("%s: %w", evidenceFile, err)
	}
	k.evidence, _, err = capsule.Read(bytes.NewReader(text))
	if err != nil {
		return k, fmt.Errorf("%w: %s: %w", ErrEvidence, evidenceFile, err)
	}
	return k, nil
}

// write writes a file that is whole on the disk.
func write(path string, content []byte) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	return errors.Join(err, out.Sync(), out.Close())
}

// settle makes the names in a directory last.
func settle(dir string) error {
	in, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(in.Sync(), in.Close())
}
