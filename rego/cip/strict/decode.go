package strict

import (
	"encoding/base64"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// URL is a text that net/url parses. It is empty only where the field was
// absent: `url: ""` is refused, because it reads like a demand and would act
// like none.
type URL string

// Problem is what is wrong with one field.
type Problem struct{ Path, Message string }

// Decode fills out, a pointer to a struct of JSON names, from a tree of [Stream].
// It fills what it can and returns all problems.
func Decode(tree, out any) []Problem {
	d := decoder{}
	d.decode("", tree, reflect.ValueOf(out).Elem())
	return d.problems
}

// decoder fills Go values from trees. It differs from encoding/json where that
// is too kind: names are compared exactly, fields that do not exist are errors,
// every error is kept, and every error has the full path of its field.
type decoder struct{ problems []Problem }

func (d *decoder) fail(path, message string) {
	d.problems = append(d.problems, Problem{Path: path, Message: message})
}

// decode leaves out as it is where tree is null, as encoding/json does.
// Requires a settable out made of the kinds below.
func (d *decoder) decode(path string, tree any, out reflect.Value) {
	if tree == nil {
		return
	}
	switch out.Interface().(type) {
	case URL:
		d.url(path, tree, out)
		return
	case []byte:
		d.bytes(path, tree, out)
		return
	case time.Time:
		d.time(path, tree, out)
		return
	}
	switch out.Kind() {
	case reflect.Pointer:
		out.Set(reflect.New(out.Type().Elem()))
		d.decode(path, tree, out.Elem())
	case reflect.Struct:
		d.object(path, tree, out)
	case reflect.Map:
		d.dictionary(path, tree, out)
	case reflect.Slice:
		d.list(path, tree, out)
	case reflect.Bool:
		if b, ok := want[bool](d, path, tree, "a boolean"); ok {
			out.SetBool(b)
		}
	case reflect.String:
		if s, ok := want[string](d, path, tree, "a string"); ok {
			out.SetString(s)
		}
	default: // an interface: a part that is accepted and has no meaning here
	}
}

func want[T any](d *decoder, path string, tree any, kind string) (T, bool) {
	value, ok := tree.(T)
	if !ok {
		d.fail(path, "got "+KindOf(tree)+", want "+kind)
	}
	return value, ok
}

func (d *decoder) object(path string, tree any, out reflect.Value) {
	object, ok := want[map[string]any](d, path, tree, "an object")
	if !ok {
		return
	}
	for key, value := range object {
		field := fieldNamed(out, key)
		if !field.IsValid() {
			d.fail(join(path, key), `json: unknown field "`+key+`"`)
			continue
		}
		d.decode(join(path, key), value, field)
	}
}

// fieldNamed returns the field with that JSON name, or the zero Value.
func fieldNamed(object reflect.Value, key string) reflect.Value {
	for i := range object.NumField() {
		name, _, _ := strings.Cut(object.Type().Field(i).Tag.Get("json"), ",")
		if name == key {
			return object.Field(i)
		}
	}
	return reflect.Value{}
}

// dictionary keeps a key whose value is null, with the zero value.
func (d *decoder) dictionary(path string, tree any, out reflect.Value) {
	object, ok := want[map[string]any](d, path, tree, "an object")
	if !ok {
		return
	}
	result := reflect.MakeMapWithSize(out.Type(), len(object))
	for key, value := range object {
		element := reflect.New(out.Type().Elem()).Elem()
		d.decode(join(path, key), value, element)
		result.SetMapIndex(reflect.ValueOf(key), element)
	}
	out.Set(result)
}

func (d *decoder) list(path string, tree any, out reflect.Value) {
	list, ok := want[[]any](d, path, tree, "a list")
	if !ok {
		return
	}
	out.Set(reflect.MakeSlice(out.Type(), len(list), len(list)))
	for i, element := range list {
		d.decode(at(path, i), element, out.Index(i))
	}
}

func (d *decoder) url(path string, tree any, out reflect.Value) {
	text, ok := want[string](d, path, tree, "a string")
	if !ok {
		return
	}
	if text == "" {
		d.fail(path, "got an empty string, want a URL")
	}
	if _, err := url.Parse(text); err != nil {
		d.fail(path, err.Error())
	}
	out.SetString(text)
}

func (d *decoder) bytes(path string, tree any, out reflect.Value) {
	text, ok := want[string](d, path, tree, "a string")
	if !ok {
		return
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		d.fail(path, err.Error())
		return
	}
	out.SetBytes(slices.Clip(decoded))
}

func (d *decoder) time(path string, tree any, out reflect.Value) {
	text, ok := want[string](d, path, tree, "a string")
	if !ok {
		return
	}
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil {
		d.fail(path, "got "+text+", want a time as in 2006-01-02T15:04:05Z")
		return
	}
	out.Set(reflect.ValueOf(instant))
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

func at(path string, index int) string { return path + "[" + strconv.Itoa(index) + "]" }
