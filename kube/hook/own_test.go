package hook_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/assay-dev/assay/kube/hook"
	"github.com/assay-dev/assay/rego/resource"
)

// texts says of each policy what its module says, and never compiles one.
type texts struct{}

func (texts) CheckRego(_ context.Context, p resource.RegoPolicy) (problems, warnings []string) {
	for path, text := range p.Modules() {
		if strings.HasPrefix(text, "bad") {
			problems = append(problems, path+":1: "+text)
		} else {
			warnings = append(warnings, text)
		}
	}
	return problems, warnings
}

// CheckPaths refuses those of one kind.
func (texts) CheckPaths(p resource.WorkloadPaths) []string {
	if p.Spec.Kind == "Taken" {
		return []string{"spec.kind: it is taken"}
	}
	return nil
}

func ownRequest(t *testing.T, operation, object, old string) hook.Request {
	t.Helper()
	kind := "RegoPolicy"
	if strings.Contains(object+old, "kind: WorkloadPaths") {
		kind = "WorkloadPaths"
	}
	review := fmt.Sprintf(`{"request": {"kind": {"group": "policy.assay.dev", "version": "v1alpha1", "kind": %q}, "operation": %q, "object": %s, "oldObject": %s}}`,
		kind, operation, asJSON(t, object), asJSON(t, old))
	r, err := hook.Read([]byte(review))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRegoPoliciesAsTheyAreApplied(t *testing.T) {
	t.Parallel()
	of := func(spec string) string {
		return "{apiVersion: policy.assay.dev/v1alpha1, kind: RegoPolicy, metadata: {name: p}, spec: " + spec + "}"
	}
	paths := func(spec string) string {
		return "{apiVersion: policy.assay.dev/v1alpha1, kind: WorkloadPaths, metadata: {name: p}, spec: {group: a.io, " + spec + "}}"
	}
	good, bad := of("{modules: {a.rego: good}}"), of("{modules: {a.rego: bad}}")
	for name, tt := range map[string]struct {
		operation, object, old string
		allowed                bool
		message, warning       string
	}{
		"it compiles":                             {"CREATE", good, "null", true, "", "good"},
		"it does not compile":                     {"CREATE", bad, "null", false, "validation failed: cluster/regopolicies/p/a.rego:1: bad", ""},
		"it is made one that does not":            {"UPDATE", bad, good, false, "validation failed: cluster/regopolicies/p/a.rego:1: bad", ""},
		"it does not, and stays as it is":         {"UPDATE", bad, bad, true, "", "the spec stays as it is stored, and is not valid: validation failed: cluster"},
		"it is deleted":                           {"DELETE", "null", bad, true, "", ""},
		"it has no modules":                       {"CREATE", of("{}"), "null", false, "validation failed: spec.modules: got none", ""},
		"a field is unknown":                      {"CREATE", of("{modules: {a.rego: good}, mode: warn}"), "null", false, "spec.mode: json: unknown field", ""},
		"it is of another kind than the request":  {"CREATE", policy(valid), "null", false, "kind: got \"ClusterImagePolicy\", want RegoPolicy", ""},
		"paths":                                   {"CREATE", paths("kind: A, images: [a]"), "null", true, "", ""},
		"paths of a kind that has some":           {"CREATE", paths("kind: Taken, images: [a]"), "null", false, "validation failed: spec.kind: it is taken", ""},
		"paths that are none":                     {"UPDATE", paths("kind: A, images: [.a]"), paths("kind: A, images: [a]"), false, "validation failed: spec.images[0]: got", ""},
		"it has a name that is to be made for it": {"CREATE", strings.Replace(good, "name: p", "generateName: p-", 1), "null", true, "", "good"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := hook.Judge{Compiler: compiler{}, Own: texts{}}
			r := ownRequest(t, tt.operation, tt.object, tt.old)
			got := j.Validate(t.Context(), r)
			if got.Allowed != tt.allowed || !strings.Contains(got.Message(), tt.message) || !strings.Contains(strings.Join(got.Warnings, "\n"), tt.warning) {
				t.Errorf("got %t, %q and the warnings %q, want %t, %q and %q", got.Allowed, got.Message(), got.Warnings, tt.allowed, tt.message, tt.warning)
			}
			if patched := j.Default(r); !patched.Allowed || len(patched.Patch) > 0 {
				t.Errorf("defaults: got %+v, want none", patched)
			}
		})
	}
	t.Run("without a compiler, or in no time, none is stored", func(t *testing.T) {
		t.Parallel()
		r := ownRequest(t, "CREATE", good, "null")
		if got := (hook.Judge{Compiler: compiler{}}).Validate(t.Context(), r); got.Allowed {
			t.Errorf("got %+v without a compiler, want it refused", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := (hook.Judge{Own: texts{}}).Validate(ctx, r); got.Allowed {
			t.Errorf("got %+v after the time, want it refused", got)
		}
	})
	t.Run("no other kind of the group", func(t *testing.T) {
		t.Parallel()
		if r, err := hook.Read([]byte(`{"request": {"kind": {"group": "policy.assay.dev", "kind": "ClusterImagePolicy"}}}`)); err == nil {
			t.Errorf("got %+v, want an error", r)
		}
	})
}
