package resource_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/resource"
)

const regoHead = "{apiVersion: policy.assay.dev/v1alpha1, kind: RegoPolicy, metadata: {name: labels}, spec: "

func TestRegoPolicies(t *testing.T) {
	t.Parallel()
	got, err := resource.ParseRegoPolicy([]byte(`
apiVersion: policy.assay.dev/v1alpha1
kind: RegoPolicy
metadata: {name: labels, resourceVersion: "7", annotations: {a: b}}
status: {conditions: []}
spec:
  modules:
    labels.rego: |
      package policies.labels
    lib.rego: package lib
  data: {teams: {known: [a, 12345678901234567890]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := resource.RegoPolicy{Name: "labels", Spec: resource.RegoPolicySpec{
		Modules: map[string]string{"labels.rego": "package policies.labels\n", "lib.rego": "package lib"},
		Data:    map[string]any{"teams": map[string]any{"known": []any{"a", json.Number("12345678901234567890")}}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	paths := map[string]string{"cluster/regopolicies/labels/labels.rego": "package policies.labels\n", "cluster/regopolicies/labels/lib.rego": "package lib"}
	if diff := cmp.Diff(paths, got.Modules()); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestRegoPoliciesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"no YAML":                 {"{", "document 0: "},
		"no object":               {"[]", "got a list, want an object"},
		"nothing":                 {"", "got 0 documents, want one"},
		"two":                     {regoHead + "{}}\n---\n" + regoHead + "{}}", "got 2 documents, want one"},
		"another kind":            {strings.Replace(regoHead, "RegoPolicy", "Rego", 1) + "{}}", `got the kind "Rego" of "policy.assay.dev/v1alpha1", want RegoPolicy`},
		"another group":           {strings.Replace(regoHead, "policy.assay.dev", "policy.sigstore.dev", 1) + "{}}", "want RegoPolicy of policy.assay.dev/v1alpha1"},
		"a name that is a path":   {strings.Replace(regoHead, "labels", "../x", 1) + "{modules: {a.rego: x}}}", `metadata.name: got "../x", want`},
		"no spec":                 {strings.TrimSuffix(regoHead, ", spec: ") + "}", "spec.modules: got none"},
		"a field that is unknown": {regoHead + "{modules: {a.rego: x}, mode: warn}}", "spec.mode: json: unknown field"},
		"no text":                 {regoHead + "{modules: {a.rego: [x]}}}", "spec.modules.a.rego: got a list, want a string"},
		"a list of modules":       {regoHead + "{modules: [x]}}", "spec.modules: got a list, want an object"},
		"a module in a directory": {regoHead + "{modules: {../a.rego: x}}}", `spec.modules: got the name "../a.rego"`},
		"a module of no file":     {regoHead + "{modules: {a: x}}}", `spec.modules: got the name "a", want that of a file that ends in .rego`},
		"data that is a list":     {regoHead + "{modules: {a.rego: x}, data: [a]}}", "spec.data: got a list, want an object"},
		"data that is infinite":   {regoHead + "{modules: {a.rego: x}, data: {a: .inf}}}", "number"},
		"modules without end":     {regoHead + "{modules: {" + strings.Repeat(" ", 5<<20) + "}}}", "got more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := resource.ParseRegoPolicy([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v and the error %v, want %q", got, err, tt.want)
			}
		})
	}
}

// FuzzRegoPolicy: what is read has a name that is no path, and modules.
func FuzzRegoPolicy(f *testing.F) {
	f.Add(regoHead + "{modules: {a.rego: x}, data: {a: [1, null]}}}")
	f.Add(regoHead + "{modules: {a.rego: &x y, b.rego: *x}}}")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := resource.ParseRegoPolicy([]byte(text))
		if err != nil {
			return
		}
		if len(got.Spec.Modules) == 0 || got.Name == "" || strings.ContainsAny(got.Name, "/ \n") {
			t.Errorf("got %+v", got)
		}
		if _, err := json.Marshal(got.Spec.Data); err != nil {
			t.Errorf("data: %v", err)
		}
	})
}
