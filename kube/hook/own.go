package hook

import (
	"context"
	"fmt"
	"strings"

	"github.com/assay-dev/assay/rego/resource"
)

// OwnCompiler knows what becomes of objects of our own group beside those that serve.
type OwnCompiler interface {
	// CheckRego says why the policy would not serve, with the file and the line, and that
	// another policy has its package; and what else is worth a warning.
	CheckRego(ctx context.Context, policy resource.RegoPolicy) (errors, warnings []string)
	// CheckPaths says that others are about the kind.
	CheckPaths(paths resource.WorkloadPaths) (errors []string)
}

func isOwn(kind string) bool {
	return kind == resource.RegoPolicyKind || kind == resource.WorkloadPathsKind
}

// judgeOwn judges an object of our own group.
func (j Judge) judgeOwn(ctx context.Context, r Request) Verdict {
	object, err := r.named()
	if err != nil {
		return Verdict{Undecoded: true, Reasons: []string{err.Error()}}
	}
	if j.Own == nil {
		return refuse("the object was not judged beside others: got no compiler")
	}
	var problems, warnings []string
	if r.Kind == resource.WorkloadPathsKind {
		var paths resource.WorkloadPaths
		if paths, err = resource.ParseWorkloadPaths(object); err == nil {
			problems = j.Own.CheckPaths(paths)
		}
	} else {
		var policy resource.RegoPolicy
		if policy, err = resource.ParseRegoPolicy(object); err == nil {
			problems, warnings = j.Own.CheckRego(ctx, policy)
		}
	}
	if err != nil {
		return refuse(bounded(strings.Split(err.Error(), "\n"))...)
	}
	if err := ctx.Err(); err != nil && len(problems) == 0 {
		problems = []string{fmt.Sprintf("the policy was not compiled in time: %v", context.Cause(ctx))}
	}
	return Verdict{Allowed: len(problems) == 0, Reasons: bounded(problems), Warnings: warnings}
}
