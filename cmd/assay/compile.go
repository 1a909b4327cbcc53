package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/rego"
)

func compileCommand() *cobra.Command {
	var all bool
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
	return cmd
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
