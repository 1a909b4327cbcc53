package install_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/cluster"
)

// A right is what is asked for: verb, group/resource or group/resource/subresource, and where.
type right struct {
	verb, group, resource, namespace, name string
	want                                   bool
}

const system = "cosign-system"

// needed is the table "Rights" of docs/cluster.md, and refused what somebody would try who has
// taken over assay.
func needed() []right {
	var out []right
	add := func(verbs, group, resources, namespace, name string) {
		for verb := range strings.FieldsSeq(verbs) {
			for resource := range strings.FieldsSeq(resources) {
				out = append(out, right{verb, group, resource, namespace, name, true})
			}
		}
	}
	add("get list watch", "policy.sigstore.dev", "clusterimagepolicies trustroots", "", "")
	add("patch", "policy.sigstore.dev", "clusterimagepolicies/status trustroots/status", "", "")
	add("get list watch", "policy.assay.dev", "imagepolicies regopolicies workloadpaths", "", "")
	add("patch", "policy.assay.dev", "imagepolicies/status regopolicies/status workloadpaths/status", "", "")
	add("list watch", "", "namespaces", "", "")
	add("create", "events.k8s.io", "events", "shop", "")
	add("get list watch", "", "configmaps secrets", system, "key")
	add("get list watch patch", "", "secrets", system, "webhook-certs")
	add("create", "coordination.k8s.io", "leases", system, "")
	add("get update", "coordination.k8s.io", "leases", system, "assay")
	add("get", "", "configmaps secrets serviceaccounts", "shop", "pull")
	for _, name := range []string{"policy.sigstore.dev", "validating.clusterimagepolicy.sigstore.dev"} {
		add("list watch patch", "admissionregistration.k8s.io", "validatingwebhookconfigurations", "", name)
	}
	for _, name := range []string{"policy.sigstore.dev", "defaulting.clusterimagepolicy.sigstore.dev"} {
		add("list watch patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", name)
	}
	return out
}

func refused() []right {
	var out []right
	add := func(verbs, group, resources, namespace, name string) {
		for verb := range strings.FieldsSeq(verbs) {
			for resource := range strings.FieldsSeq(resources) {
				out = append(out, right{verb, group, resource, namespace, name, false})
			}
		}
	}
	add("list watch", "", "secrets serviceaccounts configmaps pods", "", "")
	add("list watch", "", "secrets serviceaccounts configmaps pods", "shop", "")
	add("get", "", "pods pods/log", "shop", "a")
	add("create update patch delete", "", "secrets configmaps serviceaccounts pods pods/exec namespaces nodes", system, "a")
	add("create update patch delete", "", "secrets configmaps serviceaccounts serviceaccounts/token pods", "shop", "a")
	add("update delete", "", "secrets", system, "webhook-certs")
	add("update patch delete", "", "namespaces namespaces/status namespaces/finalize", "", "shop")
	add("create update patch delete", "policy.sigstore.dev", "clusterimagepolicies trustroots", "", "p")
	add("create update patch delete", "policy.assay.dev", "imagepolicies", "shop", "p")
	add("create", "admissionregistration.k8s.io", "validatingwebhookconfigurations mutatingwebhookconfigurations validatingadmissionpolicies validatingadmissionpolicybindings", "", "")
	add("patch update delete", "admissionregistration.k8s.io", "validatingadmissionpolicies validatingadmissionpolicybindings", "", "namespaces.policy.sigstore.dev")
	add("list watch patch", "admissionregistration.k8s.io", "validatingwebhookconfigurations mutatingwebhookconfigurations", "", "another")
	add("delete update", "admissionregistration.k8s.io", "validatingwebhookconfigurations", "", "policy.sigstore.dev")
	add("create update patch bind escalate", "rbac.authorization.k8s.io", "roles rolebindings clusterroles clusterrolebindings", system, "assay")
	add("get update delete", "coordination.k8s.io", "leases", system, "another")
	add("get update", "coordination.k8s.io", "leases", "kube-system", "kube-scheduler")
	add("impersonate", "", "users groups serviceaccounts", "", "")
	add("create", "", "pods/eviction pods/ephemeralcontainers", "shop", "p")
	add("*", "*", "*", "", "")
	return out
}

// rights asks the API server what the ServiceAccount may.
func rights(t *testing.T, c *cluster.Cluster) {
	all := append(needed(), refused()...)
	until(t, func() string { // what RBAC knows is cached
		var complaints []string
		for i, got := range may(t, c, all) {
			if got != all[i].want {
				complaints = append(complaints, fmt.Sprintf("%+v: got %t", all[i], got))
			}
		}
		return strings.Join(complaints, "\n")
	})
	as := "--as=system:serviceaccount:" + system + ":assay"
	// Requests as they are made: the API server takes the selector for the name.
	c.Kubectl(t, "get", as, "validatingwebhookconfigurations", "--field-selector=metadata.name=policy.sigstore.dev")
	c.Kubectl(t, "patch", as, "secret", "--namespace="+system, "webhook-certs", "--type=merge", "-p", `{"data": {"ca.crt": "YQ=="}}`, "--dry-run=server")
	if got := refusal(c, t, "", "get", as, "secrets", "--all-namespaces"); !strings.Contains(got, "forbidden") {
		t.Errorf("list of all Secrets: got %q, want it forbidden", got)
	}
}

// may asks about all of them at once.
func may(t *testing.T, c *cluster.Cluster, rights []right) []bool {
	t.Helper()
	var items []map[string]any
	for _, r := range rights {
		resource, subresource, _ := strings.Cut(r.resource, "/")
		items = append(items, map[string]any{
			"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
			"spec": map[string]any{
				"user":   "system:serviceaccount:" + system + ":assay",
				"groups": []string{"system:serviceaccounts", "system:serviceaccounts:" + system, "system:authenticated"},
				"resourceAttributes": map[string]any{
					"verb": r.verb, "group": r.group, "resource": resource, "subresource": subresource, "namespace": r.namespace, "name": r.name,
				},
			},
		})
	}
	list, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.TryKubectl(t, string(list), "create", "-f", "-", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var out []bool
	for answers := json.NewDecoder(strings.NewReader(text)); answers.More(); {
		var answer struct{ Status struct{ Allowed bool } }
		if err := answers.Decode(&answer); err != nil {
			t.Fatal(err)
		}
		out = append(out, answer.Status.Allowed)
	}
	if len(out) != len(rights) {
		t.Fatalf("got %d answers, want %d", len(out), len(rights))
	}
	return out
}
