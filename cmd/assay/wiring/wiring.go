// Package wiring makes an engine of flags: the policies that they name, the trust roots, the
// client of registries. It puts parts together and decides nothing.
package wiring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/registries"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/cmd/assay/allow"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/once"
)

// Defaults are the flags as they are where nobody says anything.
func Defaults() Flags {
	return Flags{NoMatch: "deny", IdentityRegexp: "upstream", InlinePolicies: "upstream"}
}

// Flags are the flags that every command with an engine has.
type Flags struct {
	Policies          []string
	TrustRoots        []string
	TrustedRoot       string
	NoMatch           string
	IdentityRegexp    string
	InlinePolicies    string
	PrivateRegistries bool
	Registries        string
	CloudCredentials  []string
	Sources           []string // where an ImagePolicy may have signatures looked for
	Mutate            string   // of serve alone, see Tags
	Cluster           bool     // of serve alone: policies are objects of a cluster, too
	Bundles           bool     // of serve alone: policies are in bundles, too
	Rego              allow.Flags
	TUF               TUFFlags
	Record            recording.Flags
}

// Add adds them. privateRegistries is whether registries on private addresses are dialled
// unless it is said otherwise.
func (f *Flags) Add(cmd *cobra.Command, privateRegistries bool) {
	cmd.Flags().StringArrayVar(&f.Policies, "policy", nil, "`path` of a file or directory with ClusterImagePolicies, TrustRoots, Secrets and ConfigMaps, policies in Rego and their data (repeatable)")
	f.AddEngine(cmd, privateRegistries)
}

// AddEngine adds all but --policy, for commands that name policies in another way.
func (f *Flags) AddEngine(cmd *cobra.Command, privateRegistries bool) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.TrustRoots, "trustroot", nil, "`file` with TrustRoot resources (repeatable)")
	flags.StringVar(&f.NoMatch, "no-match", "deny", "what becomes of an image that no policy matches: deny, warn or allow")
	flags.StringVar(&f.IdentityRegexp, "identity-regexp", "upstream", "how identity expressions match: upstream (any part of the value) or anchored (all of it)")
	flags.StringVar(&f.InlinePolicies, "inline-policies", "upstream", "how CUE and Rego inside policies are read: upstream or strict")
	f.AddRegistry(cmd, privateRegistries)
	flags.StringArrayVar(&f.Sources, "image-policy-source", nil, "`repository`, or registry, in which an ImagePolicy may have signatures looked for besides the image's own (repeatable)")
	f.Rego.AddRegistries(cmd)
	f.Rego.Add(cmd)
	f.AddTrust(cmd)
}

// Tags is what --mutate makes of tags where there is a mutating webhook, see rego.Config.
func (f *Flags) Tags() (string, error) {
	switch f.Mutate {
	case "", "pods":
		return "pods", nil
	case "all":
		return "pin", nil
	case "none":
		return "deny", nil
	default:
		return "", fmt.Errorf("--mutate: got %q, want pods, all or none", f.Mutate)
	}
}

func (f *Flags) check() error {
	if err := f.Record.Check(); err != nil {
		return err
	}
	if len(f.Policies) == 0 && !f.Cluster && !f.Bundles {
		return errors.New("--policy: got none, want a file or a directory")
	}
	switch f.NoMatch {
	case "deny", "warn", "allow":
	default:
		return fmt.Errorf("--no-match: got %q, want deny, warn or allow", f.NoMatch)
	}
	switch f.IdentityRegexp {
	case "upstream", "anchored":
	default:
		return fmt.Errorf("--identity-regexp: got %q, want upstream or anchored", f.IdentityRegexp)
	}
	switch f.InlinePolicies {
	case "upstream", "strict":
	default:
		return fmt.Errorf("--inline-policies: got %q, want upstream or strict", f.InlinePolicies)
	}
	if _, err := f.SourcePrefixes(); err != nil {
		return err
	}
	return f.Rego.Check()
}

// Timeout is the webhook's deadline unless it is told another; the API
// server's own default is the same.
const Timeout = 10 * time.Second

// registry makes the client of all registries. heard is told each of their answers.
func (f *Flags) registry(config *registries.Config, timeout time.Duration, heard func(oci.Code)) (*oci.Client, error) {
	options := []oci.Option{oci.WithTimeout(timeout), oci.WithHeard(heard), oci.WithRegistries(config)}
	if f.PrivateRegistries {
		options = append(options, oci.WithPrivateRegistries())
	}
	return oci.New(options...)
}

// Wiring holds what outlives a policy set: the registry client with its caches,
// what is known of images, the evaluator of CUE policies with its own, and the
// default trust root.
type Wiring struct {
	Flags Flags
	// Credentials are those of whoever runs the program: one tenant. [Wiring.AskWith] sets them.
	Credentials oci.Credentials
	// Tenants finds the credentials of workloads in a cluster. Nil leaves them to Credentials,
	// and those that policies name to the Secrets that came with the policies.
	Tenants tenant.Source
	// Namespaces are those of the cluster now. Nil leaves them to the data documents.
	Namespaces func() *rego.Namespaces
	Resolver   *keys.Resolver
	CUE        *cue.Evaluator
	// Root is the default trust root.
	Root     RootSource
	Explains bool // see rego.Source
	// Noted has decisions note what they saw, for whoever judges them again.
	Noted bool
	// Kept has what was made of policies when they were loaded before, and Patience says how
	// long a load waits for what is new. Without it all is made anew, and waited for.
	Kept     *once.Store
	Patience once.Patience
	// Owned is the patience for what namespaces bring.
	Owned once.Patience
	// Bundled is what bundles bring beside the files; nil is nothing. It is set where policies
	// are read.
	Bundled *Bundled
	// Watched is who is told of the work, if anybody is. It is set before the first policy
	// set is compiled.
	Watched Watched

	tags     string
	timeout  time.Duration
	registry *oci.Client
	clouds   oci.Credentials
	outgoing func(*http.Transport) http.RoundTripper // of http.send, where that is on
	named    NamedRoots                              // those that serve, see Took
	known    *lasting
}

