// Package schemas is the command that writes the JSON schemas of predicates, for
// the tools that check policies: opa check --schema, Regal, editors.
package schemas

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/tree"
	"github.com/assay-dev/assay/rego/schema"
)

// Command is `assay schemas`.
func Command() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "schemas",
		Short: "List or write the schemas of predicates that policies may name",
		Long: "Schemas lists the JSON schemas of predicates, by the names that annotations of Rego have for them.\n" +
			"With them a misspelt field of a predicate is an error when a policy is compiled. This program has\n" +
			"them built in; --output writes them for tools that have not:\n\n" +
			"    $ assay schemas --output schemas\n" +
			"    $ opa check --strict --schema schemas policies/",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			files, err := schema.Files()
			if err != nil {
				return err
			}
			if output != "" {
				if info, err := os.Stat(output); err == nil && !info.IsDir() {
					return fmt.Errorf("--output: got the file %s, want a directory", output)
				} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				return tree.Write(output, files)
			}
			for _, name := range slices.Sorted(maps.Keys(files)) {
				fmt.Fprintln(cmd.OutOrStdout(), "schema."+strings.ReplaceAll(strings.TrimSuffix(name, ".json"), "/", "."))
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write them to this `directory`")
	return cmd
}
