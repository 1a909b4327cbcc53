package strict

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// This file finds where in a file a field is written, for whoever has something
// to say about it. It decides nothing: a place that cannot be told is line 1.

// Places are where the resources of one stream are written.
type Places struct{ documents []*yaml.Node }

// Resource is the head of one document of a stream.
type Resource struct {
	// Kind, Name and APIVersion are as written, and empty where the document has none.
	Kind, Name, APIVersion string
	// Line counts from 1.
	Line int
}

// Locate requires data that [Stream] accepts. Of JSON it knows what is YAML too,
// which is all but streams of several documents and some escapes.
func Locate(data []byte) Places {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var out Places
	for {
		node := new(yaml.Node)
		if err := decoder.Decode(node); err != nil {
			if !errors.Is(err, io.EOF) {
				return Places{}
			}
			return out
		}
		if len(node.Content) == 1 && node.Content[0].ShortTag() != "!!null" {
			out.documents = append(out.documents, follow(node.Content[0]))
		}
	}
}

// Resources are the documents in the order they are written, empty ones left out.
func (p Places) Resources() []Resource {
	var out []Resource
	for _, node := range p.documents {
		kind, name := headOf(node)
		resource := Resource{Kind: kind, Name: name, Line: node.Line}
		if key, value := entryOf(node, "apiVersion"); key != nil {
			resource.APIVersion = value.Value
		}
		out = append(out, resource)
	}
	return out
}

// Line returns the line of a field of the first resource with the kind and name.
// The path is one as in spec.images[0].glob. A field that is not there has the
// line of what it would be in.
func (p Places) Line(kind, name, path string) int {
	for _, node := range p.documents {
		if k, n := headOf(node); k == kind && n == name {
			return lineOf(node, path)
		}
	}
	return 1
}

func headOf(node *yaml.Node) (kind, name string) {
	if key, value := entryOf(node, "kind"); key != nil {
		kind = value.Value
	}
	if key, meta := entryOf(node, "metadata"); key != nil {
		if key, value := entryOf(meta, "name"); key != nil {
			name = value.Value
		}
	}
	return kind, name
}

func lineOf(node *yaml.Node, path string) int {
	line := node.Line
	for path != "" {
		var field, index string
		field, path, _ = strings.Cut(path, ".")
		field, index, _ = strings.Cut(field, "[")
		key, value := entryOf(node, field)
		if key == nil {
			return line
		}
		line, node = key.Line, value
		if index == "" {
			continue
		}
		i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
		if err != nil || node.Kind != yaml.SequenceNode || i < 0 || i >= len(node.Content) {
			return line
		}
		// An alias stands where it is written, what it means stands elsewhere.
		line, node = node.Content[i].Line, follow(node.Content[i])
	}
	return line
}

// entryOf returns the key and the value of an entry of an object, or nil.
func entryOf(node *yaml.Node, name string) (key, value *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if follow(node.Content[i]).Value == name {
			return node.Content[i], follow(node.Content[i+1])
		}
	}
	return nil, nil
}

// follow leaves aliases behind. The YAML reader has none that leads to itself
// alone.
func follow(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}
