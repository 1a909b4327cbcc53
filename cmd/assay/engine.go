package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/cmd/assay/allow"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
)

// engineFlags are the flags that every command with an engine has.
type engineFlags struct {
	policies          []string
	trustRoots        []string
	trustedRoot       string
	noMatch           string
	identityRegexp    string
	inlinePolicies    string
	privateRegistries bool
	rego              allow.Flags
	tuf               tufFlags
	record            recording.Flags
}

func (f *engineFlags) add(cmd *cobra.Command, privateRegistries bool) {
	cmd.Flags().StringArrayVar(&f.policies, "policy", nil, "`path` of a file or directory with ClusterImagePolicies, TrustRoots, Secrets and ConfigMaps, policies in Rego and their data (repeatable)")
	f.addEngine(cmd, privateRegistries)
}

// addEngine adds all but --policy, for commands that name policies in another way.
func (f *engineFlags) addEngine(cmd *cobra.Command, privateRegistries bool) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.trustRoots, "trustroot", nil, "`file` with TrustRoot resources (repeatable)")
	flags.StringVar(&f.trustedRoot, "trusted-root", "", "trusted_root.json `file` for authorities without trustRootRef, instead of public-good Sigstore by TUF")
	flags.StringVar(&f.noMatch, "no-match", "deny", "what becomes of an image that no policy matches: deny, warn or allow")
	flags.StringVar(&f.identityRegexp, "identity-regexp", "upstream", "how identity expressions match: upstream (any part of the value) or anchored (all of it)")
	flags.StringVar(&f.inlinePolicies, "inline-policies", "upstream", "how CUE and Rego inside policies are read: upstream or strict")
	flags.BoolVar(&f.privateRegistries, "allow-private-registries", privateRegistries, "dial registries on loopback and private addresses")
	f.rego.AddRegistries(cmd)
	f.rego.Add(cmd)
	f.tuf.add(cmd)
}

func (f *engineFlags) check() error {
	if err := f.record.Check(); err != nil {
		return err
	}
	if len(f.policies) == 0 {
		return errors.New("--policy: got none, want a file or a directory")
	}
	switch f.noMatch {
	case "deny", "warn", "allow":
	default:
		return fmt.Errorf("--no-match: got %q, want deny, warn or allow", f.noMatch)
	}
	switch f.identityRegexp {
	case "upstream", "anchored":
	default:
		return fmt.Errorf("--identity-regexp: got %q, want upstream or anchored", f.identityRegexp)
	}
	switch f.inlinePolicies {
	case "upstream", "strict":
	default:
		return fmt.Errorf("--inline-policies: got %q, want upstream or strict", f.inlinePolicies)
	}
	return f.rego.Check()
}

// decisionTimeout is the webhook's deadline unless it is told another; the API
// server's own default is the same.
const decisionTimeout = 10 * time.Second

// wiring holds what outlives a policy set: the registry client with its caches,
// the evaluator of CUE policies with its own, and the default trust root.
type wiring struct {
	flags   engineFlags
	tags    string
	timeout time.Duration
	// credentials are those of whoever runs the program: one tenant.
	credentials oci.Credentials
	registry    *oci.Client
	cue         *cue.Evaluator
	resolver    *keys.Resolver
	outgoing    func(*http.Transport) http.RoundTripper // of http.send, where that is on
	root        rootSource
	named       namedRoots // those that were wired last
	explains    bool       // see rego.Source
}

// wire makes the parts that do not depend on policies. tags is what becomes of
// an image on a tag, see rego.Config; timeout bounds one question to a registry,
// whoever waits for it.
func wire(flags engineFlags, tags string, timeout time.Duration) (*wiring, error) {
	if err := flags.check(); err != nil {
		return nil, err
	}
	if timeout == 0 {
		timeout = decisionTimeout
	}
	options := []oci.Option{oci.WithTimeout(timeout)}
	if flags.privateRegistries {
		options = append(options, oci.WithPrivateRegistries())
	}
	registry, err := oci.New(options...)
	if err != nil {
		return nil, err
	}
	evaluator, err := cue.New(cue.Options{})
	if err != nil {
		return nil, err
	}
	w := &wiring{
		flags: flags, tags: tags, timeout: timeout, credentials: oci.LocalCredentials(), registry: registry, cue: evaluator,
		resolver: keys.New(keys.Options{Transport: edge.Guarded(flags.privateRegistries, nil)}),
		outgoing: edge.Outgoing(flags.privateRegistries),
	}
	if flags.trustedRoot != "" {
		w.root, err = fixedRoot(flags.trustedRoot)
	} else {
		w.root, err = tufRoot(flags.tuf)
	}
	return w, err
}

// read reads the policies that the flags name, and what they refer to: it may
// wait for the network, and is no part of any decision.
func (w *wiring) read(ctx context.Context) (*documents, error) {
	documents, err := readDocuments(append(append([]string{}, w.flags.policies...), w.flags.trustRoots...))
	if err != nil {
		return nil, err
	}
	documents.named = w.rootsOf(documents.roots)
	documents.warnings = append(documents.warnings, documents.named.warnings()...)
	documents.resolve(ctx, w.resolver)
	return documents, nil
}

// compile makes a policy set of documents. The trust roots, those of the documents
// and the default one, are asked for anew in every decision.
func (w *wiring) compile(ctx context.Context, d *documents) (*rego.Set, error) {
	roots := func() trust.Roots {
		roots := d.named.roots()
		roots.Default, roots.DefaultCause = w.root.serving()
		return roots
	}
	facts, err := builtins.New(w.registry, roots, builtins.Options{
		AnchoredIdentities: w.flags.identityRegexp == "anchored", FetchTimeout: w.timeout, CUE: w.cue,
		PullSecrets: d.pullSecrets.credentials, Record: w.flags.record.Dir != "",
	})
	if err != nil {
		return nil, err
	}
	source := w.source(d)
	source.Open = func(namespace string) rego.Answers { return facts.Open(w.credentials, namespace) }
	source.Allow.Transport, source.Explains = w.outgoing, w.explains
	return rego.Compile(ctx, source)
}

// source is what a policy set is compiled from, but for what it asks.
func (w *wiring) source(d *documents) rego.Source {
	source := d.source(w.flags.rego)
	source.Config = rego.Config{NoMatch: w.flags.noMatch, Tags: w.tags, Policies: w.flags.inlinePolicies}
	return source
}

// sealer makes capsules of what this program decides.
func (w *wiring) sealer() *recording.Sealer {
	return &recording.Sealer{Program: version(), AnchoredIdentities: w.flags.identityRegexp == "anchored"}
}
