package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

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
			for _, warning := range documents.warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
			}
			modules, err := rego.Modules(documents.policies)
			if err != nil {
				return err
			}
			for i, path := range slices.Sorted(maps.Keys(modules)) {
				if !all && !strings.HasPrefix(path, "cip/") {
					continue
				}
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				fmt.Fprintf(cmd.OutOrStdout(), "# %s\n\n%s", path, modules[path])
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "library", false, "print the library that joins the policies, too")
	return cmd
}
