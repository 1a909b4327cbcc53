// Package hook judges policies of every kind and TrustRoots as they are applied.
//
// [Read] takes what matters of an AdmissionReview, [Judge.Validate] admits or refuses the
// object in it, and [Judge.Default] says which defaults to write into it. What they say is
// what policy-controller says, text for text, because it is rego/cip that says it. Beyond
// that, a policy whose Rego or CUE does not compile is refused where upstream stores it and
// fails every request (VAL-21), and whoever refers to what is not there is warned: it may
// be applied later.
//
// An object that is stored is never held fast by what is wrong with it. Deletions and
// updates of the status are admitted; an update that leaves the spec as it was is admitted
// with warnings, so that labels change, and finalizers that another controller left
// (CRD-12) can be taken away. Where the spec does change it has to be valid, also while
// the object is being deleted: it is in effect until it is gone.
//
// Everything here is a function of values, but for what a [Compiler] and a [Finder] do.
package hook

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/assay-dev/assay/rego/cip"
)

// Compiler compiles the policies that a ClusterImagePolicy carries, and the policy itself.
type Compiler interface {
	// Check says why the policy would not serve, with the path of the field and the line
	// in it, and what else is worth a warning. What the policy only refers to is not in
	// it, and nothing to complain of; giving up is.
	Check(ctx context.Context, policy cip.Policy) (errors, warnings []string)
}

// Judge has what it takes. Its zero value refuses every policy.
type Judge struct {
	Settings cip.Settings
	// Compiler is required.
	Compiler Compiler
	// Own is required for objects of our own group.
	Own OwnCompiler
	// Roots is asked for the roots of TrustRoots. Without it none is made.
	Roots RootMaker
	// Finder is asked what references lead to. Without it they are not followed.
	Finder Finder
}

// RootMaker makes the trust roots of TrustRoots.
type RootMaker interface {
	// CheckRoot says why there would be no root, with the path of the field, and nothing where
	// there would be one, or it has to be fetched first.
	CheckRoot(root cip.TrustRoot) (problem string)
}

// Verdict is what becomes of a request. The zero value refuses.
type Verdict struct {
	Allowed bool
	// Undecoded says that the object has no place in the types, and no validation was
	// done. The message of a refusal begins with "decoding request failed: ", and else
	// with "validation failed: ".
	Undecoded bool
	// Reasons are the lines of the refusal behind that.
	Reasons []string
	// Warnings are shown whatever becomes of the request.
	Warnings []string
	// Patch are the defaults to write. Only [Judge.Default] has any.
	Patch []Operation
}

// Message is what policy-controller would have said. It is empty when Allowed.
func (v Verdict) Message() string {
	switch text := strings.Join(v.Reasons, "\n"); {
	case v.Allowed:
		return ""
	case v.Undecoded:
		return "decoding request failed: " + text
	default:
		return "validation failed: " + text
	}
}

func refuse(reasons ...string) Verdict { return Verdict{Reasons: reasons} }

// Validate admits or refuses the request.
func (j Judge) Validate(ctx context.Context, r Request) Verdict {
	switch {
	case r.Operation == "DELETE", r.Operation == "UPDATE" && r.SubResource == "status":
		return Verdict{Allowed: true}
	case r.SubResource != "":
		return refuse(fmt.Sprintf("subResource: got %.64q, want none or status", r.SubResource))
	case r.Operation != "CREATE" && r.Operation != "UPDATE":
		return refuse(fmt.Sprintf("operation: got %.64q, want CREATE, UPDATE or DELETE", r.Operation))
	}
	unchanged := r.unchanged()
	if unchanged && r.deleted() {
		return Verdict{Allowed: true}
	}
	verdict := j.judge(ctx, r)
	if unchanged && !verdict.Allowed {
		warning := "the spec stays as it is stored, and is not valid: " + verdict.Message()
		return Verdict{Allowed: true, Warnings: append([]string{warning}, verdict.Warnings...)}
	}
	return verdict
}

