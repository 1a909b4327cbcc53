// Package strict reads YAML and JSON that other tools are lenient with: keys that
// are set twice, aliases that explode, fields that no schema has, and bytes that
// are no text are errors, and all that it reads is bounded.
//
// [Stream] turns bytes into trees, [Decode] a tree into a Go value. It knows no
// kind of resource, and whoever asks gives errors their wording around the path.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// This file turns bytes into trees of nil, bool, string, number, []any and
// map[string]any, one for each document. YAML and JSON have a reader each,
// because not all JSON that other tools write is YAML (tabs, surrogate pairs).

const (
	// maxInput bounds the bytes of a stream. etcd holds objects of 1.5 MiB.
	maxInput = 4 << 20
	// maxExpanded bounds what a stream may grow to when its YAML aliases are
	// followed, counted in bytes of text plus nodeCost for each value.
	maxExpanded = 16 << 20
	nodeCost    = 16
	// maxDepth bounds nesting, aliases included, and so ends those that contain
	// themselves. The fields of a policy are nested less than ten deep.
	maxDepth = 100
)

var (
	errTooLarge = fmt.Errorf("got more than %d bytes of policies", maxInput)
	errExpanded = fmt.Errorf("expands to more than %d bytes", maxExpanded)
	errTooDeep  = fmt.Errorf("is nested deeper than %d levels", maxDepth)
	errNotUTF8  = errors.New("got bytes that are not UTF-8")
	errNUL      = errors.New("holds a NUL character")
)

// number is a JSON or YAML number as it was written.
type number string

// reader builds trees within a budget that all documents of a stream share.
type reader struct{ budget int }

// SyntaxError is why one document of a stream cannot be read.
type SyntaxError struct {
	// Index counts the documents of the stream from 0, empty ones included.
	Index int
	// Text is what is wrong, and where in the document.
	Text string
}

// Error names the document.
func (e *SyntaxError) Error() string { return fmt.Sprintf("document %d: %s", e.Index, e.Text) }

// Stream returns one tree for each YAML or JSON document, nil for an empty one.
// What is wrong with one document is a [SyntaxError].
func Stream(data []byte) ([]any, error) {
	if len(data) > maxInput {
		return nil, errTooLarge
	}
	if !utf8.Valid(data) {
		return nil, errNotUTF8
	}
	r := &reader{budget: maxExpanded}
	if isJSON(data) {
		return r.jsonStream(data)
	}
	return r.yamlStream(data)
}

// spend accounts for one value and refuses text that no field can mean.
func (r *reader) spend(text string, depth int) error {
	r.budget -= len(text) + nodeCost
	switch {
	case depth > maxDepth:
		return errTooDeep
	case r.budget < 0:
		return errExpanded
	case strings.ContainsRune(text, 0):
		return errNUL
	}
	return nil
}

func (r *reader) yamlStream(data []byte) ([]any, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var trees []any
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return trees, nil
		}
		var tree any
		if err == nil {
			tree, err = r.yamlTree(&node, 0)
		}
		if err != nil {
			return nil, &SyntaxError{
				Index: len(trees), Text: fmt.Sprintf("decoding object[%d]: %s", len(trees), explain(err)),
			}
		}
		trees = append(trees, tree)
	}
}

// anchorName is where an error of the YAML library repeats what was written.
var anchorName = regexp.MustCompile(`unknown anchor '[^']*' referenced`)

// explain adds a hint to the commonest mistake: to YAML an unquoted * starts an
// alias. The name of that alias may be the password of a Secret: it is left out.
func explain(err error) string {
	text := anchorName.ReplaceAllString(err.Error(), "unknown anchor referenced")
	if strings.Contains(text, "did not find expected alphabetic or numeric character") ||
		strings.Contains(text, "unknown anchor") {
		return text + ` (a value that starts with * has to be quoted, as in glob: "*")`
	}
	return text
}

