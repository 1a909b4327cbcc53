// Package start is `assay init`: a repository of policies to start from.
//
// What it writes are the files of repository/, which can be read there: a
// ClusterImagePolicy, a policy in Rego, tests of both, what a CI runs, and a Makefile.
// They pass what they run: `assay lint`, `assay check --strict`, `assay fmt` and `assay
// test`. Flags put other values into them (fill.go), through the encoder of YAML and
// never as text, and only such with which everything still passes.
//
// The package refuses a directory that has something in it, and overwrites nothing.
package start

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed all:repository
var repository embed.FS

// Command is `assay init`.
func Command() *cobra.Command {
	given := defaults()
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a repository of policies to start from",
		Long: "Init writes a repository of policies to start from: a ClusterImagePolicy, a policy in Rego, tests of both,\n" +
			"a Makefile and a workflow that runs them. The directory is the current one unless named, and has to be empty.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := filled(given)
			if err != nil {
				return err
			}
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if err := write(dir, files); err != nil {
				return err
			}
			return report(cmd.OutOrStdout(), dir, files)
		},
	}
	cmd.Flags().StringVar(&given.issuer, "issuer", given.issuer, "OpenID Connect `issuer` of who signs images")
	cmd.Flags().StringVar(&given.subject, "subject-regexp", given.subject, "`expression` for the subject of who signs images")
	cmd.Flags().StringVar(&given.glob, "glob", given.glob, "`glob` of the images, with their registry written out")
	return cmd
}

// templates are the files as they lie in the repository, by path.
func templates() (map[string][]byte, error) {
	root, err := fs.Sub(repository, "repository")
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	return out, fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			out[name], err = fs.ReadFile(root, name)
		}
		return err
	})
}

// write makes the directory and the files in it, each of which must not be there.
func write(dir string, files map[string][]byte) (err error) {
	if err := empty(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for _, name := range sorted(files) {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := create(root, name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

func create(root *os.Root, name string, content []byte) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// mostNamed bounds how many of the files that are in the way an error names.
const mostNamed = 5

// empty wants a directory with nothing in it, but that git may have been there.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() != ".git" {
			names = append(names, entry.Name())
		}
	}
	if len(names) == 0 {
		return nil
	}
	more := ""
	if len(names) > mostNamed {
		names, more = names[:mostNamed], ", …"
	}
	return fmt.Errorf("%s: got %s%s in it, want a directory that is empty or does not exist", dir, strings.Join(names, ", "), more)
}

// report lists what was written, and says what to do with it.
func report(w io.Writer, dir string, files map[string][]byte) error {
	var out strings.Builder
	for _, name := range sorted(files) {
		fmt.Fprintln(&out, path.Join(dir, name))
	}
	fmt.Fprintln(&out, "\nRun make all there, then begin with policies/released.yaml.")
	_, err := io.WriteString(w, out.String())
	return err
}

func sorted(files map[string][]byte) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
