// Package settings reads what an OPA config file says of one plugin, strictly: a field
// that nothing reads is an error, as is one of another kind or beyond its bounds.
package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Fields are what a plugin reads, by name. Each reads its value, and says what it wants
// where that is another.
type Fields map[string]func(value any) (want string, ok bool)

// Read reads the object of a plugin, one below plugins.NAME.
func Read(plugin string, config []byte, fields Fields) error {
	decoder := json.NewDecoder(bytes.NewReader(config))
	decoder.UseNumber()
	var document any
	err := decoder.Decode(&document)
	if _, more := decoder.Token(); err == nil && more != io.EOF {
		err = fmt.Errorf("got more than one value")
	}
	if err != nil {
		return fmt.Errorf("plugins.%s: %w", plugin, err)
	}
	object, ok := document.(map[string]any)
	if !ok && document != nil { // nothing is an empty object
		return fmt.Errorf("plugins.%s: got %s, want an object", plugin, text(document))
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		read, known := fields[name]
		if !known {
			return fmt.Errorf("plugins.%s.%.100s: got a field that does not exist, want one of %s",
				plugin, name, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if want, ok := read(object[name]); !ok {
			return fmt.Errorf("plugins.%s.%s: got %s, want %s", plugin, name, text(object[name]), want)
		}
	}
	return nil
}

// Text reads a text that is not empty.
func Text(into *string) func(any) (string, bool) {
	return func(value any) (string, bool) {
		read, ok := value.(string)
		*into = read
		return "a text that is not empty", ok && read != ""
	}
}

// Flag reads true or false.
func Flag(into *bool) func(any) (string, bool) {
	return func(value any) (want string, ok bool) {
		*into, ok = value.(bool)
		return "true or false", ok
	}
}

// Number reads a whole number within bounds.
func Number(into *int64, least, most int64) func(any) (string, bool) {
	return func(value any) (string, bool) {
		want := fmt.Sprintf("a whole number from %d to %d", least, most)
		number, ok := value.(json.Number)
		if !ok {
			return want, false
		}
		read, err := number.Int64()
		*into = read
		return want, err == nil && least <= read && read <= most
	}
}

// OneOf reads one of some texts.
func OneOf(into *string, texts ...string) func(any) (string, bool) {
	return func(value any) (string, bool) {
		*into, _ = value.(string)
		return "one of " + strings.Join(texts, ", "), slices.Contains(texts, *into)
	}
}

// text is a value in a message.
func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err.Error() // what was decoded can be encoded
	}
	const longest = 100
	if len(encoded) > longest {
		return strings.ToValidUTF8(string(encoded[:longest]), "") + "…"
	}
	return string(encoded)
}
