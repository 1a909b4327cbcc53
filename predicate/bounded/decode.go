package bounded

import (
	"encoding/json"
	"errors"
	"reflect"
	"time"

	kjson "sigs.k8s.io/json"
)

// Decode fills out, a pointer, from a document that [Check] accepts. Names are
// compared exactly, which encoding/json does not: with it "Packages" is packages,
// and who reads the same document in Rego sees none. Fields that out does not have
// are skipped; a field of another type is refused.
func Decode(data []byte, out any) error {
	err := kjson.UnmarshalCaseSensitivePreserveInts(data, out)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return Refuse(Malformed, pathAt(data, wrong.Offset), "got %s, want %s", article(wrong.Value), kind(wrong.Type))
	}
	return Refuse(Malformed, "", "%s", err.Error())
}

// article names a kind of JSON value as a person would.
func article(value string) string {
	switch value {
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "bool":
		return "a boolean"
	}
	return "a " + value // string, number, number 1e999
}

// kind is what a Go type wants of JSON.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return kind(t.Elem())
	}
	return "a number"
}

// Time reads RFC 3339 and returns it in UTC; of nothing it makes nothing.
func Time(path, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	instant, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return "", Refuse(Malformed, path, "got %s, want a time as in 2006-01-02T15:04:05Z", Quoted(text))
	}
	return instant.UTC().Format(time.RFC3339Nano), nil
}

// List is the list, and an empty one for none: null is no list in Rego.
func List[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
