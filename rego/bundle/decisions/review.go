package decisions

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/util"

	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/rego"
)

// review is a review as an entry has it.
type review struct {
	value  any // nil where it is not logged
	erased []string
	mask   *capsule.Mask
	masked []byte // the text, before anything was left out
	shown  func() []byte
}

// reviewOf is the review of a decision, masked. Nothing is shown of one that cannot be
// read: what is secret in it cannot be told from the rest.
func (l *Logger) reviewOf(made rego.Made) *review {
	out := &review{mask: capsule.NewMask(), erased: []string{"input"}, shown: func() []byte { return l.shown.of(made.Set) }}
	var err error
	if out.masked, err = out.mask.Review(made.Review); err != nil {
		return out
	}
	// The mask has seen all of it: what messages repeat of a member that is left out here
	// is masked as well.
	text, erased := out.masked, []string(nil)
	if len(text) > l.options.MostInput {
		if text, erased = shortened(text, l.options.MostInput); text == nil {
			return out
		}
	}
	var value map[string]any
	if err := util.UnmarshalJSON(text, &value); err != nil || value == nil {
		return out
	}
	out.value, out.erased = value, erased
	return out
}

// shortened leaves out of a review what makes it large, its objects before all, and gives
// nothing where that does not help.
func shortened(text []byte, most int) (rest []byte, erased []string) {
	var whole, request map[string]json.RawMessage
	if json.Unmarshal(text, &whole) != nil || json.Unmarshal(whole["request"], &request) != nil {
		return nil, nil
	}
	const largeMember = 16 << 10
	for _, name := range slices.Sorted(maps.Keys(request)) {
		if len(request[name]) > largeMember || name == "object" || name == "oldObject" {
			delete(request, name)
			erased = append(erased, "input.request."+name)
		}
	}
	rest, err := json.Marshal(map[string]any{"request": request})
	if err != nil || len(rest) > most {
		return nil, nil
	}
	return rest, erased
}

// text masks what a text repeats of what is masked.
func (r *review) text(text string) string {
	if r.mask == nil || !r.mask.Masked() {
		return text
	}
	return r.mask.Repeated(text, r.masked, r.shown())
}

// mostPlaces bounds how many places are named that are masked.
const mostPlaces = 100

// custom is what an entry says besides OPA's members.
func (r *review) custom(made rego.Made) map[string]any {
	out := map[string]any{"call": "validate"}
	if made.Mutation {
		out["call"] = "mutate"
	}
	if made.Set != nil {
		out["policy_set"] = made.Set.Hash()
	}
	if value, ok := r.value.(map[string]any); ok {
		request, _ := value["request"].(map[string]any)
		if uid, ok := request["uid"].(string); ok {
			out["uid"] = uid
		}
	}
	if made.Err != nil {
		out["error"] = r.text(made.Err.Error())
	}
	if places := r.mask.Places(); len(places) > 0 {
		if out["masked"] = list("input.", places[:min(len(places), mostPlaces)]); len(places) > mostPlaces {
			out["masked_total"] = len(places)
		}
	}
	if len(r.erased) > 0 {
		out["erased"] = list("", r.erased)
	}
	return out
}

func list(prefix string, texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = prefix + text
	}
	return out
}

// shown are the policies of the latest set, as a text: what stands in them is no secret.
type shown struct {
	set  *rego.Set
	text []byte
}

func (s *shown) of(set *rego.Set) []byte {
	if set == nil || s.set == set {
		return s.text
	}
	s.set = set
	source := set.Source()
	s.text, _ = json.Marshal([]any{source.Policies, source.Modules}) // what cannot be written shows nothing
	return s.text
}
