// Package builtins is what Rego may call: of registries (oci.*), of signatures
// and attestations (cosign.*), and of the policies that a ClusterImagePolicy
// brings along (cue.*, sigstore.*).
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
// answers ok: false.
//
// A networked builtin that has no answer yet notes the question and leaves its
// expression undefined. The engine then lets the session get all answers at
// once and evaluates again; see [Session.Settle].
package builtins

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Code is the closed list of what can go wrong, as policies see it.
type Code string

// The codes. Each builtin documents which of them it answers.
const (
	NotFound         Code = "not_found"
	Unauthorized     Code = "unauthorized"
	RateLimited      Code = "rate_limited"
	Timeout          Code = "timeout"
	Unreachable      Code = "unreachable"
	ForbiddenHost    Code = "forbidden_host"
	Malformed        Code = "malformed"
	DigestMismatch   Code = "digest_mismatch"
	NoSignatures     Code = "no_signatures"
	IdentityMismatch Code = "identity_mismatch"
	UntrustedRoot    Code = "untrusted_root"
	Expired          Code = "expired"
	TLog             Code = "tlog"
	Timestamp        Code = "timestamp"
	Unsupported      Code = "unsupported"
	TooLarge         Code = "too_large"
	NotCompliant     Code = "not_compliant"
)

// builtin is one function that Rego may call: its declaration and its code.
type builtin struct {
	declaration *ast.Builtin
	call        topdown.BuiltinFunc
}

func table() []builtin {
	return []builtin{
		ociParse(), ociResolve(), ociManifest(), ociIndex(), ociConfigs(),
		cosignVerify(), cosignAttestations(),
		cueValidate(), cueValidateConcrete(), sigstoreIsCompliant(),
	}
}

// Register makes the builtins known to OPA. It is to be called once, by the
// program's main function, before any policy is compiled: OPA's tables are not
// locked.
func Register() {
	for _, b := range table() {
		ast.RegisterBuiltin(b.declaration)
		topdown.RegisterBuiltinFunc(b.declaration.Name, b.call)
	}
}

// Declarations are the builtins as OPA's capabilities list them.
func Declarations() []*ast.Builtin {
	var out []*ast.Builtin
	for _, b := range table() {
		out = append(out, b.declaration)
	}
	return out
}
