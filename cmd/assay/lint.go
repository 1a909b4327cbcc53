package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/sarif"
	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/rego/lint"
)

// errFindings is how lint says that it read everything, and has something to say.
// It has the exit code of a denial.
var errFindings = errors.New("findings")

func lintCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "lint FILE|DIR...",
		Short: "Find ClusterImagePolicies that do not do what they seem to do",
		Long: "lint finds ClusterImagePolicies that do not do what they seem to do, and says what to write instead.\n" +
			"All files together are taken for the policies of one cluster.\n\n" +
			"Exit codes: 0 nothing found, 1 findings, 2 something could not be read.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, err := findingsWriter(output)
			if err != nil {
				return err
			}
			files, err := readForLint(args)
			if err != nil {
				return err
			}
			findings := lint.Run(files)
			if err := write(cmd.OutOrStdout(), findings); err != nil {
				return err
			}
			if len(findings) > 0 {
				return errFindings
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "form of the findings: text or sarif")
	return cmd
}

func findingsWriter(output string) (func(io.Writer, []lint.Finding) error, error) {
	switch output {
	case "text":
		return printFindings, nil
	case "sarif":
		return func(w io.Writer, findings []lint.Finding) error { return sarif.Write(w, version(), findings) }, nil
	}
	return nil, fmt.Errorf("output: got %q, want text or sarif", output)
}

// readForLint reads all files, or says of each what is wrong with it: findings
// about a part of the policies would be wrong about their sum.
func readForLint(paths []string) ([]lint.File, error) {
	found, err := sources.Find(paths)
	if err != nil {
		return nil, err
	}
	var files []lint.File
	var errs []error
	for _, name := range found.Resources {
		data, err := sources.Read(name, sources.MaxFile)
		if err == nil {
			var file lint.File
			if file, err = lint.Parse(name, data); err == nil {
				files = append(files, file)
				continue
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return files, errors.Join(errs...)
}

// printFindings writes findings for people, and for editors that know the form
// file:line.
func printFindings(w io.Writer, findings []lint.Finding) error {
	var out strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&out, "%s:%d: %s: %s (%s)\n", f.File, f.Line, f.Severity, oneLine(f.Message), f.Rule)
		fmt.Fprintf(&out, "  %s %s\n", f.Policy, f.Path)
		fmt.Fprintf(&out, "  fix: %s\n", oneLine(f.Fix))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// oneLine keeps what a policy says from looking like another finding.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}
