package cue_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/rego/cip"
)

// catalogCase is a row of policies/catalog/expected.json: a policy, an object, and
// what policy-controller said.
type catalogCase struct {
	Name, Policy, Resource, MeasuredOffline string
	MeasuredWarnings, MeasuredErrors        []string
}

// TestConformanceCatalog wants the very texts that policy-controller gave for the
// CUE policies of the public catalogue, over objects that no registry is asked about.
func TestConformanceCatalog(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: no real policies to evaluate")
	}
	catalog := filepath.Join(data, "policies", "catalog")
	var cases []catalogCase
	if err := json.Unmarshal(readFile(t, filepath.Join(catalog, "expected.json")), &cases); err != nil {
		t.Fatal(err)
	}
	e := evaluator(t, cue.Options{})
	tried := 0
	for _, c := range cases {
		if c.Resource == "" || c.MeasuredOffline == "" {
			continue
		}
		p := policyOf(t, filepath.Join(catalog, c.Policy))
		if p.Spec.Policy == nil || p.Spec.Policy.Type != "cue" {
			continue
		}
		tried++
		t.Run(filepath.Base(c.Policy)+": "+c.Name, func(t *testing.T) {
			t.Parallel()
			got := message(e.Validate(t.Context(), p.Spec.Policy.Data, documentOf(t, p, filepath.Join(catalog, c.Resource)), false))
			want := ""
			for _, text := range append(c.MeasuredWarnings, c.MeasuredErrors...) {
				// Where a text is no field's, policy-controller writes no field after it.
				_, want, _ = strings.Cut(strings.TrimSuffix(text, ": "), "failed evaluating cue policy for ClusterImagePolicy: ")
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	if tried == 0 {
		t.Error("got no cue policy with an object, want some")
	}
}

func message(r *cue.Refusal) string {
	if r == nil {
		return ""
	}
	return r.Message
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func policyOf(t *testing.T, path string) *cip.Policy {
	t.Helper()
	documents, err := cip.Parse(readFile(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return &documents.Policies[0]
}

// documentOf is what a policy of the whole ClusterImagePolicy is asked about when
// its authorities are static.
func documentOf(t *testing.T, p *cip.Policy, resource string) []byte {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal(readFile(t, resource), &object); err != nil {
		t.Fatal(err)
	}
	matches := map[string]any{}
	for _, a := range p.Spec.Authorities {
		matches[a.Name] = map[string]any{"static": true}
	}
	document := map[string]any{"authorityMatches": matches}
	if include := p.Spec.Policy.IncludeSpec; include != nil && *include {
		document["spec"] = object["spec"]
	}
	if include := p.Spec.Policy.IncludeObjectMeta; include != nil && *include {
		document["metadata"] = object["metadata"]
	}
	if include := p.Spec.Policy.IncludeTypeMeta; include != nil && *include {
		document["typemeta"] = map[string]any{"kind": object["kind"], "apiVersion": object["apiVersion"]}
	}
	encoded, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}
