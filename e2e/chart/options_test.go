package chart_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestObjectsOfValues has what is there besides what is always there.
func TestObjectsOfValues(t *testing.T) {
	t.Parallel()
	always := slices.Collect(maps.Keys(render(t, "{}")))
	for _, tt := range []struct {
		name, values  string
		more, without []string
	}{
		{"autoscaling", "{autoscaling: {enabled: true}}", []string{"HorizontalPodAutoscaler/assay"}, nil},
		{"monitoring", "{serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}", []string{"ServiceMonitor/assay", "PrometheusRule/assay", "ConfigMap/assay-dashboard"}, nil},
		{"roles of users", "{imagePolicies: {aggregateRoles: true}}", []string{"ClusterRole/assay-imagepolicies-admin", "ClusterRole/assay-imagepolicies-view"}, nil},
		{"cert-manager", "{certManager: {enabled: true}}", []string{"Issuer/assay-selfsigned", "Certificate/assay-ca", "Issuer/assay-ca", "Certificate/assay-webhook"}, []string{"Secret/webhook-certs"}},
		{"an issuer that is there", "{certManager: {enabled: true, issuerRef: {kind: ClusterIssuer, name: corporate}}}", []string{"Certificate/assay-webhook"}, []string{"Secret/webhook-certs"}},
		{"nothing that can be left out", "{installCRDs: false, namespaces: {protectLabels: false}, networkPolicy: {enabled: false}, webhook: {podDisruptionBudget: {enabled: false}, serviceAccount: {create: false, name: mine}}}", nil, []string{
			"CustomResourceDefinition/clusterimagepolicies.policy.sigstore.dev", "CustomResourceDefinition/trustroots.policy.sigstore.dev",
			"CustomResourceDefinition/imagepolicies.policy.assay.dev",
			"CustomResourceDefinition/regopolicies.policy.assay.dev", "CustomResourceDefinition/workloadpaths.policy.assay.dev",
			"ValidatingAdmissionPolicy/namespaces.policy.sigstore.dev", "ValidatingAdmissionPolicyBinding/namespaces.policy.sigstore.dev",
			"NetworkPolicy/assay", "PodDisruptionBudget/assay", "ServiceAccount/assay",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := slices.DeleteFunc(slices.Concat(always, tt.more), func(name string) bool { return slices.Contains(tt.without, name) })
			got := slices.Collect(maps.Keys(render(t, tt.values)))
			if diff := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestValuesOfPolicyController: the names of its chart mean here what they mean there.
func TestValuesOfPolicyController(t *testing.T) {
	t.Parallel()
	objects := render(t, `
imagePullSecrets: [{name: ours}]
commonNodeSelector: {pool: system}
commonTolerations: [{operator: Exists}]
commonAnnotations: {a: b}
webhook:
  replicaCount: 3
  image: {repository: example.com/assay, version: "sha256:abc", pullPolicy: Always}
  customLabels: {team: a}
  configData: {no-match-policy: warn, enable-oci11: false}
  env: {AWS_REGION: eu-central-1, NUMBER: 1}
  envFrom: [{secretRef: {name: kms}}]
  resources: {limits: {memory: 2Gi}}
  securityContext: {enabled: true, runAsUser: 1000}
  podSecurityContext: {enabled: true, capabilities: {add: [NET_BIND_SERVICE]}}
  podDisruptionBudget: {maxUnavailable: 2}
  serviceAccount: {name: policy, annotations: {role: reader}}
  service: {annotations: {c: d}, type: NodePort, nodePort: 30443}
  volumes: [{name: more, emptyDir: {}}]
  volumeMounts: [{name: more, mountPath: /more}]
  registryCaBundle: {name: cas, key: ca.pem}
  affinity: {nodeAffinity: {}}
  priorityClass: system-cluster-critical
  podAnnotations: {e: f}
`)
	deployment, pod := objects["Deployment/assay"], []any{"spec", "template", "spec"}
	container := append(slices.Clone(pod), "containers", 0)
	for _, tt := range []struct {
		object string
		path   []any
		want   any
	}{
		{"Deployment/assay", []any{"spec", "replicas"}, float64(3)},
		{"Deployment/assay", []any{"metadata", "annotations"}, map[string]any{"a": "b"}},
		{"Deployment/assay", []any{"metadata", "labels", "team"}, "a"},
		{"Deployment/assay", []any{"spec", "template", "metadata", "annotations"}, map[string]any{"e": "f"}},
		{"Deployment/assay", append(slices.Clone(pod), "imagePullSecrets"), []any{map[string]any{"name": "ours"}}},
		{"Deployment/assay", append(slices.Clone(pod), "nodeSelector"), map[string]any{"pool": "system"}},
		{"Deployment/assay", append(slices.Clone(pod), "tolerations"), []any{map[string]any{"operator": "Exists"}}},
		{"Deployment/assay", append(slices.Clone(pod), "affinity"), map[string]any{"nodeAffinity": map[string]any{}}},
		{"Deployment/assay", append(slices.Clone(pod), "priorityClassName"), "system-cluster-critical"},
		{"Deployment/assay", append(slices.Clone(pod), "serviceAccountName"), "policy"},
		{"Deployment/assay", append(slices.Clone(pod), "securityContext"), map[string]any{"runAsNonRoot": true, "runAsUser": float64(1000), "runAsGroup": float64(65532), "seccompProfile": map[string]any{"type": "RuntimeDefault"}}},
		{"Deployment/assay", append(slices.Clone(container), "image"), "example.com/assay@sha256:abc"},
		{"Deployment/assay", append(slices.Clone(container), "imagePullPolicy"), "Always"},
		{"Deployment/assay", append(slices.Clone(container), "resources", "limits"), map[string]any{"memory": "2Gi"}},
		{"Deployment/assay", append(slices.Clone(container), "securityContext", "capabilities"), map[string]any{"drop": []any{"ALL"}, "add": []any{"NET_BIND_SERVICE"}}},
		{"Deployment/assay", append(slices.Clone(container), "envFrom"), []any{map[string]any{"secretRef": map[string]any{"name": "kms"}}}},
		{"Deployment/assay", append(slices.Clone(container), "env"), []any{
			map[string]any{"name": "SSL_CERT_DIR", "value": "/etc/custom-ca:/etc/ssl/certs"},
			map[string]any{"name": "AWS_REGION", "value": "eu-central-1"}, map[string]any{"name": "NUMBER", "value": "1"},
		}},
		{"ServiceAccount/policy", []any{"metadata", "annotations"}, map[string]any{"a": "b", "role": "reader"}},
		{"Service/webhook", []any{"spec", "type"}, "NodePort"},
		{"Service/webhook", []any{"spec", "ports", 0, "nodePort"}, float64(30443)},
		{"PodDisruptionBudget/assay", []any{"spec", "maxUnavailable"}, float64(2)},
		{"PodDisruptionBudget/assay", []any{"spec", "minAvailable"}, nil},
		{"ConfigMap/config-policy-controller", []any{"data"}, map[string]any{"no-match-policy": "warn", "enable-oci11": "false"}},
		{"ClusterRoleBinding/assay", []any{"subjects", 0, "name"}, "policy"},
	} {
		if diff := cmp.Diff(tt.want, at(objects[tt.object], tt.path...)); diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.object, tt.path, diff)
		}
	}
	for _, volume := range []string{"cache", "registry-ca", "more"} {
		if list, _ := at(deployment, append(slices.Clone(pod), "volumes")...).([]any); !slices.ContainsFunc(list, func(v any) bool { return v.(map[string]any)["name"] == volume }) {
			t.Errorf("volumes: got %v, want %s in it", list, volume)
		}
	}
}

// TestDefinitionsStay: with a definition go all policies.
func TestDefinitionsStay(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"clusterimagepolicies.policy.sigstore.dev", "trustroots.policy.sigstore.dev"} {
		definition := render(t, "{}")["CustomResourceDefinition/"+name]
		if got := at(definition, "metadata", "annotations", "helm.sh/resource-policy"); got != "keep" {
			t.Errorf("%s: got resource policy %v, want keep", name, got)
		}
	}
}
