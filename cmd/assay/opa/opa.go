// Package opa has OPA's own commands, with our builtins: not copies, the very
// commands of `opa`, made by OPA and put below another root. What they do, print
// and end with is theirs. Some of them differ:
//
//   - capabilities prints those of this program, unless it is told otherwise: the
//     file that editors, linters and the stock `opa` want to know our builtins;
//   - check and eval know the schemas of predicates, unless they are given others;
//   - eval and bench let the networked builtins reach the world, with the
//     defaults of `assay verify` and, if given, another trusted root;
//   - check, deps, eval and bench find the library where Rego asks for it.
//
// The package decides nothing and knows no policy. It is no way into verify or
// serve: what it lets builtins reach, it lets them reach in a process that runs
// eval or bench.
package opa

import (
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/assay-dev/assay/builtins"
)

// Exit ends the program with a code and no further word: what there was to say has
// been printed.
type Exit struct{ Code int }

// Error implements error.
func (e Exit) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// group is the heading of OPA's commands in the help text.
const group = "opa"

// Names are those of OPA's commands that [Mount] adds.
func Names() []string {
	return []string{"bench", "capabilities", "check", "deps", "eval", "fmt", "inspect", "parse"}
}

// Flags are those of OPA's commands by command, for who documents the others.
func Flags() map[string][]string {
	out := map[string][]string{}
	for _, c := range commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) { out[c.Name()] = append(out[c.Name()], "--"+f.Name) })
	}
	return out
}

// Mount adds OPA's commands to the program's, below a heading of their own.
func Mount(root *cobra.Command) {
	root.AddGroup(&cobra.Group{ID: group, Title: "OPA's Commands:"})
	for _, c := range commands() {
		if !slices.Contains(Names(), c.Name()) {
			continue
		}
		switch c.Name() {
		case "capabilities":
			printCurrent(c)
		case "eval", "bench":
			reachOut(c)
		}
		if slices.Contains([]string{"bench", "check", "deps", "eval"}, c.Name()) {
			libraryBeside(c)
		}
		run := c.RunE
		if c.Flags().Lookup("schema") != nil {
			run = withSchemas(run)
		}
		c.RunE = func(cmd *cobra.Command, args []string) error { return exitOf(cmd, run(cmd, args)) }
		c.GroupID = group
		root.AddCommand(c)
	}
}

// Test is OPA's test command, for who has another of that name with the same flags.
func Test() *cobra.Command {
	all := commands()
	return all[slices.IndexFunc(all, func(c *cobra.Command) bool { return c.Name() == "test" })]
}

// commands are all of OPA's, which are made anew and belong to nobody yet.
func commands() []*cobra.Command {
	made := cmd.Command(&cobra.Command{Use: "assay"}, "OPA")
	all := slices.Clone(made.Commands())
	made.RemoveCommand(all...)
	return all
}

// exitOf is the error of one of OPA's commands as the program knows it. They print
// what is wrong themselves, all but capabilities.
func exitOf(c *cobra.Command, err error) error {
	var exit *cmd.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return Exit{exit.Exit}
	case c.Name() == "capabilities":
		return err
	}
	return Exit{1}
}

// printCurrent makes the capabilities of this program the default. OPA's is a list
// of the versions of OPA.
func printCurrent(c *cobra.Command) {
	c.Short = "Print what Rego may call here, for editors, linters and opa"
	c.Long = "Capabilities prints the capabilities file of this program: the builtins that Rego may call, OPA's and ours,\n" +
		"with their types. Editors, Regal and the stock opa read it and know our builtins then:\n\n" +
		"    $ assay capabilities > capabilities.json\n" +
		"    $ opa check --strict --capabilities capabilities.json policies/"
	prepare := c.PreRunE
	c.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := prepare(cmd, args); err != nil {
			return err
		}
		if cmd.Flags().Changed("version") || cmd.Flags().Changed("file") {
			return nil
		}
		return cmd.Flags().Set("current", "true")
	}
}

// reachOut lets the builtins of a command reach registries.
func reachOut(c *cobra.Command) {
	l := &live{}
	c.Flags().StringVar(&l.trustedRoot, "trusted-root", "", "trusted_root.json `file` for cosign.…, instead of public-good Sigstore by TUF")
	prepare := c.PreRunE
	c.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := prepare(cmd, args); err != nil {
			return err
		}
		if err := l.check(); err != nil {
			return err
		}
		builtins.RegisterStandalone(l.metadata)
		return nil
	}
}
