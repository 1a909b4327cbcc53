package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/cmd/assay/allow"
	"github.com/assay-dev/assay/cmd/assay/compiled"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/tree"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
)

func compileCommand() *cobra.Command {
	var all bool
	var output string
	var flags allow.Flags
	cmd := &cobra.Command{
		Use:   "compile FILE|DIR...",
		Short: "Print the Rego that policies become",
		Args:  atLeastOne("file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.Check(); err != nil {
				return err
			}
			documents, err := wiring.ReadDocuments(args)
			if err != nil {
				return err
			}
			documents.Resolve(cmd.Context(), keys.New(keys.Options{Transport: edge.Guarded(true, nil)}))
			for _, warning := range documents.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", plain.Below(warning))
			}
			text, err := compiled.Text(cmd.Context(), documents.Source(flags))
			if err != nil {
				return err
			}
			for _, warning := range text.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", plain.Below(warning))
			}
			if output != "" {
				return writeBundle(output, text, documents.Data)
			}
			return compiled.Print(cmd.OutOrStdout(), text, all)
		},
	}
	cmd.Flags().BoolVar(&all, "library", false, "print the library that joins the policies, too")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write all modules to this `directory`, as an OPA bundle, instead of printing them")
	flags.Add(cmd)
	return cmd
}

// writeBundle writes a bundle. A directory that has something in it may be of another set,
// and is refused.
func writeBundle(dir string, text *rego.Text, data map[string]any) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("--output: got %s, want a directory that is empty or does not exist", dir)
	}
	files, err := compiled.Files(text, data)
	if err != nil {
		return err
	}
	return tree.Write(dir, files)
}
