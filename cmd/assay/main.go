// Command assay decides whether a container image may run: from the command
// line, or as the admission webhook of a Kubernetes cluster.
//
// This room wires and decides nothing. It reads flags and files, hands facts to
// the engine and prints what the engine decided. Exit codes: 0 admitted or
// done, 1 denied or findings, 2 there is no decision; OPA's commands have OPA's.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/cmd/assay/bundles"
	candidate "github.com/assay-dev/assay/cmd/assay/canary/command"
	"github.com/assay-dev/assay/cmd/assay/diff"
	"github.com/assay-dev/assay/cmd/assay/doctor"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/fleet"
	"github.com/assay-dev/assay/cmd/assay/opa"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/replay"
	"github.com/assay-dev/assay/cmd/assay/schemas"
	"github.com/assay-dev/assay/cmd/assay/start"
	"github.com/assay-dev/assay/cmd/assay/suite"
	"github.com/assay-dev/assay/cmd/assay/webhook"
	"github.com/assay-dev/assay/rego/bundle"
)

// The exit codes.
const (
	exitAdmitted  = 0
	exitDenied    = 1
	exitUndecided = 2
)

func main() {
	builtins.Register()
	bundle.Register()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errDenied is how a command says that it decided, and against the image.
var errDenied = errors.New("denied")

// saysNo are the errors of commands that did what they were asked for, and found against it.
func saysNo() []error {
	return []error{errDenied, errFindings, finding.Err, replay.ErrDiffers, diff.ErrChanges, candidate.ErrNotPromoted, bundles.ErrRefused, fleet.ErrFindings}
}

// run is the program without its process: tests call it as users call the binary.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := command(args) //nolint:contextcheck // cobra hands the context to the command that runs
	root.SetArgs(twoDashes(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	var exit opa.Exit
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return exitAdmitted
	case errors.As(err, &exit):
		return exit.Code
	case slices.ContainsFunc(saysNo(), func(no error) bool { return errors.Is(err, no) }):
		return exitDenied
	default:
		fmt.Fprintln(stderr, "assay:", plain.Below(err.Error())) // a file or a registry may have chosen the words
		return exitUndecided
	}
}

// twoDashes lets policy-tester's flags, which have one dash, stay as they are.
func twoDashes(args []string) []string {
	if len(args) == 0 || args[0] != "verify" {
		return args
	}
	out := slices.Clone(args)
	for i, arg := range out {
		name, _, _ := strings.Cut(arg, "=")
		if slices.Contains([]string{"-policy", "-image", "-resource", "-trustroot"}, name) {
			out[i] = "-" + arg
		}
	}
	return out
}

// command is the program. The tools of policy authors are many flags, and are left
// out where another command is meant: they would cost each webhook ten megabytes.
func command(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "assay",
		Short: "Decide whether a container image may run",
		Long: "assay decides whether a container image may run: it compiles Sigstore ClusterImagePolicies to Rego,\n" +
			"verifies cosign signatures and answers Kubernetes admission reviews.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(verifyCommand(), explainCommand(), compileCommand(), lintCommand(), webhook.Command(version()), doctor.Command(version()), fleet.Command(), replayCommand(), diffCommand(),
		candidate.Canary(), candidate.Promote(), demoCommand(), start.Command(), schemas.Command(), versionCommand())
	root.AddCommand(bundles.Commands(bundles.Options{Version: version()})...)
	if meant, _, err := root.Find(args); err != nil || meant == root {
		root.AddCommand(suite.Command())
		headings(root)
		opa.Mount(root)
	}
	return root
}

// headings puts the commands of the help text in order: by what somebody wants to do.
func headings(root *cobra.Command) {
	for _, heading := range []struct{ title, commands string }{
		{"Judge Images:", "demo explain verify"},
		{"Serve a Cluster:", "canary doctor fleet serve"},
		{"Write Policies:", "compile init lint schemas test"},
		{"Distribute Policies:", "build promote pull push sign verify-bundle"},
		{"Look at Decisions Again:", "diff replay"},
	} {
		root.AddGroup(&cobra.Group{ID: heading.title, Title: heading.title})
		for _, c := range root.Commands() {
			if slices.Contains(strings.Fields(heading.commands), c.Name()) {
				c.GroupID = heading.title
			}
		}
	}
}

// atLeastOne wants arguments, and says which.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("got no %s, want at least one: %s", what, cmd.UseLine())
		}
		return nil
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), version())
		},
	}
}
