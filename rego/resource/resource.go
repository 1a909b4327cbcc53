// Package resource is the vocabulary of policy.assay.dev, the group of our own resources:
// strict bytes to values that cannot be wrong.
//
//   - [RegoPolicy] is a policy in plain Rego with its libraries and data
//   - [WorkloadPaths] say where the images of a custom kind stand
//
// What Rego says is not read here: a RegoPolicy that does not compile is read, and fails.
package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/assay-dev/assay/rego/cip/strict"
)

// Group and Version are those of all resources here.
const (
	Group   = "policy.assay.dev"
	Version = "v1alpha1"
)

// subdomain is what names are, as rego/cip has it: they stand in messages and paths.
var subdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

const mostName = 253

// envelope is an object. What is any has no meaning here, or is read on its own.
type envelope[S any] struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   any    `json:"metadata"`
	Spec       S      `json:"spec"`
	Status     any    `json:"status"`
}

// parse reads the one document of a text.
func parse(data []byte) (any, error) {
	trees, err := strict.Stream(data)
	if err != nil {
		return nil, err
	}
	if len(trees) != 1 {
		return nil, fmt.Errorf("got %d documents, want one", len(trees))
	}
	return trees[0], nil
}

// read reads an object of a kind, with all that is wrong with its fields.
func read[S any](tree any, kind string) (name string, spec S, err error) {
	object, ok := tree.(map[string]any)
	if !ok {
		return "", spec, fmt.Errorf("got %s, want an object", strict.KindOf(tree))
	}
	var found envelope[S]
	var problems []error
	for _, problem := range strict.Decode(object, &found) {
		problems = append(problems, fmt.Errorf("%s: %s", problem.Path, problem.Message))
	}
	if found.APIVersion != Group+"/"+Version || found.Kind != kind {
		return "", spec, fmt.Errorf("got the kind %.64q of %.64q, want %s of %s", found.Kind, found.APIVersion, kind, Group+"/"+Version)
	}
	metadata, _ := object["metadata"].(map[string]any)
	name, _ = metadata["name"].(string)
	if len(name) > mostName || !subdomain.MatchString(name) {
		problems = append(problems, fmt.Errorf("metadata.name: got %.64q, want a lowercase RFC 1123 subdomain", name))
		name = ""
	}
	return name, found.Spec, errors.Join(problems...)
}

// free is a part of a tree that may hold anything, numbers as they were written.
func free[T any](tree any, path ...string) (out T, err error) {
	for _, part := range path {
		object, _ := tree.(map[string]any)
		tree = object[part]
	}
	if tree == nil {
		return out, nil
	}
	text, err := json.Marshal(tree)
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		err = decoder.Decode(&out)
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", strings.Join(path, "."), err)
	}
	return out, nil
}
