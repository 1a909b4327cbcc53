// Package builtins is what Rego may call: of registries (oci.*), of signatures
// and attestations (cosign.*), of the policies that a ClusterImagePolicy
// brings along (cue.*, sigstore.*), and of policies in plain Rego (assay.*).
//
// Every builtin is a total function of a typed, closed object: what goes wrong
// in the world is an answer, {"ok": false, "error": {"code", "message"}}, never
// an error and never undefined. OPA hoists a failing call out of a `not`, so an
// error would make a deny rule silent.
//
// The builtins are registered once, by [Register], because OPA knows only a
// global table; they hold no state. What a call may know, whom it acts for and
// what was answered before comes with the evaluation, as a [Session] under
// [MetadataKey] of its request metadata. A call that needs one and has none
// answers ok: false, unless the program is a tool that gives a [Standalone].
//
// A networked builtin that has no answer yet notes the question and leaves its
// expression undefined. The engine then lets the session get all answers at
// once and evaluates again; see [Session.Settle].
package builtins

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/policies"
	"github.com/assay-dev/assay/builtins/pure"
)

// All are the builtins, in the order of their documentation. Each has a file that
// is named for it: here where it asks registries, in package policies where it asks
// policies of others, and in package pure where it needs its arguments alone.
func All() []declare.Builtin {
	return slices.Concat([]declare.Builtin{
		pure.OCIParse(), ociResolve(), ociManifest(), ociIndex(), ociConfig(), ociConfigs(), ociBlob(), ociReferrers(), ociFiles(),
		cosignVerify(), cosignAttestations(),
	}, policies.Builtins(), pure.Builtins())
}

// Register makes the builtins known to OPA. It is to be called once, by the
// program's main function, before any policy is compiled: OPA's tables are not
// locked.
func Register() {
	for _, b := range All() {
		ast.RegisterBuiltin(b.Declaration())
		topdown.RegisterBuiltinFunc(b.Name, b.Function())
	}
}

// Declarations are the builtins as OPA's capabilities list them.
func Declarations() []*ast.Builtin {
	var out []*ast.Builtin
	for _, b := range All() {
		out = append(out, b.Declaration())
	}
	return out
}
