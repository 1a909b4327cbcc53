package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/allow"
	"github.com/assay-dev/assay/cmd/assay/compiled"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/sarif"
	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/lint"
)

// errFindings is how lint says that it read everything, and has something to say.
// It has the exit code of a denial.
var errFindings = errors.New("findings")

func lintCommand() *cobra.Command {
	var output string
	var flags allow.Flags
	cmd := &cobra.Command{
		Use:   "lint FILE|DIR...",
		Short: "Find policies that do not do what they seem to do",
		Long: "Lint finds ClusterImagePolicies that do not do what they seem to do, and says what to write instead;\n" +
			"and Rego that fails whatever it judges, or that nobody asks.\n" +
			"All files together are taken for the policies of one cluster.\n\n" +
			"Exit codes: 0 nothing found, 1 findings, 2 something could not be read.",
		Args: atLeastOne("file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, err := findingsWriter(output)
			if err != nil {
				return err
			}
			if err := flags.Check(); err != nil {
				return err
			}
			files, failing, err := readForLint(cmd.Context(), args, flags)
			if err != nil {
				return err
			}
			findings := append(lint.Run(files), failing...)
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
	flags.Add(cmd)
	return cmd
}

func findingsWriter(output string) (func(io.Writer, []lint.Finding) error, error) {
	switch output {
	case "text":
		return printFindings, nil
	case "sarif":
		return func(w io.Writer, findings []lint.Finding) error { return sarif.Write(w, version(), findings) }, nil
	}
	return nil, fmt.Errorf("--output: got %q, want text or sarif", output)
}

// readForLint reads all files, or says of each what is wrong with it: findings
// about a part of the policies would be wrong about their sum. failing are the
// policies in Rego that do not compile.
func readForLint(ctx context.Context, paths []string, flags allow.Flags) (files []lint.File, failing []lint.Finding, err error) {
	found, err := sources.Find(paths)
	if err != nil {
		return nil, nil, err
	}
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
	failing, err = lintRego(ctx, found, flags)
	return files, failing, errors.Join(append(errs, err)...)
}

func lintRego(ctx context.Context, found sources.Files, flags allow.Flags) ([]lint.Finding, error) {
	modules, err := found.Modules()
	data, also := found.Documents()
	if err = errors.Join(err, also); err != nil {
		return nil, err
	}
	source := rego.Source{Modules: modules, Data: data}
	flags.Into(&source)
	text, err := compiled.Text(ctx, source)
	if err != nil {
		return nil, err
	}
	var out []lint.Finding
	for _, policy := range text.Failing() {
		file, line := policy.Place()
		out = append(out, lint.RegoFails(policy.Name, file, line, policy.Failure().Message))
	}
	for _, u := range text.Unasked() {
		out = append(out, lint.RegoUnasked(u.Package, u.Rule, u.File, u.Line))
	}
	return out, nil
}

// printFindings writes findings for people, and for editors that know the form
// file:line. Nothing that others wrote looks like another finding.
func printFindings(w io.Writer, findings []lint.Finding) error {
	var out strings.Builder
	for _, f := range findings {
		fmt.Fprintln(&out, plain.Line(fmt.Sprintf("%s:%d: %s: %s (%s)", f.File, f.Line, f.Severity, f.Message, f.Rule)))
		fmt.Fprintln(&out, "  "+plain.Line(f.Policy+" "+f.Path))
		fmt.Fprintln(&out, "  fix: "+plain.Line(f.Fix))
	}
	_, err := io.WriteString(w, out.String())
	return err
}