func (r *reader) yamlTree(node *yaml.Node, depth int) (any, error) {
	if err := r.spend(node.Value, depth); err != nil {
		return nil, fmt.Errorf("line %d: %w", node.Line, err)
	}
	switch node.Kind {
	case yaml.DocumentNode:
		return r.yamlTree(node.Content[0], depth+1)
	case yaml.AliasNode:
		return r.yamlTree(node.Alias, depth+1)
	case yaml.SequenceNode:
		return r.yamlList(node, depth)
	case yaml.MappingNode:
		return r.yamlObject(node, depth)
	default:
		return yamlScalar(node)
	}
}

func (r *reader) yamlList(node *yaml.Node, depth int) (any, error) {
	if tag := node.ShortTag(); tag != "!!seq" {
		return nil, fmt.Errorf("line %d: got a list of type %s, want no type", node.Line, tag)
	}
	list := make([]any, 0, len(node.Content))
	for _, element := range node.Content {
		value, err := r.yamlTree(element, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}

func (r *reader) yamlObject(node *yaml.Node, depth int) (any, error) {
	if tag := node.ShortTag(); tag != "!!map" {
		return nil, fmt.Errorf("line %d: got an object of type %s, want no type", node.Line, tag)
	}
	object := make(map[string]any, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		keyNode, valueNode := node.Content[i], node.Content[i+1]
		key, err := r.yamlTree(keyNode, depth+1)
		if err != nil {
			return nil, err
		}
		text, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("line %d: got %s as a key, want a string", keyNode.Line, KindOf(key))
		}
		if _, ok := object[text]; ok {
			return nil, fmt.Errorf("line %d: key %q already set in map", keyNode.Line, text)
		}
		if object[text], err = r.yamlTree(valueNode, depth+1); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func yamlScalar(node *yaml.Node) (any, error) {
	switch tag := node.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return node.Value, nil
	case "!!int", "!!float":
		return number(node.Value), nil
	case "!!null":
		return nil, nil
	case "!!bool":
		switch strings.ToLower(node.Value) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("line %d: got %q, want true or false", node.Line, node.Value)
	case "!!merge":
		return nil, fmt.Errorf("line %d: merge keys (<<) are not supported, write the fields out", node.Line)
	default:
		if !strings.HasPrefix(tag, "!!") { // may be the password of a Secret: not repeated
			return nil, fmt.Errorf("line %d: got a value with a type, want none (a value that starts with ! has to be quoted)", node.Line)
		}
		return nil, fmt.Errorf("line %d: got a value of type %s, want no type", node.Line, tag)
	}
}

// isJSON reports whether data is a sequence of JSON objects or arrays. What
// merely starts like one is YAML in flow style.
func isJSON(data []byte) bool {
	if start := bytes.TrimLeft(data, " \t\r\n"); len(start) == 0 || (start[0] != '{' && start[0] != '[') {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// jsonStream requires data that isJSON.
func (r *reader) jsonStream(data []byte) ([]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var trees []any
	for decoder.More() {
		tree, err := r.jsonTree(decoder, 0)
		if err != nil {
			return nil, &SyntaxError{
				Index: len(trees), Text: fmt.Sprintf("decoding object[%d]: offset %d: %v", len(trees), decoder.InputOffset(), err),
			}
		}
		trees = append(trees, tree)
	}
	return trees, nil
}

func (r *reader) jsonTree(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	text, _ := token.(string)
	if err := r.spend(text, depth); err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return r.jsonList(decoder, depth)
		}
		return r.jsonObject(decoder, depth)
	case json.Number:
		return number(token), nil
	default:
		return token, nil
	}
}

func (r *reader) jsonList(decoder *json.Decoder, depth int) (any, error) {
	list := []any{}
	for decoder.More() {
		value, err := r.jsonTree(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := decoder.Token()
	return list, err
}

func (r *reader) jsonObject(decoder *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for decoder.More() {
		key, err := r.jsonTree(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		text, _ := key.(string) // JSON has no other keys
		if _, ok := object[text]; ok {
			return nil, fmt.Errorf("key %q already set in map", text)
		}
		if object[text], err = r.jsonTree(decoder, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := decoder.Token()
	return object, err
}

// KindOf names the type of a tree in messages.
func KindOf(tree any) string {
	switch tree.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
