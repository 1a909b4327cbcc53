package recording

import (
	"bytes"
	"encoding/json"

	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/messages"
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
	messages.Visit(&decision, text)
	c.Outcome.Decision, err = json.Marshal(decision)
	return err
}
