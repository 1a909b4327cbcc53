package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/kube/hook"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/compile"
	"github.com/assay-dev/assay/rego/inline"
)

// compiler is what the program has: Rego by rego/inline, CUE by builtins/cue, and then the
// policy as a whole.
type compiler struct{}

func (compiler) Check(ctx context.Context, p cip.Policy) (problems, warnings []string) {
	for _, source := range compile.Sources(p) {
		if source.Text == "" { // it is somewhere else
			continue
		}
		module, err := inline.Compile(ctx, source.Package, source.Text)
		if err != nil {
			problems = append(problems, source.Field+": "+err.Error())
		} else if !module.Answers() {
			warnings = append(warnings, source.Field+": no rule isCompliant")
		}
	}
	if policy := p.Spec.Policy; policy != nil && policy.Type == "cue" && policy.Data != "" {
		if refusal := cue.Check(policy.Data); refusal != nil {
			problems = append(problems, "spec.policy: "+refusal.Message)
		}
	}
	return problems, warnings
}

// existing finds what it names.
type existing map[string]bool

var errAsked = errors.New("the API server is not to be asked")

func (e existing) Find(_ context.Context, resource schema.GroupVersionResource, namespace, name string) (bool, error) {
	if e == nil {
		return false, errAsked
	}
	return e[resource.Resource+" "+namespace+"/"+name], nil
}

func judge() hook.Judge { return hook.Judge{Compiler: compiler{}} }

// object is a ClusterImagePolicy of that spec, in YAML.
func policy(spec string) string {
	return "{apiVersion: policy.sigstore.dev/v1alpha1, kind: ClusterImagePolicy, metadata: {name: p}, spec: " + spec + "}"
}

// request is what the API server would ask about objects in YAML.
func request(t testing.TB, operation, object, old string) hook.Request {
	t.Helper()
	kind := "ClusterImagePolicy"
	if strings.Contains(object+old, "TrustRoot") && !strings.Contains(object+old, "kind: ClusterImagePolicy") {
		kind = "TrustRoot"
	}
	r, err := hook.Read(review(t, kind, operation, "", object, old))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func review(t testing.TB, kind, operation, subResource, object, old string) []byte {
	t.Helper()
	return fmt.Appendf(nil, `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u",
  "kind": {"group": "policy.sigstore.dev", "version": "v1alpha1", "kind": %q}, "operation": %q, "subResource": %q, "object": %s, "oldObject": %s}}`,
		kind, operation, subResource, asJSON(t, object), asJSON(t, old))
}

func asJSON(t testing.TB, text string) string {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// patched is the object after the patch, whose operations add texts.
func patched(t testing.TB, object []byte, operations []hook.Operation) []byte {
	t.Helper()
	var tree any
	if err := json.Unmarshal(object, &tree); err != nil {
		t.Fatal(err)
	}
	for _, operation := range operations {
		parts := strings.Split(operation.Path, "/")[1:]
		at := tree
		for _, part := range parts[:len(parts)-1] {
			switch inner := at.(type) {
			case map[string]any:
				at = inner[part]
			case []any:
				var i int
				if _, err := fmt.Sscanf(part, "%d", &i); err != nil || i >= len(inner) {
					t.Fatalf("%s: got %q, want an index of %d", operation.Path, part, len(inner))
				}
				at = inner[i]
			}
		}
		parent, ok := at.(map[string]any)
		if !ok || operation.Op != "add" || operation.Value == "" {
			t.Fatalf("got %+v, want a text added to an object that is there", operation)
		}
		parent[parts[len(parts)-1]] = operation.Value
	}
	out, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
