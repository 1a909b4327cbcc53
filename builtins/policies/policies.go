// Package policies has the builtins that ask the policies of others: those in CUE and in Rego that a
// ClusterImagePolicy brings along, and those in plain Rego. Each has a file that is named for it.
//
// They ask no registry, and decide nothing themselves. Who evaluates the policies, and how long
// that may take, comes with the evaluation: a [Judge] and an [Inline] or a [Policy] in its request
// metadata. Without them the answer is not ok, but for CUE, which needs no more than its arguments.
package policies

import (
	"context"

	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/declare"
)

// The keys of the request metadata: of a [Judge], an [Inline] and a [Policy].
const (
	JudgeKey  = "assay"
	inlineKey = JudgeKey + ".inline"
	policyKey = JudgeKey + ".policy"
)

// Judge is the decision that policies are asked in.
type Judge interface {
	// Judge runs a policy within what is left of the time that the decision has for those.
	Judge(ctx context.Context, policy string, run func(context.Context) *declare.Problem) *declare.Problem
	// CUE evaluates policies in CUE.
	CUE() *cue.Evaluator
}

// Metadata puts into the metadata of an evaluation who evaluates the modules that the policies of the set
// brought along, and those in plain Rego; each is nil where there are none.
func Metadata(into map[string]any, inline Inline, policy Policy) {
	into[inlineKey], into[policyKey] = inline, policy
}

// Builtins are those of this package, in the order of their documentation.
func Builtins() []declare.Builtin {
	return []declare.Builtin{cueValidate(), cueValidateConcrete(), sigstoreIsCompliant(), assayPolicy()}
}
