package chart_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/e2e/chart"
)

// render gives the objects that are made of values, as kind/name.
func render(t *testing.T, values string) map[string]chart.Object {
	t.Helper()
	rendered, err := chart.Render(dir, chart.Release{Values: values})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := chart.Objects(rendered)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]chart.Object{}
	for _, object := range objects {
		name := object.ID()
		if out[name] != nil {
			t.Errorf("%s: got two", name)
		}
		out[name] = object
	}
	return out
}

// at is what a path leads to; numbers are indices of lists.
func at(object chart.Object, path ...any) any {
	var value any = map[string]any(object)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			fields, _ := value.(map[string]any)
			value = fields[step]
		case int:
			items, _ := value.([]any)
			if step >= len(items) {
				return nil
			}
			value = items[step]
		}
	}
	return value
}

func arguments(t *testing.T, values string) []string {
	t.Helper()
	var out []string
	list, _ := at(render(t, values)["Deployment/assay"], "spec", "template", "spec", "containers", 0, "args").([]any)
	for _, argument := range list {
		out = append(out, argument.(string))
	}
	return out
}

const (
	validating = "ValidatingWebhookConfiguration/policy.sigstore.dev"
	mutating   = "MutatingWebhookConfiguration/policy.sigstore.dev"
)

// TestRulesOfWebhooks is what docs/cluster.md has under "What is intercepted" (RES-1 to RES-4).
func TestRulesOfWebhooks(t *testing.T) {
	t.Parallel()
	pods := []string{"/pods", "/pods/ephemeralcontainers"}
	templates := []string{
		"/podtemplates", "/replicationcontrollers", "apps/daemonsets", "apps/deployments", "apps/replicasets", "apps/statefulsets",
		"batch/cronjobs", "batch/jobs", "serving.knative.dev/configurations", "serving.knative.dev/revisions", "serving.knative.dev/services",
	}
	all := slices.Sorted(slices.Values(slices.Concat(pods, templates)))
	for _, tt := range []struct {
		values               string
		validating, mutating []string
	}{
		{"{}", all, pods},
		{"{mutate: all}", all, all},
		{"{mutate: none}", all, nil},
		{"{webhook: {rules: [{apiGroups: [networking.k8s.io], apiVersions: [v1], resources: [ingresses]}]}}", slices.Sorted(slices.Values(append(slices.Clone(all), "networking.k8s.io/ingresses"))), pods},
	} {
		objects := render(t, tt.values)
		for name, want := range map[string][]string{validating: tt.validating, mutating: tt.mutating} {
			if diff := cmp.Diff(want, resources(t, objects[name])); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", tt.values, name, diff)
			}
		}
	}
}

// resources are those of a configuration's rules, which are for creations and updates.
func resources(t *testing.T, configuration chart.Object) []string {
	t.Helper()
	var out []string
	rules, _ := at(configuration, "webhooks", 0, "rules").([]any)
	for _, each := range rules {
		rule := each.(map[string]any)
		if diff := cmp.Diff([]any{"CREATE", "UPDATE"}, rule["operations"]); diff != "" {
			t.Errorf("operations (-want +got):\n%s", diff)
		}
		for _, resource := range rule["resources"].([]any) {
			out = append(out, rule["apiGroups"].([]any)[0].(string)+"/"+resource.(string))
		}
	}
	slices.Sort(out)
	return out
}

// TestWebhooks has what holds for all of them, whatever the values are.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	routes := map[string]string{
		validating: "/validate", mutating: "/mutate",
		"ValidatingWebhookConfiguration/validating.clusterimagepolicy.sigstore.dev": "/policies/validate",
		"MutatingWebhookConfiguration/defaulting.clusterimagepolicy.sigstore.dev":   "/policies/default",
	}
	objects := render(t, "{webhook: {failurePolicy: Ignore, service: {port: 8443}}}")
	for name, route := range routes {
		object := objects[name]
		policy := "Ignore"
		if strings.HasPrefix(route, "/policies/") {
			policy = "Fail"
		}
		for path, want := range map[string]any{
			"failurePolicy": policy, "sideEffects": "None", "matchPolicy": "Equivalent", "timeoutSeconds": int64(10),
			"admissionReviewVersions": []any{"v1"},
		} {
			got := at(object, "webhooks", 0, path)
			if number, ok := got.(float64); ok {
				got = int64(number)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", name, path, diff)
			}
		}
		want := map[string]any{"name": "webhook", "namespace": "cosign-system", "path": route, "port": float64(8443)}
		if diff := cmp.Diff(want, at(object, "webhooks", 0, "clientConfig", "service")); diff != "" {
			t.Errorf("%s: service (-want +got):\n%s", name, diff)
		}
		if got := at(object, "webhooks", 0, "matchConditions"); got != nil {
			t.Errorf("%s: got matchConditions %v, want none: the rules have neither status nor Leases", name, got)
		}
	}
}

