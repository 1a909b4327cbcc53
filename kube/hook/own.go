package hook

import (
	"context"
	"fmt"
	"strings"

	"github.com/assay-dev/assay/rego/resource"
)

// RegoCompiler compiles policies in plain Rego.
type RegoCompiler interface {
	// CheckRego says why the policy would not serve, with the file and the line, and that
	// another policy has its package; and what else is worth a warning.
	CheckRego(ctx context.Context, policy resource.RegoPolicy) (errors, warnings []string)
}

// judgeOwn judges an object of our own group.
func (j Judge) judgeOwn(ctx context.Context, r Request) Verdict {
	object, err := r.named()
	if err != nil {
		return Verdict{Undecoded: true, Reasons: []string{err.Error()}}
	}
	policy, err := resource.ParseRegoPolicy(object)
	if err != nil {
		return refuse(bounded(strings.Split(err.Error(), "\n"))...)
	}
	if j.Rego == nil {
		return refuse("the policy was not compiled: got no compiler")
	}
	problems, warnings := j.Rego.CheckRego(ctx, policy)
	if err := ctx.Err(); err != nil && len(problems) == 0 {
		problems = []string{fmt.Sprintf("the policy was not compiled in time: %v", context.Cause(ctx))}
	}
	return Verdict{Allowed: len(problems) == 0, Reasons: bounded(problems), Warnings: warnings}
}
