package bundles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/suite"
	"github.com/assay-dev/assay/cmd/assay/trusted"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/fresh"
)

// verifying are the flags of verify-bundle.
type verifying struct {
	key, algorithm, keyID, scope string
	at, minimum, name            string
	trust                        []string
	tests                        bool
	rules                        rules
	registries                   wiring.Flags // of a bundle in one
}

func verifyCommand() *cobra.Command {
	var v verifying
	cmd := &cobra.Command{
		Use:   "verify-bundle BUNDLE",
		Short: "Say whether a policy bundle holds: shape, signature, age, content, tests",
		Long: "Verify-bundle reads a bundle as serve would and says what holds of it, one line each. It is a file, a\n" +
			"directory with an OCI layout or, with --bundle-trust, a reference of a registry. A tag is resolved once.\n\n" +
			"Exit codes: 0 all holds, 1 something does not, 2 there is no bundle to look at.",
		Example: "  assay verify-bundle bundle.tar.gz --verification-key public.pem --signing-alg ES256 --tests\n" +
			"  assay verify-bundle ghcr.io/acme/policies:prod --bundle-trust trust.yaml",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			now, err := v.check()
			if err != nil {
				return err
			}
			r := report{w: cmd.OutOrStdout()}
			data, err := v.load(cmd.Context(), &r, args[0])
			if errors.Is(err, trusted.ErrDenied) {
				r.hold("admitted", "", err)
				return ErrRefused
			}
			if err != nil {
				return err
			}
			v.verify(cmd.Context(), &r, data, now)
			if r.failed {
				return ErrRefused
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&v.key, "verification-key", "", "`file` with the public key in PEM, or with the secret of HS256")
	flags.StringVar(&v.algorithm, "signing-alg", "RS256", "algorithm of the key, such as RS256, ES256 or HS256")
	flags.StringVar(&v.keyID, "key-id", "default", "name of the key")
	flags.StringVar(&v.scope, "scope", "", "scope that the signature has to have")
	flags.StringVar(&v.at, "at", "", "`time` at which the bundle must not have expired, as RFC 3339 has it (default: now)")
	flags.StringVar(&v.minimum, "minimum-revision", "", "lowest `revision` that is admitted")
	flags.StringVar(&v.name, "name", "", "`name` that the bundle has to say, that of it in the configuration")
	flags.StringArrayVar(&v.trust, "bundle-trust", nil, "`path` of the policies that a bundle in a registry has to be admitted by (repeatable)")
	flags.BoolVar(&v.tests, "tests", false, "run the tests in the bundle")
	v.registries.AddRegistry(cmd, true) // who runs it names the host
	v.registries.AddTrust(cmd)
	v.rules.add(cmd)
	return cmd
}

// check reads the flags, and the time that they say.
func (v *verifying) check() (now time.Time, err error) {
	if now = time.Now(); v.at != "" {
		if now, err = time.Parse(time.RFC3339, v.at); err != nil {
			return now, fmt.Errorf("--at: got %q, want a time such as 2027-01-31T00:00:00Z", v.at)
		}
	}
	if v.key == "" && v.scope != "" {
		return now, errors.New("--scope: got it without --verification-key, want the key of the signature")
	}
	if v.minimum != "" {
		if _, err := fresh.Compare(v.minimum, v.minimum); err != nil {
			return now, fmt.Errorf("--minimum-revision: %w", err)
		}
	}
	return now, v.rules.rego.Check()
}

// load gets the bundle. One in a registry is asked for only with policies that admit it: what is
// no file is a reference where there are some, or where it has a digest.
func (v *verifying) load(ctx context.Context, r *report, what string) ([]byte, error) {
	_, err := os.Stat(what)
	switch {
	case err == nil && len(v.trust) > 0:
		return nil, fmt.Errorf("--bundle-trust: got it for %s, want it for a bundle in a registry: what admits an image says nothing of a file", what)
	case len(v.trust) > 0:
		return v.admitted(ctx, r, what)
	case err != nil && strings.Contains(what, "@sha256:"):
		return nil, errors.New("--bundle-trust: got none, want the policies that admit a bundle in a registry")
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(what, "/") && referenced(what):
		return nil, fmt.Errorf("%s: got no such file, and no --bundle-trust, want either: a bundle in a registry is asked for under the policies that admit it", what)
	}
	return Load(what)
}

// referenced says whether a text could be a reference, too.
func referenced(what string) bool {
	_, err := oci.Parse(what)
	return err == nil
}

// admitted gets a bundle that the policies admit, and says which and whose it is.
func (v *verifying) admitted(ctx context.Context, r *report, ref string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, transfer)
	defer cancel()
	policy, err := trusted.NewPolicy(ctx, v.registries, v.trust)
	if err != nil {
		return nil, err
	}
	found, err := trusted.Verify(ctx, policy, ref, archive.Defaults().Compressed)
	if err != nil {
		return nil, err
	}
	r.say("ok", "digest", found.Ref)
	for _, signer := range found.Signers {
		r.say("ok", "admitted", signer)
	}
	return found.Bundle, nil
}

// report is what is said of a bundle, one line for each thing that has to hold.
type report struct {
	w      io.Writer
	failed bool
}

func (r *report) say(word, what, text string) {
	fmt.Fprintf(r.w, "%-4s  %-9s  %s\n", word, what, strings.ReplaceAll(plain.Text(text), "\n", "\n                 "))
}

// hold says that something holds, or why it does not.
func (r *report) hold(what, text string, err error) bool {
	if err != nil {
		r.failed = true
		r.say("FAIL", what, err.Error())
		return false
	}
	r.say("ok", what, text)
	return true
}