// judge requires a request to store an object.
func (j Judge) judge(ctx context.Context, r Request) Verdict {
	if isOwn(r.Kind) {
		return j.judgeOwn(ctx, r)
	}
	docs, verdict := j.parse(r)
	if docs == nil {
		return verdict
	}
	for _, warning := range docs.Warnings {
		// The index of a document, of which there is one, is for files.
		verdict.Warnings = append(verdict.Warnings, strings.TrimPrefix(warning, "policy 0: "))
	}
	for _, root := range docs.TrustRoots {
		if j.Roots == nil {
			break
		}
		if problem := j.Roots.CheckRoot(root); problem != "" {
			verdict.Warnings = append(verdict.Warnings, bounded([]string{problem + ": whatever relies on it is denied"})...)
		}
	}
	for _, policy := range docs.Policies {
		verdict.Reasons = append(verdict.Reasons, j.check(ctx, policy, &verdict.Warnings)...)
	}
	verdict.Reasons = bounded(verdict.Reasons)
	verdict.Allowed = len(verdict.Reasons) == 0
	if verdict.Allowed {
		verdict.Warnings = append(verdict.Warnings, j.dangling(ctx, docs)...)
	}
	return verdict
}

// parse returns no documents, and why, when the object is not valid by itself.
func (j Judge) parse(r Request) (*cip.Documents, Verdict) {
	object, err := r.named()
	if err != nil {
		return nil, Verdict{Undecoded: true, Reasons: []string{err.Error()}}
	}
	if r.Kind == cip.ImagePolicyKind {
		if size := r.size(); size > cip.MostOwned {
			return nil, refuse(fmt.Sprintf("got %d bytes, want an ImagePolicy of at most %d", size, cip.MostOwned))
		}
	}
	docs, err := j.Settings.Parse(object)
	var failure *cip.DocumentError
	switch {
	case err == nil:
		return docs, Verdict{}
	case !errors.As(err, &failure):
		return nil, Verdict{Undecoded: true, Reasons: bounded([]string{err.Error()})}
	case len(failure.Decode) > 0:
		text := "cannot decode incoming new object: " + failure.Decode.Error()
		return nil, Verdict{Undecoded: true, Reasons: bounded(strings.Split(text, "\n"))}
	case len(failure.Invalid) > 0:
		// Refused, beside it, is what an API server says before it asks.
		return nil, refuse(bounded(strings.Split(failure.Invalid.Error(), "\n"))...)
	default:
		return nil, Verdict{Undecoded: true, Reasons: bounded(failure.Refused)}
	}
}

// check returns why a valid policy would not serve.
func (j Judge) check(ctx context.Context, policy cip.Policy, warnings *[]string) []string {
	if len(policy.Spec.Authorities) == 0 {
		*warnings = append(*warnings, "spec.authorities: there are none: no image that the policy matches satisfies it")
	}
	if j.Compiler == nil {
		return []string{"the policy was not compiled: got no compiler"}
	}
	problems, others := j.Compiler.Check(ctx, policy)
	*warnings = append(*warnings, others...)
	if err := ctx.Err(); err != nil && len(problems) == 0 {
		return []string{fmt.Sprintf("the policy was not compiled in time: %v", context.Cause(ctx))}
	}
	return problems
}

const (
	// mostLine and mostLines bound what is said about one object: the message is stored
	// in events, and people read it.
	mostLine  = 8 << 10
	mostLines = 100
)

func bounded(lines []string) []string {
	var out []string
	for i, line := range lines {
		if i == mostLines {
			return append(out, fmt.Sprintf("and %d more", len(lines)-i))
		}
		if len(line) > mostLine {
			line = strings.ToValidUTF8(line[:mostLine], "") + "…"
		}
		out = append(out, line)
	}
	return out
}
