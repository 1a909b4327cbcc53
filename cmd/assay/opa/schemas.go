package opa

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/tree"
	"github.com/assay-dev/assay/rego/schema"
)

// withSchemas gives a command the schemas of predicates where it is given none, and lets
// annotations name schemas of their authors' own beside them. OPA takes schemas from a
// directory and from nowhere else: they lie in one for as long as the command runs.
func withSchemas(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("schema") {
			return run(cmd, args)
		}
		dir, err := os.MkdirTemp("", "assay-schemas-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a copy, of which nobody reads any more
		var texts []string
		look(slices.Concat(paths(cmd, args), bundles(cmd)), func(text string) { texts = append(texts, text) })
		files, err := schema.FilesFor(texts)
		if err != nil {
			return err
		}
		if err := tree.Write(dir, files); err != nil {
			return err
		}
		if err := cmd.Flags().Set("schema", dir); err != nil {
			return err
		}
		return run(cmd, args)
	}
}

// bundles are the directories of --bundle, where that names any.
func bundles(cmd *cobra.Command) []string {
	bundle := cmd.Flags().Lookup("bundle")
	if bundle == nil || bundle.Value.Type() == "bool" {
		return nil
	}
	return strings.Split(bundle.Value.String(), ",")
}
