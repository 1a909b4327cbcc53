package start

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/assay-dev/assay/cmd/assay/suite/fixture"
	"github.com/assay-dev/assay/rego/lint"
)

// This file puts the values of flags into the files. The policy gets them as they are.
// Its test needs somebody who signs as the policy wants it, somebody who does not, and
// images that it matches: examples of the expressions (example.go).

// The files that values go into, and the names of their places in them.
const (
	policyFile  = "policies/released.yaml"
	fixtureFile = "tests/released_test.yaml"
	dataFile    = "policies/registries/data.json"
)

// values are those of the flags.
type values struct{ issuer, subject, glob string }

// defaults are those that the files are written with.
func defaults() values {
	return values{
		issuer:  "https://token.actions.githubusercontent.com",
		subject: `^https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v[0-9.]+$`,
		glob:    "ghcr.io/acme/**",
	}
}

// filled are the files with the values in them.
func filled(v values) (map[string][]byte, error) {
	files, err := templates()
	if err != nil || v == defaults() {
		return files, err
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	if files[policyFile], err = edited(files[policyFile], []edit{
		{[]any{"spec", "images", 0, "glob"}, v.glob},
		{[]any{"spec", "authorities", 0, "keyless", "identities", 0, "issuer"}, v.issuer},
		{[]any{"spec", "authorities", 0, "keyless", "identities", 0, "subjectRegExp"}, v.subject},
	}); err != nil {
		return nil, err
	}
	if err := checkPolicy(files[policyFile]); err != nil {
		return nil, err
	}
	registry, err := v.fillFixture(files)
	if err != nil {
		return nil, err
	}
	files[dataFile], err = json.MarshalIndent(map[string][]string{"in_use": {registry}}, "", "  ")
	files[dataFile] = append(files[dataFile], '\n')
	return files, err
}

// check wants values that mean something by themselves: in a policy they have no flag.
func (v values) check() error {
	if _, err := regexp.Compile(v.subject); err != nil {
		return fmt.Errorf("--subject-regexp: got %q, want a regular expression: %w", v.subject, err)
	}
	if issuer, err := url.Parse(v.issuer); err != nil || issuer.Scheme != "https" || issuer.Host == "" {
		return fmt.Errorf("--issuer: got %q, want a URL, as in %s", v.issuer, defaults().issuer)
	}
	return nil
}

// checkPolicy wants a policy that is valid and does what it seems to do.
func checkPolicy(text []byte) error {
	file, err := lint.Parse(policyFile, text)
	if err != nil {
		return fmt.Errorf("%s: %w", policyFile, err)
	}
	var errs []error
	for _, finding := range lint.Run([]lint.File{file}) {
		errs = append(errs, fmt.Errorf("%s: %s: %s (%s); fix: %s", flagOf(finding.Path), finding.Severity, finding.Message, finding.Rule, finding.Fix))
	}
	return errors.Join(errs...)
}

// flagOf is the flag whose value stands at a path.
func flagOf(path string) string {
	switch {
	case strings.HasSuffix(path, ".issuer"):
		return "--issuer"
	case strings.HasSuffix(path, ".subjectRegExp"):
		return "--subject-regexp"
	case strings.HasSuffix(path, ".glob"):
		return "--glob"
	}
	return path
}

// fillFixture puts examples of the values into the test, and says which registry they
// are in.
func (v values) fillFixture(files map[string][]byte) (registry string, err error) {
	registry, repository, err := exampleImage(v.glob)
	if err != nil {
		return "", fmt.Errorf("--glob: %w", err)
	}
	subject, err := exampleSubject(v.subject)
	if err != nil {
		return "", fmt.Errorf("--subject-regexp: %w", err)
	}
	stranger, err := strangerTo(v.subject, subject)
	if err != nil {
		return "", fmt.Errorf("--subject-regexp: %w", err)
	}
	edits := []edit{
		{[]any{"world", "registry"}, registry},
		{[]any{"world", "signers", "release", "issuer"}, v.issuer},
		{[]any{"world", "signers", "release", "subject"}, subject},
		{[]any{"world", "signers", "stranger", "issuer"}, v.issuer},
		{[]any{"world", "signers", "stranger", "subject"}, stranger},
	}
	for _, image := range []string{"signed", "unsigned", "wrong-workflow", "expired", "unlogged"} {
		edits = append(edits, edit{[]any{"world", "images", image, "repository"}, repository})
	}
	if files[fixtureFile], err = edited(files[fixtureFile], edits); err != nil {
		return "", err
	}
	if _, err = fixture.Parse(fixtureFile, files[fixtureFile]); err != nil {
		return "", fmt.Errorf("--glob, --issuer, --subject-regexp: got values of which no test can be made: %w", err)
	}
	return registry, nil
}

// edit puts a text where another one stands in a document.
type edit struct {
	path  []any // keys and indexes
	value string
}

// edited is a document with other values and the same comments.
func edited(text []byte, edits []edit) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	for _, e := range edits {
		node := document.Content[0]
		for _, step := range e.path {
			if node = below(node, step); node == nil {
				return nil, fmt.Errorf("%v: got nothing there, want a text", e.path)
			}
		}
		if node.Value != e.value {
			node.SetString(e.value)
		}
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(&document), encoder.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// below is the member of a mapping or a list, nil where there is none.
func below(node *yaml.Node, step any) *yaml.Node {
	if key, ok := step.(string); ok && node.Kind == yaml.MappingNode {
		i := slices.IndexFunc(node.Content, func(n *yaml.Node) bool { return n.Value == key })
		if i >= 0 && i+1 < len(node.Content) {
			return node.Content[i+1]
		}
		return nil
	}
	if i, ok := step.(int); ok && node.Kind == yaml.SequenceNode && i < len(node.Content) {
		return node.Content[i]
	}
	return nil
}
