package recording

import (
	"regexp"
	"slices"
	"strings"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/rego"
)

// silent are the refusals that tell of the way to a registry and nothing of an image.
func silent() []string {
	return []string{string(declare.Unreachable), string(declare.Timeout), string(declare.RateLimited), string(declare.Unauthorized)}
}

// unresolved is how a reason tells why a tag has no digest: in its details, by code.
var unresolved = regexp.MustCompile(`(?m)^(?:` + strings.Join(silent(), "|") + `): `)

// Unanswered are the messages of a denial for want of an answer. Both sets deny what
// nobody answers for: that they agree says nothing.
func Unanswered(decision rego.Decision) []string {
	var out []string
	add := func(err *rego.Error) {
		if err != nil && slices.Contains(silent(), err.Code) {
			out = append(out, err.Message)
		}
	}
	for _, image := range decision.Images {
		for _, policy := range image.Policies {
			if policy.Outcome != "failed" {
				continue
			}
			for _, authority := range policy.Authorities {
				add(authority.Error)
			}
			if policy.Inside != nil {
				add(policy.Inside.Error)
			}
		}
	}
	for _, policy := range decision.Rego {
		add(policy.Error)
	}
	for _, reason := range decision.Reasons {
		if unresolved.MatchString(reason) {
			out = append(out, reason)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
