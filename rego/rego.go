// Package rego is the engine: policies in, [Decision] out.
//
// A [Set] is a policy set that compiled: the ClusterImagePolicies as Rego, the
// policies in plain Rego beside them (rego/raw), the library that joins them
// (rego/lib), and prepared queries. It is immutable. An
// [Engine] serves one set behind an atomic pointer; a set that does not compile
// never takes its place.
//
// Rego decides and Go supplies facts: whether an image is admitted, which
// policies matched and what the message says is data.assay.admission.decision.
// Facts about the world arrive through one interface, [Answers], and the engine
// evaluates until nothing is asked that has no answer (see decide.go).
//
// The engine opens no socket and knows no registry and no signature. It never
// allows what it could not decide: every error is the caller's to deny.
package rego

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Answers are the facts of one decision; a builtins.Session has them.
type Answers interface {
	// Metadata is handed to every evaluation, for the builtins to find. inline asks
	// isCompliant of a module that a policy brought along: its value, nil where it
	// is undefined, or the code and the message of why there is none. policy asks a
	// policy in plain Rego about a review, and answers likewise. reach says of which
	// registries the evaluation may ask, nil for all.
	Metadata(
		inline func(ctx context.Context, module string, document ast.Value) (value ast.Value, code, message string),
		policy func(ctx context.Context, name string, review ast.Value) (answer ast.Value, code, message string),
		reach func(ctx context.Context, host string) bool,
	) map[string]any
	// Now is the time of the decision.
	Now() time.Time
	// Pending reports whether the last evaluation asked for something unknown.
	Pending() bool
	// Settle gets what was asked, the registries in scope first, and returns
	// early enough before the deadline of ctx to evaluate once more.
	Settle(ctx context.Context, scope []string)
	// Reuse lets what is asked about images, registry/repository@digest each, be answered
	// by what was answered when a policy set, named by its hash, admitted them in the
	// namespace of the object.
	Reuse(set string, images []string)
	// Decided tells what became of the images of a decision, by the references that the
	// object has.
	Decided(set string, allowed bool, images []string)
	// Block makes every later question wait for its answer in place.
	Block()
}

// Workload is what a decision is about, as data.assay.images.workload has it: as far as
// the credentials go with which registries are asked.
type Workload struct {
	// Namespace is that of the object, "" where it has none.
	Namespace string `json:"namespace"`
	// ServiceAccount is what its Pods run as.
	ServiceAccount string `json:"serviceAccount"`
	// PullSecrets are the names in imagePullSecrets of the Pod spec.
	PullSecrets []string `json:"pullSecrets"`
	// Path is where the Pod spec stands in the object, "" where it has none.
	Path string `json:"path"`
}

// Config is what an installation sets about decisions. Policies read it as
// data.assay.config.
type Config struct {
	// NoMatch is what becomes of an image that no policy matches: deny, warn or
	// allow. Anything else means deny (CFG-1).
	NoMatch string `json:"no_match"`
	// Policies is how the policies inside ClusterImagePolicies are read: upstream,
	// or strict, which does without what is lenient there. Anything else means
	// upstream.
	Policies string `json:"policies"`
	// Tags is where a tag becomes a digest; one that still stands where it should have
	// become one is denied, whatever any policy says.
	//
	//	deny     nowhere: every tag is denied. Anything else means this.
	//	pin      in the mutating webhook, as upstream's: [Engine.Mutate] pins every kind.
	//	pods     in the mutating webhook, of Pods and ephemeral containers only. What only
	//	         describes Pods is judged by the digest that its tag names now, and stays.
	//	resolve  in the decision, which no webhook came before: it judges the digest that
	//	         the tag names now, and its patch has it.
	Tags string `json:"tags"`
}

// document is the configuration as policies see it.
func (c Config) document() map[string]any {
	return map[string]any{"no_match": c.NoMatch, "tags": c.Tags, "policies": c.Policies}
}
