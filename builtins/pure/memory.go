package pure

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/builtins/declare"
)

// Reading a bill of materials takes longer than all rules about it, and each rule
// asks for it. So an evaluation reads the same document once. What it remembers
// lies in OPA's cache of the query, as everything there is only its own.

// mostRemembered bounds what an evaluation remembers of one builtin: a policy that
// makes up documents must not keep them all.
const mostRemembered = 32

// remembered is the key in the cache of a query.
type remembered struct{ builtin string }

// earlier is a call and its answer.
type earlier struct {
	operands []*ast.Term
	answer   *ast.Term
}

// remembering is calling for what takes long.
func remembering(name string, read func(operands []*ast.Term) (any, *declare.Problem)) topdown.BuiltinFunc {
	return func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		if bctx.Cache == nil {
			return iter(answered(read, operands))
		}
		key := remembered{name}
		kept, _ := bctx.Cache.Get(key)
		calls, _ := kept.([]earlier)
		for _, call := range calls {
			if same(call.operands, operands) {
				return iter(call.answer)
			}
		}
		call := earlier{operands, answered(read, operands)}
		if len(calls) < mostRemembered {
			bctx.Cache.Put(key, append(calls, call))
		}
		return iter(call.answer)
	}
}

// same compares operands, first by their hashes, which documents have already.
func same(a, b []*ast.Term) bool {
	for i := range a {
		if a[i] != b[i] && (a[i].Hash() != b[i].Hash() || !a[i].Equal(b[i])) {
			return false
		}
	}
	return true
}
