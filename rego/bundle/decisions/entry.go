package decisions

import (
	"bytes"
	"encoding/json"

	"github.com/google/uuid"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/server"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/messages"
)

// The paths of decisions, as OPA's Data API has them.
const (
	pathAdmission = "assay/admission/decision"
	pathMutation  = "assay/mutation/decision"
)

// info is what OPA's server would know of a decision.
func (l *Logger) info(next waiting) (*server.Info, error) {
	made := next.made
	review := l.reviewOf(made)
	out := &server.Info{
		DecisionID: uuid.NewString(), Path: pathAdmission, Timestamp: next.at.UTC(), Metrics: measured(made),
		TraceID: next.trace, SpanID: next.span, Custom: review.custom(made), Bundles: l.bundles(made.Set),
	}
	if made.Mutation {
		out.Path = pathMutation
	}
	if review.value != nil {
		out.Input = &review.value
	}
	out.NDBuiltinCache = l.evidenceOf(next.answers, review.text)
	if made.Err != nil {
		return out, nil
	}
	result, err := resultOf(made.Decision, review)
	out.Results = &result
	return out, err
}

// resultOf is the decision as a document, without what its messages repeat of masked
// values.
func resultOf(decision rego.Decision, review *review) (result any, err error) {
	encoded, err := json.Marshal(decision)
	if err != nil {
		return nil, err
	}
	if review.mask != nil && review.mask.Masked() {
		var own rego.Decision // whose details are nobody else's
		decoder := json.NewDecoder(bytes.NewReader(encoded))
		decoder.UseNumber()
		if err := decoder.Decode(&own); err != nil {
			return nil, err
		}
		messages.Visit(&own, func(text *string) { *text = review.text(*text) })
		if encoded, err = json.Marshal(own); err != nil {
			return nil, err
		}
	}
	return result, util.UnmarshalJSON(encoded, &result)
}

// bundles are those of the set, with their revisions.
func (l *Logger) bundles(set *rego.Set) map[string]server.BundleInfo {
	out := map[string]server.BundleInfo{}
	if l.options.Bundles != nil {
		for name, revision := range l.options.Bundles(set) {
			out[name] = server.BundleInfo{Revision: revision}
		}
	}
	return out
}

// measures are what a decision took.
type measures struct {
	metrics.Metrics
	all map[string]any
}

// All implements [metrics.Metrics].
func (m measures) All() map[string]any { return m.all }

// measured has the name that OPA has for the time of an evaluation, the sum of all.
func measured(made rego.Made) metrics.Metrics {
	out := measures{metrics.NoOp(), map[string]any{"counter_assay_evaluations": int64(len(made.Passes))}}
	var sum int64
	for _, pass := range made.Passes {
		sum += pass.Took.Nanoseconds()
	}
	if last := len(made.Passes) - 1; last >= 0 {
		out.all["timer_rego_query_eval_ns"] = sum
		out.all["timer_assay_decision_ns"] = made.Passes[last].Began.Add(made.Passes[last].Took).Sub(made.Passes[0].Began).Nanoseconds()
	}
	return out
}
