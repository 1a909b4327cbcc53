// Package trusted brings policy bundles from a registry, and believes none that the
// bootstrap policy does not admit.
//
// The bootstrap policy is ClusterImagePolicies and TrustRoots in files, which no bundle can
// change. A bundle in a registry is an image, and is judged as one: by the same engine, as a
// Pod that runs it, by digest, and whatever no policy matches is denied. What would make
// that weaker is refused when the policy is read, [NewPolicy].
//
// A [Fetcher] asks which digest the tag names, has the policy admit that digest, reads the
// bundle by it, and keeps three things in a directory, all or none: the bundle, the manifest
// that leads from the digest to it, and the evidence, which is the capsule of the decision.
// After a restart [Fetcher.Restore] verifies the evidence anew, under the policy and the
// trust roots of now, without asking any registry, and follows the digests from the name to
// the bytes. Of a capsule it believes nothing but what is signed in it.
//
// What it never does. It takes no delta, follows no verifier that a bundle names, and falls
// back to no bundle that was not admitted.
package trusted

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/cmd/assay/allow"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/lint"
)

// ErrWeak is a bootstrap policy that would admit more than somebody's signature.
var ErrWeak = errors.New("bundle trust")

// timeout bounds one question to a registry.
const timeout = 30 * time.Second

// Policy is the bootstrap policy. It is safe for concurrent use.
type Policy struct {
	wiring    *wiring.Wiring
	documents *wiring.Documents
	set       *rego.Set
	source    rego.Source
	config    json.RawMessage // of source
	sealer    *recording.Sealer
	now       func() time.Time

	judging sync.Mutex
	judge   *recording.Judge // which judges one capsule at a time

	refreshing chan struct{} // full while somebody keeps the trust roots fresh
	stale      error         // of the last time that they were refreshed, for who does
	rooted     bell          // rung when a trust root serves that did not
}

// NewPolicy reads the bootstrap policy in files and directories. Of the flags those about
// registries and trust roots count: how strictly the policy is read is no choice. Trust
// roots are asked for once; where there is none, [Policy.Admit] says why.
func NewPolicy(ctx context.Context, flags wiring.Flags, paths []string) (*Policy, error) {
	if len(paths) == 0 {
		return nil, fmt.Errorf("%w: got no path, want a file or a directory with ClusterImagePolicies", ErrWeak)
	}
	w, err := wiring.New(strictest(flags, paths), "deny", timeout)
	if err != nil {
		return nil, err
	}
	w.AskWith(oci.LocalCredentials())
	documents, err := w.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("bundle trust: %w", err)
	}
	if err := weaknesses(documents, paths); err != nil {
		return nil, err
	}
	set, err := w.Compile(ctx, documents)
	if err != nil {
		return nil, fmt.Errorf("bundle trust: %w", err)
	}
	p := &Policy{wiring: w, documents: documents, set: set, source: w.Source(documents), sealer: w.Sealer("bundle trust"), now: time.Now, refreshing: make(chan struct{}, 1)}
	if p.config, err = json.Marshal(p.source.Config); err != nil {
		return nil, err
	}
	if p.judge, err = recording.NewJudge(); err != nil {
		return nil, err
	}
	p.stale = p.Refresh(ctx) // what is missing is the cause of a denial
	return p, nil
}

// strictest are the flags with which a bootstrap policy is read, whatever those of the
// policies that judge images are.
func strictest(f wiring.Flags, paths []string) wiring.Flags {
	return wiring.Flags{
		Policies: paths, NoMatch: "deny", IdentityRegexp: "anchored", InlinePolicies: "strict",
		TrustedRoot: f.TrustedRoot, TUF: f.TUF,
		PrivateRegistries: f.PrivateRegistries, Registries: f.Registries, CloudCredentials: f.CloudCredentials,
		// Nothing is written there: it has what registries say be kept with the decision.
		Record: recording.Flags{Dir: "evidence", Sample: 1, MaxBytes: 1},
	}
}

// Warnings are what is worth knowing about the policy and stops nothing.
func (p *Policy) Warnings() []string { return append(p.documents.Warnings, p.set.Warnings()...) }

// weaknesses refuses what would admit a bundle that nobody vouched for, and what has no
// meaning here. All of it is named at once.
func weaknesses(d *wiring.Documents, paths []string) error {
	var errs []error
	refuse := func(about, field, got, want string) {
		errs = append(errs, fmt.Errorf("%w: %s: %s: got %s, want %s", ErrWeak, about, field, got, want))
	}
	source := d.Source(allow.Flags{})
	if len(source.Policies) == 0 {
		refuse("policies", "kind", "no ClusterImagePolicy", "at least one")
	}
	for _, policy := range source.Policies {
		weakness(policy, refuse)
	}
	for path := range source.Modules {
		refuse(path, "file", "a policy in plain Rego", "ClusterImagePolicies and TrustRoots alone")
	}
	for name := range source.Data {
		refuse("data."+name, "file", "a data document", "ClusterImagePolicies and TrustRoots alone")
	}
	for _, paths := range source.Workloads {
		refuse("WorkloadPaths "+paths.Name, "kind", "WorkloadPaths", "ClusterImagePolicies and TrustRoots alone")
	}
	errs = append(errs, meaningless(paths))
	return errors.Join(errs...)
}

func weakness(p cip.Policy, refuse func(about, field, got, want string)) {
	if p.Namespace != "" {
		refuse(p.String(), "kind", "a policy of one namespace", "a ClusterImagePolicy")
	}
	if p.Spec.Mode == cip.ModeWarn {
		refuse(p.String(), "spec.mode", "warn, which admits", "enforce")
	}
	if len(p.Spec.Match) > 0 {
		refuse(p.String(), "spec.match", fmt.Sprintf("%d entries", len(p.Spec.Match)), "none: a bundle is no object of a cluster")
	}
	for i, authority := range p.Spec.Authorities {
		if s := authority.Static; s != nil && s.Action == "pass" {
			refuse(p.String(), fmt.Sprintf("spec.authorities[%d].static.action", i), "pass, which admits without a signature", "a key or an identity")
		}
		if authority.Keyless != nil {
			anybody(fmt.Sprintf("spec.authorities[%d].keyless", i), *authority.Keyless, func(field, got, want string) { refuse(p.String(), field, got, want) })
		}
	}
	// What a configuration said is no longer proven by its digest once it is evidence.
	if inside := p.Spec.Policy; inside != nil && inside.FetchConfigFile != nil && *inside.FetchConfigFile {
		refuse(p.String(), "spec.policy.fetchConfigFile", "true", "false: a bundle has no configuration")
	}
}

// meaningless refuses what assay lint calls an error: a policy that admits everybody, or
// that does nothing.
func meaningless(paths []string) error {
	found, err := sources.Find(paths)
	if err != nil {
		return err
	}
	var files []lint.File
	for _, name := range found.Resources {
		data, err := sources.Read(name, sources.MaxFile)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		file, err := lint.Parse(name, data)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, file)
	}
	var errs []error
	for _, f := range lint.Run(files) {
		if f.Severity == lint.Error {
			errs = append(errs, fmt.Errorf("%w: %s:%d: %s: %s: %s: %s", ErrWeak, f.File, f.Line, f.Policy, f.Path, f.Message, f.Fix))
		}
	}
	return errors.Join(errs...)
}