// New makes the parts that do not depend on policies. tags is what becomes of
// an image on a tag, see rego.Config; timeout bounds one question to a registry,
// whoever waits for it.
func New(flags Flags, tags string, timeout time.Duration) (*Wiring, error) {
	if err := flags.check(); err != nil {
		return nil, err
	}
	if timeout == 0 {
		timeout = Timeout
	}
	w := &Wiring{Flags: flags, tags: tags, timeout: timeout, known: &lasting{}}
	config, err := flags.listed()
	if err != nil {
		return nil, err
	}
	registry, err := flags.registry(config, timeout, func(code oci.Code) { w.Watched.heard(string(code)) })
	if err != nil {
		return nil, err
	}
	if w.clouds, err = flags.cloudCredentials(config, timeout, func(err error) { w.Watched.noToken(err) }); err != nil {
		return nil, err
	}
	w.AskWith(oci.LocalCredentials())
	evaluator, err := cue.New(cue.Options{})
	if err != nil {
		return nil, err
	}
	w.registry, w.CUE = registry, evaluator
	w.Resolver = keys.New(keys.Options{Transport: edge.Guarded(flags.PrivateRegistries, nil)})
	w.outgoing = edge.Outgoing(flags.PrivateRegistries)
	if flags.TrustedRoot != "" {
		w.Root, err = fixedRoot(flags.TrustedRoot)
	} else {
		w.Root, err = tufRoot(flags.TUF)
	}
	return w, err
}

// Read reads the policies that the flags name, and what they refer to: it may
// wait for the network, and is no part of any decision.
func (w *Wiring) Read(ctx context.Context) (*Documents, error) {
	documents, err := w.files(ctx)
	if err != nil {
		return nil, err
	}
	return w.complete(ctx, documents), nil
}

func (w *Wiring) files(ctx context.Context) (*Documents, error) {
	documents, err := ReadDocuments(append(append([]string{}, w.Flags.Policies...), w.Flags.TrustRoots...))
	if err != nil || w.Bundled == nil {
		return documents, err
	}
	return documents, documents.addBundled(ctx, *w.Bundled)
}

// complete wires what was read.
func (w *Wiring) complete(ctx context.Context, d *Documents) *Documents {
	allowed, _ := w.Flags.SourcePrefixes() // checked
	d.restrict(allowed)
	d.Named = w.rootsOf(d.roots)
	d.Warnings = append(d.Warnings, d.Named.warnings()...)
	d.Resolve(ctx, w.Resolver)
	d.load = w.Kept.Begin(w.Patience, w.Owned) // what is fetched has a time of its own
	d.readCUE(ctx)
	return d
}

// Took notes that documents serve. Until others do, what they refer to, what was made of them and
// their TrustRoots are there for whatever says the same when it is read again. Of what was read and
// does not serve, for it was refused or is a candidate, nothing is kept that would outlive a few loads.
func (w *Wiring) Took(serving *Documents) {
	w.named = serving.Named
	w.Resolver.Serves(serving.referring)
	serving.load.Serves()
}

// Compile makes a policy set of documents. The trust roots, those of the documents
// and the default one, are asked for anew in every decision.
func (w *Wiring) Compile(ctx context.Context, d *Documents) (*rego.Set, error) {
	return w.CompileAfter(ctx, d, nil)
}

// CompileAfter is Compile where a set serves: what says the same is not compiled anew.
func (w *Wiring) CompileAfter(ctx context.Context, d *Documents, before *rego.Set) (*rego.Set, error) {
	facts, err := w.facts(d)
	if err != nil {
		return nil, err
	}
	source := w.Source(d)
	source.Open = func(about rego.Workload) rego.Answers { return facts.Open(w.Credentials, tenant.Workload(about)) }
	source.Allow.Transport, source.Explains = w.outgoing, w.Explains
	source.Load, source.Before = d.load, before
	return rego.Compile(ctx, source)
}

// tenants is who knows the credentials of workloads.
func (w *Wiring) tenants(d *Documents) tenant.Source {
	if w.Tenants != nil {
		return w.Tenants
	}
	return tenant.Named(d.pullSecrets.credentials)
}

// Source is what a policy set is compiled from, but for what it asks.
func (w *Wiring) Source(d *Documents) rego.Source {
	source := d.Source(w.Flags.Rego)
	source.Namespaces = w.Namespaces
	source.Config = rego.Config{NoMatch: cmp.Or(d.noMatch, w.Flags.NoMatch), Tags: w.tags, Policies: w.Flags.InlinePolicies}
	return source
}

// Sealer makes capsules of what a program of that version decides.
func (w *Wiring) Sealer(program string) *recording.Sealer {
	return &recording.Sealer{Program: program, AnchoredIdentities: w.Flags.IdentityRegexp == "anchored"}
}