// TestNamespaceSelectors: both webhooks have the same, and the namespaces without which nothing
// starts are out of any (NS-1, NS-3). NS-2: no other label is a way out.
func TestNamespaceSelectors(t *testing.T) {
	t.Parallel()
	name := func(values ...any) map[string]any {
		return map[string]any{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": values}
	}
	include := map[string]any{"key": "policy.sigstore.dev/include", "operator": "In", "values": []any{"true"}}
	exclude := map[string]any{"key": "policy.sigstore.dev/exclude", "operator": "DoesNotExist"}
	for _, tt := range []struct {
		values string
		want   map[string]any
	}{
		{"{}", map[string]any{"matchExpressions": []any{include, name("cosign-system", "kube-system")}}},
		{"{namespaces: {mode: opt-out, excluded: [kube-system, calico-system]}}", map[string]any{"matchExpressions": []any{exclude, name("cosign-system", "kube-system", "calico-system")}}},
		{"{namespaces: {excluded: []}}", map[string]any{"matchExpressions": []any{include, name("cosign-system")}}},
		{"{webhook: {namespaceSelector: {matchLabels: {team: a}}}}", map[string]any{"matchLabels": map[string]any{"team": "a"}, "matchExpressions": []any{name("cosign-system", "kube-system")}}},
		{"{webhook: {namespaceSelector: {matchExpressions: [{key: policy.sigstore.dev/exclude, operator: DoesNotExist}]}}}", map[string]any{"matchExpressions": []any{exclude, name("cosign-system", "kube-system")}}},
	} {
		objects := render(t, tt.values)
		for _, of := range []string{validating, mutating} {
			if diff := cmp.Diff(tt.want, at(objects[of], "webhooks", 0, "namespaceSelector")); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", tt.values, of, diff)
			}
		}
	}
}

// TestArguments has what values make of the flags.
func TestArguments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, values string
		want, not    []string
	}{
		{"by default", "{}", []string{"--mutate=pods", "--timeout=10s", "--pull-secrets=pods", "--webhook-service=webhook", "--system-namespace=cosign-system"}, []string{"--tls-cert", "--client-ca", "--pull-secret=", "--cloud-credentials"}},
		{"one timeout for all", "{timeoutSeconds: 25}", []string{"--timeout=25s"}, nil},
		{"the longest of policy-controller's timeouts", "{cosign: {webhookTimeoutSeconds: {mutating: 12, validating: 28}}, webhook: {webhookTimeoutSeconds: {defaulting: 5}}}", []string{"--timeout=28s"}, nil},
		{"names of policy-controller's chart", "{cosign: {webhookName: a.b}, webhook: {webhookNames: {defaulting: c.d, validating: e.f}}}", []string{"--webhook-config=a.b", "--webhook-config=c.d", "--webhook-config=e.f"}, nil},
		{"cert-manager", "{certManager: {enabled: true}}", []string{"--tls-cert=/etc/assay/tls/tls.crt", "--tls-key=/etc/assay/tls/tls.key"}, []string{"--webhook-service", "--webhook-config"}},
		{"one Secret for all", "{pullSecrets: {mode: central, secret: pull}}", []string{"--pull-secrets=central", "--pull-secret=pull"}, nil},
		{"registries of clouds", "{cloudCredentials: [gcr.io, acmecorp.azurecr.io]}", []string{"--cloud-credentials=gcr.io", "--cloud-credentials=acmecorp.azurecr.io"}, nil},
		{"bundles", "{bundles: {config: {bundles: {main: {resource: m}}}, trust: x, tests: true, minimumRevisions: {main: \"2\"}}}", []string{"--config-file=/etc/assay/bundles/opa.yaml", "--bundle-trust=/etc/assay/bundles/trust.yaml", "--bundle-tests", "--bundle-minimum-revision=main=2"}, nil},
		{"bundles that whoever writes to their source signs", "{bundles: {config: {bundles: {main: {resource: m}}}}}", []string{"--config-file=/etc/assay/bundles/opa.yaml"}, []string{"--bundle-trust", "--bundle-tests"}},
		{"the API server's certificate", "{webhook: {clientCA: {name: ca, key: front.pem}}}", []string{"--client-ca=/etc/assay/client-ca/ca.crt"}, nil},
		{"further flags", "{webhook: {extraArgs: {allow-private-registries: true, max-in-flight: 512}}}", []string{"--allow-private-registries=true", "--max-in-flight=512"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := arguments(t, tt.values)
			for _, want := range tt.want {
				if !slices.Contains(got, want) {
					t.Errorf("got %q, want %s in it", got, want)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(strings.Join(got, " "), not) {
					t.Errorf("got %q, want no %s in it", got, not)
				}
			}
		})
	}
}

