package admission

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The envelope is read by spans: one walk over bytes that are known to be valid
// JSON finds where each member's value starts and ends, so that a large object is
// never decoded here and never copied. encoding/json alone would take the last of
// two members with one name, and any case of a name; the engine, reading the same
// bytes, may not.

// members are the members of one JSON object: the bytes of each value by name.
type members map[string]json.RawMessage

// read decodes the member name into a value; one that is absent or null leaves
// the value as it is. The prefix is the path of the object in messages.
func (m members) read(prefix, name string, into any) error {
	raw, ok := m[name]
	if !ok {
		return nil
	}
	err := json.Unmarshal(raw, into)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		path := strings.TrimSuffix(prefix+name+"."+mismatch.Field, ".")
		return fmt.Errorf("%s: got %s, want %s", path, jsonType(mismatch.Value), wanted(mismatch))
	}
	if err != nil {
		return fmt.Errorf("%s%s: %w", prefix, name, err)
	}
	return nil
}

// wanted names the JSON type that a field of ours takes.
func wanted(mismatch *json.UnmarshalTypeError) string {
	switch name := mismatch.Type.Kind().String(); name {
	case "bool":
		return "a boolean"
	case "struct":
		return "an object"
	default:
		return "a " + name
	}
}

// jsonType names the type of a value as encoding/json describes it: of a number
// it repeats the digits, which are not ours to show.
func jsonType(described string) string {
	switch word, _, _ := strings.Cut(described, " "); word {
	case "array", "object":
		return "an " + word
	case "bool":
		return "a boolean"
	default:
		return "a " + word
	}
}

// envelopeNames are the members of an AdmissionReview and of its request that
// decide what is judged. Any other spelling of them is refused, not skipped.
func envelopeNames() []string {
	return []string{
		"kind", "apiVersion", "request",
		"uid", "subResource", "namespace", "name", "operation", "dryRun",
		"object", "oldObject", "options", "userInfo",
	}
}

// readObject splits a JSON object into its members. Requires valid JSON, or
// nothing at all for a member that is absent.
func readObject(field string, raw []byte) (found members, values int, err error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil, 0, fmt.Errorf("%s: got none, want an object", field)
	}
	if raw[0] != '{' {
		return nil, 0, fmt.Errorf("%s: got %s, want an object", field, typeOf(raw[0]))
	}
	found = make(members)
	for at := 1; ; {
		quote := bytes.IndexByte(raw[at:], '"')
		if quote < 0 {
			return found, values, nil
		}
		start := at + quote
		end := stringEnd(raw, start)
		name, err := readName(field, raw[start:end])
		if err != nil {
			return nil, 0, err
		}
		if _, twice := found[name]; twice {
			return nil, 0, fmt.Errorf("%s: got %.64q twice, want each member once", field, name)
		}
		value := end + bytes.IndexByte(raw[end:], ':') + 1
		inside := 0
		if at, inside, err = valueEnd(raw, value); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", field, err)
		}
		if values += inside; values > MaxValues {
			return nil, 0, excess("%s: got %d values or more, want at most %d", field, values, MaxValues)
		}
		found[name] = bytes.TrimSpace(raw[value:at])
	}
}

// readName decodes the name of a member and refuses a known one in another case.
func readName(field string, quoted []byte) (string, error) {
	var name string
	if err := json.Unmarshal(quoted, &name); err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	known := envelopeNames()
	i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
	if i >= 0 && known[i] != name {
		return "", fmt.Errorf("%s: got member %.64q, want %q", field, name, known[i])
	}
	return name, nil
}

// typeOf names the JSON type of the value that starts with b.
func typeOf(b byte) string {
	switch b {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// stringEnd returns the index after the string that starts at raw[start].
func stringEnd(raw []byte, start int) int {
	for i := start + 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// valueEnd returns the index of the comma or the brace that ends the member
// value starting at raw[start], and how many values that value is: itself, and
// one for each bracket that opens and each comma inside. An empty list counts
// twice.
func valueEnd(raw []byte, start int) (end, values int, err error) {
	depth := 0
	values = 1
	for i := start; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i) - 1
		case '{', '[':
			values++
			if depth++; depth > MaxDepth {
				return 0, 0, excess("got values nested deeper than %d", MaxDepth)
			}
		case '}', ']':
			if depth == 0 {
				return i, values, nil
			}
			depth--
		case ',':
			if depth == 0 {
				return i, values, nil
			}
			values++
		}
	}
	return len(raw), values, nil
}
