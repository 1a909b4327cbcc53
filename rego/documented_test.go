package rego_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// admissionPolicies are policies in the shape of those that OPA's documentation has, and
// the data that kube-mgmt would put beside them.
func admissionPolicies(t testing.TB) (modules map[string]string, data map[string]any) {
	t.Helper()
	paths, err := filepath.Glob("testdata/admission/*.rego")
	if err != nil || len(paths) == 0 {
		t.Fatalf("got no policies, %v", err)
	}
	modules = map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		modules[path] = string(text)
	}
	text, err := os.ReadFile("testdata/admission/data.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	return modules, data
}

// request is the review of an object.
func request(operation, group, kind, namespace string, object map[string]any) []byte {
	encoded, _ := json.Marshal(map[string]any{"request": map[string]any{
		"uid": "1", "operation": operation, "namespace": namespace, "object": object,
		"kind": map[string]any{"group": group, "version": "v1", "kind": kind},
	}})
	return encoded
}

func ingress(host string) map[string]any {
	return map[string]any{"spec": map[string]any{"rules": []any{map[string]any{"host": host}}}}
}

// TestDocumentedAdmissionPolicies: what OPA's documentation shows runs as it is written,
// and the ClusterImagePolicies judge the images beside it.
func TestDocumentedAdmissionPolicies(t *testing.T) {
	t.Parallel()
	const digest = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	const refuses = "failed policy: kubernetes.admission: "
	w := openWorld(t, "images: {app: {}}")
	modules, data := admissionPolicies(t)
	r := open(t, w, setup{policies: static("everything", "**", "pass", ""), modules: modules, data: data})
	if warnings := r.Set().Warnings(); len(warnings) > 0 {
		t.Fatalf("got warnings %q, want none", warnings)
	}
	pod := func(image string) map[string]any {
		return map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": image}}}}
	}
	namespace := func(labels map[string]any) map[string]any {
		return map[string]any{"metadata": map[string]any{"name": "shop", "labels": labels}}
	}
	for _, tt := range []struct {
		name   string
		review []byte
		want   []string
	}{
		{"an image of the registry", request("CREATE", "", "Pod", "production", pod("registry.acme.example/app"+digest)), nil},
		{"an image of another", request("CREATE", "", "Pod", "production", pod("example.com/app"+digest)), []string{
			refuses + "container c runs example.com/app" + digest + ", which is not of registry.acme.example",
		}},
		{"a namespace with labels", request("CREATE", "", "Namespace", "", namespace(map[string]any{"team": "a", "cost-center": "1"})), nil},
		{"a namespace without one", request("UPDATE", "", "Namespace", "", namespace(map[string]any{"team": "a"})), []string{
			refuses + `namespace shop lacks the labels ["cost-center"]`,
		}},
		{"a namespace that goes away", request("DELETE", "", "Namespace", "", nil), nil},
		{"a host of the namespace", request("CREATE", "networking.k8s.io", "Ingress", "production", ingress("www.acme.example")), nil},
		{"a host of nobody", request("CREATE", "networking.k8s.io", "Ingress", "production", ingress("acme.test")), []string{
			refuses + `host "acme.test" is none of {"*.acme.example", "acme.example"}`,
		}},
		{"a host of another namespace", request("CREATE", "networking.k8s.io", "Ingress", "production", ingress("shop.acme.example")), []string{
			refuses + `host "shop.acme.example" is that of ingress staging/shop`,
		}},
		{"a custom kind of that name", request("CREATE", "acme.example", "Ingress", "production", ingress("www.acme.example")), []string{
			"unhandled kind: acme.example/v1, Kind=Ingress",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := r.Decide(t.Context(), tt.review)
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed != (len(tt.want) == 0) {
				t.Errorf("got allowed %t, want %t", d.Allowed, len(tt.want) == 0)
			}
			if diff := cmp.Diff(tt.want, d.Reasons, cmp.Transformer("empty", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPolicyWithoutItsDataFails: to OPA what nothing defines is undefined, and a rule that
// denies would never fire.
func TestPolicyWithoutItsDataFails(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	modules, _ := admissionPolicies(t)
	r := open(t, w, setup{policies: static("everything", "**", "pass", ""), modules: modules})
	d, err := r.Decide(t.Context(), request("CREATE", "networking.k8s.io", "Ingress", "production", ingress("www.acme.example")))
	if err != nil || d.Allowed || len(d.Rego) != 1 || d.Rego[0].Error == nil || d.Rego[0].Error.Code != "unresolved" {
		t.Errorf("got %+v and %v, want a policy that fails for want of data.kubernetes.ingresses", d, err)
	}
}
