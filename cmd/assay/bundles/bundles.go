// Package bundles has the commands that make policies into a bundle, say whether one holds, and
// bring it to registries and back: assay build, sign, verify-bundle, push and pull.
//
// A bundle is built of what the paths on the command line stand for, the same that `assay
// serve --policy` would read, and after the same checks: what would be refused there, or
// would fail whatever it judges, is refused here. verify-bundle unpacks one into what it
// was built of and makes these checks again, so that both say the same.
//
// build, sign and verify-bundle of a file ask no network. What a policy refers to and does not bring along, a
// key in a KMS or a policy behind a URL, is looked up where the bundle serves.
package bundles

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

// ErrRefused is that a bundle does not hold. What is wrong has been printed.
var ErrRefused = errors.New("the bundle does not hold")

// Options are what the program brings along.
type Options struct {
	// Version is the program's.
	Version string
}

// Commands are the commands.
func Commands(o Options) []*cobra.Command {
	return []*cobra.Command{buildCommand(o), signCommand(), verifyCommand(), pushCommand(), pullCommand()}
}

// Load reads a bundle's bytes: a file, or a directory that is an OCI layout.
func Load(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	most := archive.Defaults().Compressed
	if info.IsDir() {
		_, data, err := artifact.ReadLayout(path, most)
		return data, err
	}
	data, err := sources.Read(path, most)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// save writes a file whole, or not at all.
func save(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

func warn(w io.Writer, warnings []string) {
	for _, warning := range warnings {
		fmt.Fprintln(w, "warning:", plain.Below(warning))
	}
}