func (v *verifying) verify(ctx context.Context, r *report, data []byte, now time.Time) {
	a, err := archive.Read(data, archive.Limits{})
	if err == nil && a.Delta {
		err = errors.New("got a delta, want a bundle that is whole: a delta holds or not with the one that it patches")
	}
	if err != nil {
		r.hold("shape", "", err)
		return
	}
	r.hold("shape", fmt.Sprintf("%d files below the roots %s", len(a.Files), strings.Join(*a.Manifest.Roots, ", ")), nil)
	v.signature(r, a)
	v.named(r, a)
	v.fresh(r, a, now)
	if a.About.Format == "" {
		r.say("-", "set", "not said: assay did not build the bundle")
	} else {
		r.hold("set", a.Set()+", "+a.About.BuiltBy, nil) // Read has compared it
	}
	if !r.hold("builtins", said(a.About.Requires.Builtins), missing(a.About.Requires.Builtins)) {
		return
	}
	v.policies(ctx, r, a)
}

func (v *verifying) signature(r *report, a *archive.Archive) {
	switch {
	case v.key != "":
		r.hold("signature", fmt.Sprintf("key %s, %s", v.keyID, v.algorithm), v.verifySignature(a))
	case a.Signed:
		r.hold("signature", "", errors.New("got one and no --verification-key, want the key"))
	default:
		r.say("-", "signature", "none")
	}
}

func (v *verifying) verifySignature(a *archive.Archive) error {
	key, err := readKey("--verification-key", v.key, v.algorithm)
	if err != nil {
		return err
	}
	keys := map[string]*bundle.KeyConfig{v.keyID: {Key: string(key), Algorithm: v.algorithm}}
	return a.Verify(bundle.NewVerificationConfig(keys, v.keyID, v.scope, nil))
}

func (v *verifying) named(r *report, a *archive.Archive) {
	switch {
	case a.About.Name == "" && v.name == "":
		r.say("-", "name", "not said: it is taken under any")
	case a.About.Name == "":
		r.hold("name", "", fmt.Errorf("got none, want %q", v.name))
	case v.name == "":
		r.say("-", "name", a.About.Name)
	default:
		r.hold("name", a.About.Name, a.About.As(v.name))
	}
}

func (v *verifying) fresh(r *report, a *archive.Archive, now time.Time) {
	revision := a.Manifest.Revision
	if v.minimum != "" {
		order, err := fresh.Compare(revision, v.minimum)
		if err == nil && order < 0 {
			err = fmt.Errorf("got %s, want at least %s", revision, v.minimum)
		}
		r.hold("revision", revision, err)
	} else {
		r.say("-", "revision", revision)
	}
	if a.About.Expires.IsZero() {
		r.say("-", "expires", "never")
		return
	}
	r.hold("expires", a.About.Expires.Format(time.RFC3339), fresh.Expired(a.About.Expires, now))
}

func said(names []string) string {
	if len(names) == 0 {
		return "those of OPA"
	}
	return strings.Join(names, ", ")
}

// missing says which builtins this program has not.
func missing(names []string) error {
	unknown := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := ast.BuiltinMap[name]; return ok })
	if len(unknown) == 0 {
		return nil
	}
	return fmt.Errorf("got %s, which this program has not: want a later assay", strings.Join(unknown, ", "))
}

// policies compiles what the bundle was built of, and runs its tests.
func (v *verifying) policies(ctx context.Context, r *report, a *archive.Archive) {
	dir, err := os.MkdirTemp("", "assay-bundle-")
	if err != nil {
		r.hold("policies", "", err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }() // a directory for temporary files, after all
	plainly := func(err error) error {
		if err == nil {
			return nil
		}
		return errors.New(strings.ReplaceAll(err.Error(), dir+string(os.PathSeparator), ""))
	}
	if err := unpack(a, dir); err != nil {
		r.hold("policies", "", plainly(err))
		return
	}
	passed, err := v.compile(ctx, dir, a)
	if err != nil {
		r.hold("policies", "", plainly(err))
		return
	}
	r.hold("policies", fmt.Sprintf("%d compile", passed.policies), nil)
	for _, warning := range passed.warnings {
		r.say("warn", "policies", strings.ReplaceAll(warning, dir+string(os.PathSeparator), ""))
	}
	if v.tests {
		out, err := runTests(ctx, dir, v.old(a))
		r.hold("tests", cmp.Or(strings.TrimSpace(out), "none"), plainly(err))
	}
}

func (v *verifying) compile(ctx context.Context, dir string, a *archive.Archive) (*checked, error) {
	of := v.rules
	of.v0 = v.old(a)
	passed, err := check(ctx, []string{dir}, of)
	if err != nil {
		return nil, err
	}
	found, err := gather([]string{dir}, true, of.v0 || of.rego.V0())
	if err != nil {
		return nil, err
	}
	return passed, errors.Join(checkRoots(found.trust), of.permitted(found, of.v0 || of.rego.V0()))
}

// old reports whether the manifest says of a file that it is Rego v0.
func (v *verifying) old(a *archive.Archive) bool {
	for name := range a.Files {
		if version, err := a.Version(name); strings.HasSuffix(name, ".rego") && err == nil && version == ast.RegoV0 {
			return true
		}
	}
	return false
}

// runTests runs the tests below a directory as assay test does.
func runTests(ctx context.Context, dir string, old bool) (string, error) {
	var out strings.Builder
	cmd := suite.Command()
	args := []string{dir}
	if old {
		args = append(args, "--v0-compatible")
	}
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	if err := cmd.ExecuteContext(ctx); err != nil {
		return "", fmt.Errorf("%w\n%s", err, strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}
