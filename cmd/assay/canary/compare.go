package canary

import (
	"context"
	"errors"
	"slices"

	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
)

// Outcome is how the candidate's answer differs from the one that was given.
type Outcome string

// The outcomes.
const (
	// Same: the same verdict with the same reasons and warnings.
	Same Outcome = "same"
	// NewlyDenied: it was admitted, and the candidate denies.
	NewlyDenied Outcome = "newly_denied"
	// NewlyAllowed: it was denied, and the candidate admits.
	NewlyAllowed Outcome = "newly_allowed"
	// Messages: the same verdict with other reasons or warnings.
	Messages Outcome = "messages"
	// Unknown: what the candidate asks for was not asked by the decision, or one of the
	// two is no decision.
	Unknown Outcome = "unknown"
)

// Outcomes are all of them.
func Outcomes() []Outcome { return []Outcome{Same, NewlyDenied, NewlyAllowed, Messages, Unknown} }

// compare says how a judgment differs from a decision, and why that is not known. Nothing
// is known before everything is.
func compare(live rego.Made, judged recording.Judged, err error) (Outcome, []string) {
	switch {
	case live.Err != nil:
		return Unknown, []string{"the answer was no decision: " + live.Err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return Unknown, []string{"the candidate took too long"}
	case err != nil:
		return Unknown, []string{"no judgment: " + err.Error()}
	case judged.Err != nil:
		return Unknown, []string{"no decision: " + judged.Err.Error()}
	case len(judged.NotRecorded) > 0:
		return Unknown, judged.NotRecorded
	}
	if lacks := lacking(live.Decision, judged.Decision); len(lacks) > 0 {
		return Unknown, lacks
	}
	was, is := live.Decision, judged.Decision
	switch {
	case was.Allowed && !is.Allowed:
		return NewlyDenied, nil
	case !was.Allowed && is.Allowed:
		return NewlyAllowed, nil
	case !slices.Equal(was.Reasons, is.Reasons) || !slices.Equal(was.Warnings, is.Warnings):
		return Messages, nil
	}
	return Same, nil
}

// lacking is what the candidate had no answer to for want of one, and the decision did
// not lack: a policy that ran out of time may say anything when it has some.
func lacking(was, is rego.Decision) []string {
	before := recording.Unanswered(was)
	return slices.DeleteFunc(recording.Unanswered(is), func(message string) bool { return slices.Contains(before, message) })
}

// blamed are the policies for which two decisions differ: of a denial those that fail now,
// of an admission those that do not fail any more, and else either.
func blamed(outcome Outcome, was, is rego.Decision) []string {
	before, now := failing(was), failing(is)
	without := func(of, others []string) []string {
		return slices.DeleteFunc(slices.Clone(of), func(name string) bool { return slices.Contains(others, name) })
	}
	out := []string{}
	if outcome != NewlyAllowed {
		out = append(out, without(now, before)...)
	}
	if outcome != NewlyDenied {
		out = append(out, without(before, now)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// failing are the names of the policies that failed anything.
func failing(d rego.Decision) (out []string) {
	for _, image := range d.Images {
		for _, policy := range image.Policies {
			if policy.Outcome == "failed" {
				out = append(out, policy.Name)
			}
		}
	}
	for _, policy := range d.Rego {
		if policy.Outcome == "failed" {
			out = append(out, policy.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// differing is the image for which two decisions differ, the first one where it is none of
// them or all.
func differing(was, is rego.Decision) string {
	outcomes := func(of rego.Image) []string {
		var out []string
		for _, policy := range of.Policies {
			out = append(out, policy.Name, policy.Mode, policy.Outcome)
		}
		return out
	}
	for i, image := range is.Images {
		if i >= len(was.Images) || was.Images[i].Image != image.Image || !slices.Equal(outcomes(was.Images[i]), outcomes(image)) {
			return image.Image
		}
	}
	for _, images := range [][]rego.Image{was.Images, is.Images} {
		if len(images) > 0 {
			return images[0].Image
		}
	}
	return ""
}