// TestBundles: their configuration is a file of the Pod, and another one starts it anew.
func TestBundles(t *testing.T) {
	t.Parallel()
	config := func(resource string) string {
		return "{bundles: {config: {services: {s: {url: \"https://x\"}}, bundles: {main: {resource: " + resource + "}}}, trust: \"kind: X\"}}"
	}
	one, other := render(t, config("a")), render(t, config("b"))
	files, _ := at(one["ConfigMap/assay-bundles"], "data").(map[string]any)
	want := map[string]any{
		"opa.yaml":   "bundles:\n  main:\n    resource: a\npersistence_directory: /var/lib/assay\nservices:\n  s:\n    url: https://x\n",
		"trust.yaml": "kind: X",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	sum := func(objects map[string]chart.Object) any {
		return at(objects["Deployment/assay"], "spec", "template", "metadata", "annotations", "policy.assay.dev/bundles")
	}
	if sum(one) == nil || sum(one) == sum(other) {
		t.Errorf("got %v and %v, want two annotations of the Pods", sum(one), sum(other))
	}
}

// TestBundlesAreKeptInAVolumeOfEachPod: two processes share no directory.
func TestBundlesAreKeptInAVolumeOfEachPod(t *testing.T) {
	t.Parallel()
	claim := map[string]any{"volumeClaimTemplate": map[string]any{"spec": map[string]any{"accessModes": []any{"ReadWriteOnce"}}}}
	for _, tt := range []struct {
		name, volume string
		want         map[string]any
	}{
		{"by default", "{}", map[string]any{"name": "kept-bundles", "emptyDir": map[string]any{"sizeLimit": "512Mi"}}},
		{"a claim of each Pod", "{ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce]}}}}", map[string]any{"name": "kept-bundles", "ephemeral": claim}},
	} {
		objects := render(t, "{bundles: {config: {labels: {a: b}}, volume: "+tt.volume+"}}")
		volumes, _ := at(objects["Deployment/assay"], "spec", "template", "spec", "volumes").([]any)
		var got map[string]any
		for _, volume := range volumes {
			if volume, _ := volume.(map[string]any); volume["name"] == "kept-bundles" {
				got = volume
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

// TestTimeouts are those of policy-controller's chart where it says some.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	objects := render(t, "{timeoutSeconds: 20, cosign: {webhookTimeoutSeconds: {mutating: 12}}, webhook: {webhookTimeoutSeconds: {defaulting: 5}}}")
	for name, want := range map[string]float64{
		validating: 20, mutating: 12,
		"ValidatingWebhookConfiguration/validating.clusterimagepolicy.sigstore.dev": 20,
		"MutatingWebhookConfiguration/defaulting.clusterimagepolicy.sigstore.dev":   5,
	} {
		if got := at(objects[name], "webhooks", 0, "timeoutSeconds"); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// TestRightsAreThoseThatAreUsed: what an installation does without it has no right to.
func TestRightsAreThoseThatAreUsed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, values, role, resource string
		want                         bool
	}{
		{"pull secrets of workloads", "{}", "ClusterRole/assay", "secrets", true},
		{"one pull secret for all", "{pullSecrets: {mode: central, secret: pull}}", "ClusterRole/assay", "secrets", false},
		{"no pull secrets", "{pullSecrets: {mode: none}}", "ClusterRole/assay", "secrets", false},
		{"no pull secrets of ServiceAccounts", "{pullSecrets: {mode: none}}", "ClusterRole/assay", "serviceaccounts", false},
		{"certificates of its own", "{}", "ClusterRole/assay", "validatingwebhookconfigurations", true},
		{"cert-manager's certificates", "{certManager: {enabled: true}}", "ClusterRole/assay", "validatingwebhookconfigurations", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rules, _ := at(render(t, tt.values)[tt.role], "rules").([]any)
			got := slices.ContainsFunc(rules, func(rule any) bool {
				return slices.Contains(rule.(map[string]any)["resources"].([]any), any(tt.resource))
			})
			if got != tt.want {
				t.Errorf("%s: %s: got %t, want %t", tt.role, tt.resource, got, tt.want)
			}
		})
	}
}
