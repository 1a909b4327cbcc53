package resource_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/resource"
)

const pathsHead = "{apiVersion: policy.assay.dev/v1alpha1, kind: WorkloadPaths, metadata: {name: rollouts}, spec: "

func TestWorkloadPaths(t *testing.T) {
	t.Parallel()
	got, err := resource.ParseWorkloadPaths([]byte(pathsHead +
		`{group: argoproj.io, kind: Rollout, versions: [v1alpha1], podSpecs: [spec.template.spec], images: ["spec.a[*][*].b.c[*]"], elsewhere: [spec.workloadRef]}}`))
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(got.Document())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"elsewhere":[["spec","workloadRef"]],"group":"argoproj.io","images":[[["spec","a"],[],["b","c"],[]]],"kind":"Rollout","name":"rollouts",` +
		`"pod_specs":[[["spec","template","spec"]]],"refused":"","versions":["v1alpha1"]}`
	if diff := cmp.Diff(want, string(document)); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestWorkloadPathsThatAreRefused(t *testing.T) {
	t.Parallel()
	many := func(n int, of string) string { return "[" + strings.Repeat(of+",", n) + "]" }
	for name, tt := range map[string]struct{ spec, want string }{
		"the core group":              {`{group: "", kind: Pod, podSpecs: [spec]}`, `spec.group: got "", want`},
		"a group of Kubernetes":       {"{group: apps, kind: Deployment, podSpecs: [spec]}", `spec.group: got "apps", want`},
		"another":                     {"{group: networking.k8s.io, kind: Ingress, podSpecs: [spec]}", "want another than Kubernetes' own"},
		"a kind of Knative":           {"{group: serving.knative.dev, kind: Service, podSpecs: [spec]}", "spec.kind: got Service of serving.knative.dev"},
		"no group":                    {"{kind: Rollout, podSpecs: [spec]}", "spec.group: got"},
		"a group that is a text":      {"{group: 'a.io\nb', kind: Rollout, podSpecs: [spec]}", "spec.group: got"},
		"no kind":                     {"{group: a.io, podSpecs: [spec]}", "spec.kind: got"},
		"a resource":                  {"{group: a.io, kind: rollouts, podSpecs: [spec]}", "spec.kind: got \"rollouts\""},
		"a version that is none":      {"{group: a.io, kind: A, versions: ['*'], podSpecs: [spec]}", "spec.versions[0]: got \"*\""},
		"too many versions":           {"{group: a.io, kind: A, versions: " + many(17, "v1") + ", podSpecs: [spec]}", "spec.versions: got 17, want at most 16"},
		"no path":                     {"{group: a.io, kind: A, elsewhere: [spec]}", "spec.podSpecs, spec.images: got none"},
		"too many paths":              {"{group: a.io, kind: A, images: " + many(65, "a") + "}", "spec.images: got 65, want at most 64"},
		"an empty path":               {"{group: a.io, kind: A, images: ['']}", "spec.images[0]: got \"\""},
		"a path with a dot before":    {"{group: a.io, kind: A, images: [.spec.image]}", "spec.images[0]: got \".spec.image\""},
		"JSONPath":                    {"{group: a.io, kind: A, images: ['$..image']}", "spec.images[0]: got \"$..image\""},
		"a filter":                    {"{group: a.io, kind: A, images: ['a[?(@.b)].c']}", "spec.images[0]: got"},
		"an index":                    {"{group: a.io, kind: A, images: ['a[0].c']}", "spec.images[0]: got"},
		"a star":                      {"{group: a.io, kind: A, images: ['a.*.c']}", "spec.images[0]: got"},
		"a list of the object":        {"{group: a.io, kind: A, images: ['[*].c']}", "spec.images[0]: got"},
		"lists without end":           {"{group: a.io, kind: A, images: ['a[*][*][*][*][*]']}", "want [*] at most 4 times"},
		"fields without end":          {"{group: a.io, kind: A, images: [" + strings.Repeat("a.", 32) + "a]}", "want at most 32 fields"},
		"a list of what is elsewhere": {"{group: a.io, kind: A, images: [a], elsewhere: ['b[*]']}", "spec.elsewhere[0]: got \"b[*]\", want fields alone"},
		"a field that is unknown":     {"{group: a.io, kind: A, images: [a], resource: as}", "spec.resource: json: unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := resource.ParseWorkloadPaths([]byte(pathsHead + tt.spec + "}"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v and the error %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestKindOfWorkloadPathsThatAreRefused: its objects are denied, with the cause.
func TestKindOfWorkloadPathsThatAreRefused(t *testing.T) {
	t.Parallel()
	got, err := resource.ParseWorkloadPaths([]byte(pathsHead + "{group: argoproj.io, kind: Rollout, versions: [v1], images: 5}}"))
	want := resource.WorkloadPaths{Spec: resource.WorkloadPathsSpec{Group: "argoproj.io", Kind: "Rollout"}}
	if diff := cmp.Diff(want, got); diff != "" || err == nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestWorkloadPathsThatMeet(t *testing.T) {
	t.Parallel()
	of := func(kind string, versions ...string) resource.WorkloadPaths {
		return resource.WorkloadPaths{Spec: resource.WorkloadPathsSpec{Group: "a.io", Kind: kind, Versions: versions}}
	}
	for _, tt := range []struct {
		a, b resource.WorkloadPaths
		want bool
	}{
		{of("A"), of("A"), true}, {of("A", "v1"), of("A"), true}, {of("A", "v1", "v2"), of("A", "v2"), true},
		{of("A", "v1"), of("A", "v2"), false}, {of("A"), of("B"), false},
	} {
		if got := tt.a.Meets(tt.b); got != tt.want || tt.b.Meets(tt.a) != tt.want {
			t.Errorf("%+v and %+v: got %t, want %t", tt.a.Spec, tt.b.Spec, got, tt.want)
		}
	}
}

// FuzzWorkloadPaths: what is read becomes a document.
func FuzzWorkloadPaths(f *testing.F) {
	f.Add("a.b[*][*].c", "v1")
	f.Add("a[*]", "v1beta1")
	f.Fuzz(func(t *testing.T, path, version string) {
		text, err := json.Marshal(map[string]any{
			"apiVersion": "policy.assay.dev/v1alpha1", "kind": "WorkloadPaths", "metadata": map[string]any{"name": "a"},
			"spec": map[string]any{"group": "a.io", "kind": "A", "versions": []string{version}, "images": []string{path}, "elsewhere": []string{path}},
		})
		if err != nil {
			return
		}
		if got, err := resource.ParseWorkloadPaths(text); err == nil && len(got.Document()["images"].([]any)) != 1 {
			t.Errorf("got %v", got.Document())
		}
	})
}
