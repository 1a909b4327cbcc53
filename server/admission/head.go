package admission

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Excess is the error about a review that may well be one, and has more than is read.
type Excess struct{ text string }

// Error says what was got and what is read.
func (e *Excess) Error() string { return e.text }

func excess(format string, args ...any) error { return &Excess{fmt.Sprintf(format, args...)} }

// Head reads the beginning of a review: enough to deny one that is read no further, and
// never to decide about it. It says whether that has the uid, and all that comes before: the
// API server writes the object behind what names it. Raw is not set.
func Head(start []byte) (Review, bool) {
	var out Review
	var kind string
	d := json.NewDecoder(bytes.NewReader(start))
	scan(d, func(name string) any {
		switch name {
		case "kind":
			return &kind
		case "apiVersion":
			return &out.APIVersion
		case "request":
			scan(d, out.place)
			return nil
		default:
			return new(json.RawMessage)
		}
	})
	return out, kind == reviewKind && knownVersion(out.APIVersion) && out.UID != ""
}

// place is where a member of the request goes.
func (r *Review) place(name string) any {
	for _, field := range r.fields() {
		if field.name == name {
			return field.into
		}
	}
	return new(json.RawMessage)
}

// scan reads the members of an object, as far as they are there. place says where the next
// value goes, and reads it itself where it says nil.
func scan(d *json.Decoder, place func(name string) any) {
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return
	}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return
		}
		if into := place(name); into != nil && d.Decode(into) != nil {
			return
		}
	}
	_, _ = d.Token() // the brace, if that is there
}
