package recording

import (
	"bytes"
	"encoding/json"

	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/rego"
)

// unrepeated masks what the messages of a decision repeat of masked values. The decision
// that is made again from what is masked has the same masks in them.
func unrepeated(c *capsule.Capsule, mask *capsule.Mask) error {
	if !mask.Masked() {
		return nil
	}
	policies, err := json.Marshal(c.Policies)
	if err != nil {
		return err
	}
	text := func(text *string) { *text = mask.Repeated(*text, c.Review, policies) }
	text(&c.Outcome.Error)
	if c.Outcome.Decision == nil {
		return nil
	}
	var decision rego.Decision
	decoder := json.NewDecoder(bytes.NewReader(c.Outcome.Decision))
	decoder.UseNumber()
	if err := decoder.Decode(&decision); err != nil {
		return err
	}
	messages(&decision, text)
	c.Outcome.Decision, err = json.Marshal(decision)
	return err
}

// messages visits the texts of a decision that policies choose.
func messages(decision *rego.Decision, visit func(*string)) {
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
