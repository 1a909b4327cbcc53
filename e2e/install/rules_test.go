package install_test

import (
	"testing"

	"github.com/assay-dev/assay/e2e/cluster"
)

// rules shows what the API server asks the webhooks about: nobody answers, and failurePolicy is
// Fail, so that it says which one it would have asked.
func rules(t *testing.T, c *cluster.Cluster) {
	const (
		workloads = `failed calling webhook "policy.sigstore.dev"`
		defaults  = `failed calling webhook "defaulting.clusterimagepolicy.sigstore.dev"`
	)
	const (
		template = `metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: a}]}`
		pod      = `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: a}]}}`
		scaled   = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {` + template + `}}}`
	)
	c.Kubectl(t, "create", "namespace", "shop")
	until(t, func() string {
		return refusal(c, t, "", "get", "serviceaccount", "--namespace=shop", "default")
	})
	// What was there before the namespace was covered.
	for _, object := range []string{pod, scaled} {
		if got := refusal(c, t, object, "create", "--namespace=shop", "-f", "-"); got != "" {
			t.Fatal(got)
		}
	}
	c.Kubectl(t, "label", "namespace", "shop", "policy.sigstore.dev/include=true")
	kind := func(text string) string { return "{" + text + ", metadata: {name: new}, " }
	for _, tt := range []struct {
		name, input string
		args        []string
		want        string
	}{
		{"a Pod", pod, []string{"create", "-f", "-", "--dry-run=server"}, workloads},
		{"a Pod's labels", "", []string{"label", "pod", "p", "x=y"}, workloads},
		{"an ephemeral container", `{"spec": {"ephemeralContainers": [{"name": "d", "image": "a", "targetContainerName": "c"}]}}`, []string{"patch", "pod", "p", "--subresource=ephemeralcontainers", "--patch-file=/dev/stdin"}, workloads},
		{"a Deployment", kind("apiVersion: apps/v1, kind: Deployment") + `spec: {selector: {matchLabels: {a: b}}, template: {` + template + `}}}`, []string{"create", "-f", "-"}, workloads},
		{"a ReplicaSet", kind("apiVersion: apps/v1, kind: ReplicaSet") + `spec: {selector: {matchLabels: {a: b}}, template: {` + template + `}}}`, []string{"create", "-f", "-"}, workloads},
		{"a StatefulSet", kind("apiVersion: apps/v1, kind: StatefulSet") + `spec: {selector: {matchLabels: {a: b}}, template: {` + template + `}}}`, []string{"create", "-f", "-"}, workloads},
		{"a DaemonSet", kind("apiVersion: apps/v1, kind: DaemonSet") + `spec: {selector: {matchLabels: {a: b}}, template: {` + template + `}}}`, []string{"create", "-f", "-"}, workloads},
		{"a Job", kind("apiVersion: batch/v1, kind: Job") + `spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: a}]}}}}`, []string{"create", "-f", "-"}, workloads},
		{"a CronJob", kind("apiVersion: batch/v1, kind: CronJob") + `spec: {schedule: "@daily", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: a}]}}}}}}`, []string{"create", "-f", "-"}, workloads},
		{"a ReplicationController", kind("apiVersion: v1, kind: ReplicationController") + `spec: {selector: {a: b}, template: {` + template + `}}}`, []string{"create", "-f", "-"}, workloads},
		{"a PodTemplate", kind("apiVersion: v1, kind: PodTemplate") + `template: {` + template + `}}`, []string{"create", "-f", "-"}, workloads},
		{"a Deployment's labels", "", []string{"label", "deployment", "web", "x=y"}, workloads},
		{"a scale", "", []string{"scale", "deployment", "web", "--replicas=1"}, ""},
		{"a status", `{"status": {"message": "m"}}`, []string{"patch", "pod", "p", "--subresource=status", "--patch-file=/dev/stdin"}, ""},
		{"a deletion", "", []string{"delete", "pod", "p", "--force", "--grace-period=0"}, ""},
		{"what runs no image", "", []string{"create", "configmap", "c"}, ""},
		{"a Pod elsewhere", pod, []string{"create", "-f", "-", "--dry-run=server", "--namespace=default"}, ""},
		{"a policy", `{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: p}, spec: {}}`, []string{"create", "-f", "-"}, defaults},
		{"a policy of a namespace", `{apiVersion: policy.assay.dev/v1alpha1, kind: ImagePolicy, metadata: {name: p}, spec: {}}`, []string{"create", "-f", "-"}, defaults},
		{"a trust root", `{apiVersion: policy.sigstore.dev/v1alpha1, kind: TrustRoot, metadata: {name: r}, spec: {remote: {root: e30=, mirror: "https://a.b"}}}`, []string{"create", "-f", "-"}, defaults},
	} {
		t.Run(tt.name, func(t *testing.T) {
			until(t, func() string { // selectors of namespaces are cached
				return wanted(tt.name, refusal(c, t, tt.input, append([]string{"--namespace=shop"}, tt.args...)...), tt.want)
			})
		})
	}
	t.Run("no label covers the installation and kube-system", func(t *testing.T) {
		c.Kubectl(t, "label", "namespace", "kube-system", "cosign-system", "policy.sigstore.dev/include=true")
		until(t, func() string { // so that the labels were seen
			return wanted("shop", refusal(c, t, pod, "create", "--dry-run=server", "--namespace=shop", "-f", "-"), workloads)
		})
		if got := refusal(c, t, pod, "create", "--dry-run=server", "--namespace=kube-system", "-f", "-"); got != "" {
			t.Errorf("kube-system: got %s, want it admitted", got)
		}
		c.Kubectl(t, "rollout", "restart", "deployment", "--namespace=cosign-system", "assay")
	})
}
