package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/rego"
)

func compileCommand() *cobra.Command {
	var all bool
	var output string
	cmd := &cobra.Command{
		Use:   "compile FILE|DIR...",
		Short: "Print the Rego that ClusterImagePolicies become",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			documents, err := readDocuments(args)
			if err != nil {
				return err
			}
			documents.resolve(cmd.Context(), keys.New(keys.Options{Transport: edge.Guarded(true, nil)}))
			for _, warning := range documents.warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
			}
			text, err := rego.Modules(cmd.Context(), documents.policies)
			if err != nil {
				return err
			}
			for _, warning := range text.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
			}
			if output != "" {
				return writeModules(output, text)
			}
			for i, path := range order(text.Modules, all) {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				version := ""
				if slices.Contains(text.V0, path) {
					version = " (Rego v0)"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "# %s%s\n\n%s", path, version, text.Modules[path])
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "library", false, "print the library that joins the policies, too")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write all modules to this `directory`, as an OPA bundle, instead of printing them")
	return cmd
}

// writeModules writes the modules where OPA's tools take them for a bundle (opa
// check -b, opa test -b): what of them is Rego v0 stands in its manifest. A
// directory that has something in it may be of another set, and is refused.
func writeModules(dir string, text *rego.Text) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("--output: got %s, want a directory that is empty or does not exist", dir)
	}
	write := func(path string, content []byte) error {
		file := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, content, 0o644)
	}
	for path, module := range text.Modules {
		if err := write(path, []byte(module)); err != nil {
			return err
		}
	}
	return write(".manifest", text.Manifest())
}

// order lists what to print: the policies by name, their index, and with all the
// library that joins them.
func order(modules map[string]string, all bool) []string {
	var policies, rest []string
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		switch {
		case strings.HasPrefix(path, "cip/_"):
			rest = append([]string{path}, rest...)
		case strings.HasPrefix(path, "cip/"):
			policies = append(policies, path)
		case all:
			rest = append(rest, path)
		}
	}
	return append(policies, rest...)
}
