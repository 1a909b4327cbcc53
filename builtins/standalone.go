package builtins

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Standalone is for the tools of policy authors: OPA's commands and its test
// runner begin evaluations themselves, and hand nothing to builtins but the
// context that they were given, if any. It makes for such an evaluation what
// [Session.Metadata] makes for one of the engine, of a session that blocks (see
// [Session.Block]); nobody evaluates again. Nil is an evaluation without facts.
//
// It is asked only where an evaluation has no session. Those of the engine have
// theirs, so no decision ever rests on it.
type Standalone func(ctx context.Context) map[string]any

// RegisterStandalone lets evaluations without a session have what alone gives. Like
// [Register], after which it is to be called, it is for the beginning of a program:
// of its commands, those that are such a tool call it, and no other does.
func RegisterStandalone(alone Standalone) {
	for _, b := range All() {
		if b.Nondeterministic { // the others want no facts
			topdown.RegisterBuiltinFunc(b.Name, alone.behind(b.Function()))
		}
	}
}

// behind puts the call behind it.
func (alone Standalone) behind(call topdown.BuiltinFunc) topdown.BuiltinFunc {
	return func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		if _, ok := bctx.RequestMetadata[MetadataKey]; !ok {
			if metadata := alone(bctx.Context); metadata != nil {
				bctx.RequestMetadata = metadata
			}
		}
		return call(bctx, operands, iter)
	}
}
