package cue

import "cuelang.org/go/cue/parser"

// Check says why a policy is no CUE, nil when its syntax is right. It evaluates
// nothing, and so cannot run away; whether what a policy refers to is there only
// [Evaluator.Validate] finds out. The message is the one of Validate.
func Check(policy string) *Refusal {
	if refusal := tooLong(policy, nil); refusal != nil {
		return refusal
	}
	if _, err := parser.ParseFile("", policy); err != nil {
		return refuse(Malformed, "failed to compile the cue policy with error: %v", err)
	}
	return nil
}
