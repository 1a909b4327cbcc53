package main

import "github.com/spf13/cobra"

// explainCommand is verify with the tree of reasons in the place of the decision.
func explainCommand() *cobra.Command {
	flags := &verifyFlags{explain: true, tersely: true}
	cmd := &cobra.Command{
		Use:   "explain --policy FILE|DIR [flags] IMAGE...",
		Short: "Say why images would be admitted or denied",
		Long: "Explain judges images as verify does, and prints what led to the decision: which policies match and why,\n" +
			"what each authority got and what it wanted, and what came nearest.\n\n" +
			"Exit code 0: admitted; 1: denied; 2: there is no decision.",
		Example: "  assay explain --policy policies/ ghcr.io/acme/app:v1",
	}
	flags.addTo(cmd)
	return cmd
}
