// Package messages is about the texts in a decision: a policy may put into them whatever
// it has seen, so that who writes a decision down looks at each.
package messages

import "github.com/assay-dev/assay/rego"

// Visit visits the texts of a decision that policies choose.
func Visit(decision *rego.Decision, visit func(*string)) {
	all := func(texts []string) {
		for i := range texts {
			visit(&texts[i])
		}
	}
	cause := func(err *rego.Error) {
		if err != nil {
			visit(&err.Message)
		}
	}
	all(decision.Reasons)
	all(decision.Warnings)
	for _, image := range decision.Images {
		for _, policy := range image.Policies {
			for _, authority := range policy.Authorities {
				all(authority.Warnings)
				cause(authority.Error)
			}
			if policy.Inside != nil {
				all(policy.Inside.Warnings)
				cause(policy.Inside.Error)
			}
		}
	}
	for _, policy := range decision.Rego {
		cause(policy.Error)
		for _, said := range [][]rego.RawMessage{policy.Denials, policy.Warnings} {
			for i := range said {
				visit(&said[i].Message)
				details(said[i].Details, visit)
			}
		}
	}
}

func details(value any, visit func(*string)) any {
	switch value := value.(type) {
	case string:
		visit(&value)
		return value
	case []any:
		for i := range value {
			value[i] = details(value[i], visit)
		}
	case map[string]any:
		for name := range value {
			value[name] = details(value[name], visit)
		}
	}
	return value
}
