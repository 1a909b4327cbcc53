// Package suite is `assay test`: the tests of policy authors.
//
// It is OPA's test runner with OPA's flags, reporters and exit codes (0 passed, 2 a
// test failed, 1 nothing could be run). Rego tests, `*_test.rego`, run as they do in
// `opa test`. Beside them it runs fixtures, `*_test.yaml` and `*_test.txtar` (see
// package fixture): images and signatures that package world mints, and what becomes
// of them. Each case is a test like any other, so --run, --format, --count, --bench
// and --coverage mean for it what they mean for Rego.
//
// What it reads. Rego and data, as `opa test` does. ClusterImagePolicies, TrustRoots,
// Secrets and ConfigMaps are no data: they are compiled, and their Rego joins the
// rest, with the library, where a test can ask data.cip and data.assay.
//
// Whom it asks. A case is decided by the engine, on the input that `assay verify`
// would build. Networked builtins, of a case or a Rego test, are answered from the
// world, in the process and at the world's own time: no test reaches a network, and
// what the world does not have is unreachable. Its Sigstore stands in for every
// trust root that the policies name, since no other has signed anything in it.
//
// The package decides nothing: it compares what the engine decided with what the
// author wants.
package suite

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/opa"
)

// Command is `assay test`.
func Command() *cobra.Command {
	theirs := opa.Test()
	cmd := &cobra.Command{
		Use:   "test PATH...",
		Short: "Test policies: Rego tests and fixtures, without a network",
		Long: "Test runs the tests of policies as opa test does, with the same flags and output. It takes Rego, data,\n" +
			"ClusterImagePolicies and what they refer to, and two kinds of tests:\n\n" +
			"  *_test.rego               rules that begin with test_\n" +
			"  *_test.yaml, *_test.txtar images and signatures that are minted in memory, and what becomes of them\n\n" +
			"Exit codes are OPA's: 0 passed, 2 a test failed, 1 nothing could be run.",
		Example: "  assay test policies/\n" +
			"  assay test policies/ --run unsigned --verbose\n" +
			"  assay test policies/ --format junit > report.xml",
		PreRunE: theirs.PreRunE,
		RunE: func(cmd *cobra.Command, args []string) error {
			collectLess()
			Register()
			s, err := read(cmd.Flags(), args, cmd.OutOrStdout(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return ended(s.run(cmd.Context()))
		},
	}
	addFlags(cmd.Flags(), theirs.Flags())
	return cmd
}

// The garbage of a run is collected less often than Go's default, as long as it all
// fits in a gigabyte: a run is over before most of that would pay.
const (
	garbagePercent = 400
	garbageBytes   = 1 << 30
)

// collectLess leaves alone what the environment says.
func collectLess() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(garbagePercent)
		debug.SetMemoryLimit(garbageBytes)
	}
}

// run runs the tests once, or with --watch until it is interrupted.
func (s *settings) run(ctx context.Context) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if s.watch {
		return s.keepRunning(ctx)
	}
	return s.once(ctx)
}

func ended(code int) error {
	if code == 0 {
		return nil
	}
	return opa.Exit{Code: code}
}

// streams are where the command writes.
type streams struct{ output, errors io.Writer }
