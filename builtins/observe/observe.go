// Package observe is how the rooms below an engine say what they spend time on: an
// [Observer] is told when a piece of work begins and, by the function that it gives, when
// that ends. What it makes of it, a metric or a span, is its own business.
//
// Everything that an observer is told is from a closed list, but for the host of a
// registry, which whoever writes image references chooses. It is told no image, no
// message, no credential and nothing of what was fetched. It answers no question and
// can stop none.
//
// Work that several decisions wait for is done once, and told in the context of the one
// that began it.
package observe

import "context"

// Stage is a kind of work.
type Stage string

// The stages.
const (
	// Fact is the whole of one answer that a decision waited for, by whatever it was
	// answered in the end. The other stages lie within it, or within an evaluation.
	Fact Stage = "fact"
	// Credentials is finding out on whose behalf a registry is asked.
	Credentials Stage = "credentials"
	// Registry is one question to a registry, which may take several requests, or none
	// where the answer was kept.
	Registry Stage = "registry"
	// Trust is preparing what an authority trusts: its keys, roots and identities.
	Trust Stage = "trust"
	// Verify is verifying what was fetched.
	Verify Stage = "verify"
)

// Work is what begins.
type Work struct {
	Stage Stage
	// Name is the builtin of a fact and the call of a question to a registry.
	Name string
	// Host is the registry that a fact is asked of, as it was written.
	Host string
}

// End is told how the work ended: with the code of a refusal, or with none.
type End func(code string)

// Observer is told of work. It is safe for concurrent use and never waits.
type Observer interface {
	// Begin is told that work begins. The context is for whatever belongs to it; End is
	// called once.
	Begin(ctx context.Context, of Work) (context.Context, End)
}

// Begin tells an observer, if there is one.
func Begin(ctx context.Context, o Observer, of Work) (context.Context, End) {
	if o == nil {
		return ctx, func(string) {}
	}
	return o.Begin(ctx, of)
}
