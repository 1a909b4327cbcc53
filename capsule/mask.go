package capsule

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Mask puts tokens in the place of values that may be secret: those of environment
// variables, wherever an object has an env, and those of Secrets. Equal values have
// equal tokens within one capsule, and nobody can guess a value from its token: the key
// of the hash is made for one capsule and thrown away.
//
// A policy that looks at such a value may judge a masked review in another way. Whoever
// makes the decision again is told where something is masked.
type Mask struct {
	key    []byte
	places []string
	tokens map[string]string // by the value
}

// NewMask is a mask for one capsule.
func NewMask() *Mask {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return &Mask{key: key, tokens: map[string]string{}}
}

// inside is a mask for a part whose places are kept apart.
func (m *Mask) inside() *Mask { return &Mask{key: m.key, tokens: m.tokens} }

// Masked reports whether there is any value that a token stands for.
func (m *Mask) Masked() bool { return len(m.tokens) > 0 }

// Places are where something was masked, in order.
func (m *Mask) Places() []string {
	slices.Sort(m.places)
	return slices.Compact(m.places)
}

// prefix begins what stands in the place of a value.
const prefix = "masked-"

func (m *Mask) token(value, place string) string {
	if value == "" {
		return value // there is nothing to hide
	}
	m.places = append(m.places, place)
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte(value))
	m.tokens[value] = prefix + hex.EncodeToString(mac.Sum(nil)[:16])
	return m.tokens[value]
}

// Review masks an AdmissionReview: both objects in it, and what kubectl noted of them
// in annotations. It is written anew, so that nothing is left that a reader of JSON
// does not see, such as a member that stands twice.
func (m *Mask) Review(review []byte) (json.RawMessage, error) { return m.document("", review) }

// Config masks the config files of images that policies saw. place is for [Mask.Places].
func (m *Mask) Config(place string, config []byte) (json.RawMessage, error) {
	return m.document(place, config)
}

// LeavesOut reports whether content is the configuration of an image that has something
// to mask (OCI image-spec, config.md). Such content cannot be written otherwise.
func (m *Mask) LeavesOut(place string, content []byte) bool {
	var config struct{ Config, RootFS map[string]any }
	if json.Unmarshal(content, &config) != nil || config.Config == nil || config.RootFS == nil {
		return false
	}
	inside := m.inside()
	if _, err := inside.document(place, content); err != nil || len(inside.places) == 0 {
		return err != nil
	}
	m.places = append(m.places, place)
	return true
}

func (m *Mask) document(place string, text []byte) (json.RawMessage, error) {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(m.walk(place, value)); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

var (
	// appliedName is where kubectl and others note the whole object that was applied.
	appliedName = regexp.MustCompile(`last-applied|/applied$`)
	// environments are what objects that no standard knows call an environment.
	environments = regexp.MustCompile(`^(?:[a-zA-Z]*Env|(?:[a-zA-Z]*E|e)nv(?:Vars?|s)|environmentVariables)$`)
	// label is the place of a label that is called env: policies select by it.
	label = regexp.MustCompile(`(?:^|\.)(?:[lL]abels|matchLabels|annotations|[a-zA-Z]*[sS]elector)\.[eE]nv$`)
)

func (m *Mask) walk(place string, value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = m.walk(fmt.Sprintf("%s[%d]", place, i), value[i])
		}
	case map[string]any:
		secret := value["kind"] == "Secret"
		for _, name := range slices.Sorted(maps.Keys(value)) {
			value[name] = m.member(below(place, name), name, value[name], secret)
		}
	}
	return value
}

func (m *Mask) member(place, name string, value any, secret bool) any {
	text, isText := value.(string)
	switch {
	case isText && label.MatchString(place):
		return value
	case name == "env" || name == "Env", !isText && environments.MatchString(name):
		return m.environment(place, value)
	case secret && (name == "data" || name == "stringData"):
		return m.scalars(place, value)
	case isText && (appliedName.MatchString(name) || strings.HasPrefix(text, "{")):
		return m.applied(place, text, appliedName.MatchString(name))
	case (name == "created_by" || name == "comment") && isText && buildArguments.MatchString(text):
		return m.token(text, place)
	}
	return m.walk(place, value)
}

// buildArguments is how the history of an image tells of environment variables and of
// the arguments of a build: "ENV A=b", "ARG A=b", "|1 A=b /bin/sh -c …".
var buildArguments = regexp.MustCompile(`(?i)\b(?:ENV|ARG)\s|^\|\d`)

// environment masks the forms that an environment has: a list of names and values, a
// list of NAME=VALUE, or an object.
func (m *Mask) environment(place string, value any) any {
	list, ok := value.([]any)
	if !ok {
		return m.scalars(place, value)
	}
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", place, i)
		switch item := item.(type) {
		case string:
			if name, value, found := strings.Cut(item, "="); found {
				list[i] = name + "=" + m.token(value, at)
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(item)) {
				if name == "name" || name == "valueFrom" {
					item[name] = m.member(below(at, name), name, item[name], false)
				} else {
					item[name] = m.scalars(below(at, name), item[name])
				}
			}
		default:
			list[i] = m.scalars(at, item)
		}
	}
	return list
}

// scalars masks all that a value holds.
func (m *Mask) scalars(place string, value any) any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		for i := range value {
			value[i] = m.scalars(fmt.Sprintf("%s[%d]", place, i), value[i])
		}
		return value
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			value[name] = m.scalars(below(place, name), value[name])
		}
		return value
	case string:
		return m.token(value, place)
	}
	return m.token(fmt.Sprint(value), place)
}

// applied masks an object that is a text. One that cannot be read is masked whole, if it
// is sure to be one.
func (m *Mask) applied(place, text string, sure bool) any {
	inside := m.inside()
	masked, err := inside.document(place, []byte(text))
	switch {
	case err != nil && sure:
		return m.token(text, place)
	case err != nil:
		return text
	}
	if len(inside.places) == 0 {
		return text
	}
	m.places = append(m.places, inside.places...)
	return string(masked) + text[len(strings.TrimRight(text, "\n")):]
}

// below is the place of a member, in the form that field paths have.
func below(place, name string) string {
	switch {
	case place == "":
		return name
	case strings.ContainsAny(name, "./"):
		return place + "[" + name + "]"
	}
	return place + "." + name
}
