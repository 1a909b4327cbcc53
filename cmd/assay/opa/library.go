package opa

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/cmd/assay/tree"
	"github.com/assay-dev/assay/rego/lib"
)

// Policies call functions of the library, which is in the program and not among their
// files. OPA's commands take files: those that check or evaluate Rego get the library as
// such, in a directory for the time being, where what they were given asks for it.

// mostLooked bounds how much of the files is looked at, for that and for schemas.
const mostLooked = 64 << 20

// libraryBeside puts the library beside what the command was given.
func libraryBeside(c *cobra.Command) {
	run := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if !asksLibrary(cmd, args) {
			return run(cmd, args)
		}
		dir, err := writeLibrary()
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		if err != nil {
			return err
		}
		if data := cmd.Flags().Lookup("data"); data != nil {
			err = data.Value.Set(dir)
		} else {
			args = append(slices.Clone(args), dir)
		}
		if err != nil {
			return err
		}
		return run(cmd, args)
	}
}

// asksLibrary says whether the Rego of a command names the library, and does not have
// it, as what `assay compile -o` wrote does. Bundles are taken as they are.
func asksLibrary(cmd *cobra.Command, args []string) bool {
	if bundle := cmd.Flags().Lookup("bundle"); bundle != nil && bundle.Changed {
		return false
	}
	asks, has := slices.ContainsFunc(args, names), false
	look(paths(cmd, args), func(text string) {
		asks = asks || names(text)
		has = has || libraryPackage.MatchString(text)
	})
	return asks && !has
}

// paths are the files and directories that a command was given: its arguments, or those
// of --data.
func paths(cmd *cobra.Command, args []string) []string {
	data := cmd.Flags().Lookup("data")
	if data == nil {
		return args
	}
	return strings.Split(data.Value.String(), ",")
}

// libraryPackage begins a module of the library.
var libraryPackage = regexp.MustCompile(`(?m)^package assay\.`)

func names(text string) bool { return strings.Contains(text, "data.assay.") }

// look shows the Rego below paths. What cannot be read is for the command to say.
func look(paths []string, see func(text string)) {
	left := int64(mostLooked)
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(file) != ".rego" {
				return nil //nolint:nilerr // as above
			}
			text, err := sources.Read(file, left)
			if err != nil {
				return nil //nolint:nilerr // as above
			}
			left -= int64(len(text))
			see(string(text))
			return nil
		})
	}
}

func writeLibrary() (dir string, err error) {
	modules, err := lib.Modules()
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "assay-library-"); err != nil {
		return "", err
	}
	files := map[string][]byte{}
	for name, text := range modules {
		files[name] = []byte(text)
	}
	return dir, tree.Write(dir, files)
}
