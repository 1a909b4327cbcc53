package install_test

import (
	"os"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/cluster"
)

// tenants may do with namespaces what they like, as self-service gives it to some.
const tenants = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: tenants}
rules:
  - {apiGroups: [""], resources: [namespaces, namespaces/status, namespaces/finalize], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: tenants}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tenants}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: tenant}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: guards}
rules:
  - {apiGroups: [policy.sigstore.dev], resources: [clusterimagepolicies], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: guards}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: guards}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: guard}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: guards-are-tenants}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tenants}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: guard}]
`

// attempt is one on the labels of a namespace, by somebody.
type attempt struct {
	name, as string
	args     []string
	denied   bool
}

// labels: who may change the policies may take a namespace out of them, and nobody else.
func labels(t *testing.T, c *cluster.Cluster, log string) {
	if _, err := c.TryKubectl(t, tenants, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"covered", "uncovered"} {
		c.Kubectl(t, "create", "namespace", name)
	}
	c.Kubectl(t, "label", "namespace", "covered", "policy.sigstore.dev/include=true")
	const include = "policy.sigstore.dev/include"
	removal := `{"metadata": {"labels": {"` + include + `": null}}}`
	for _, tt := range []attempt{
		{"the label is taken off", "tenant", []string{"label", "namespace", "covered", include + "-"}, true},
		{"it is given another value", "tenant", []string{"label", "namespace", "covered", "--overwrite", include + "=false"}, true},
		{"it is taken off by the way of the status", "tenant", []string{"patch", "namespace", "covered", "--subresource=status", "--type=merge", "-p", removal}, true},
		{"all labels are taken off", "tenant", []string{"patch", "namespace", "covered", "--type=merge", "-p", `{"metadata": {"labels": null}}`}, true},
		{"another label", "tenant", []string{"label", "namespace", "covered", "team=a"}, false},
		{"an annotation", "tenant", []string{"annotate", "namespace", "covered", "a=b"}, false},
		{"the label is put on", "tenant", []string{"label", "namespace", "uncovered", include + "=true"}, false},
		{"and taken off again", "tenant", []string{"label", "namespace", "uncovered", include + "-"}, true},
		{"a namespace is created", "tenant", []string{"create", "namespace", "another"}, false},
		{"a namespace is deleted", "tenant", []string{"delete", "namespace", "another"}, false},
		{"the label is taken off by who may change policies", "guard", []string{"label", "namespace", "covered", include + "-"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.try(t, c) })
	}
	t.Run("by the way of the finalizers", func(t *testing.T) { finalized(t, c) })
	t.Run("the audit log has it", func(t *testing.T) {
		until(t, func() string {
			text, err := os.ReadFile(log)
			if err != nil {
				return err.Error()
			}
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, `"username":"guard"`) && strings.Contains(line, `"namespaces.policy.sigstore.dev/uncovered":"image policies do not cover namespace covered any more"`) {
					return ""
				}
			}
			return "got no line of the namespace that is not covered any more"
		})
	})
	t.Run("opting out", func(t *testing.T) { optingOut(t, c) })
}

// try makes an attempt until it ends as it should: policies of admission come into force a moment
// after they are applied. What should be denied is a dry run, so that it changes nothing until then.
func (a attempt) try(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	want, args := "", append([]string{"--as=" + a.as}, a.args...)
	if a.denied {
		want = "which takes the right to update clusterimagepolicies.policy.sigstore.dev"
		args = append(args, "--dry-run=server")
	}
	until(t, func() string {
		return wanted(a.name, refusal(c, t, "", args...), want)
	})
}

// finalized: namespaces/finalize writes labels too.
func finalized(t *testing.T, c *cluster.Cluster) {
	c.Kubectl(t, "create", "namespace", "ending")
	c.Kubectl(t, "label", "namespace", "ending", "policy.sigstore.dev/include=true")
	const bare = `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ending"}, "spec": {"finalizers": ["kubernetes"]}}`
	got := refusal(c, t, bare, "replace", "--as=tenant", "--raw", "/api/v1/namespaces/ending/finalize", "-f", "-")
	labelled := strings.Contains(c.Kubectl(t, "get", "namespace", "ending", "-o", "jsonpath={.metadata.labels}"), "policy.sigstore.dev/include")
	if got == "" || !labelled {
		t.Errorf("got %q and the label: %t, want it refused and the label there", got, labelled)
	}
}

// optingOut has the other variants of which namespaces are covered.
func optingOut(t *testing.T, c *cluster.Cluster) {
	const exclude = "policy.sigstore.dev/exclude=true"
	apply(t, c, "{namespaces: {mode: opt-out}}", "namespace-labels", "webhooks")
	const created = `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "born", "labels": {"policy.sigstore.dev/exclude": ""}}}`
	until(t, func() string {
		return wanted("a namespace is born outside", refusal(c, t, created, "create", "--as=tenant", "--dry-run=server", "-f", "-"), "out of what image policies cover")
	})
	for _, tt := range []attempt{
		{"opts out", "tenant", []string{"label", "namespace", "covered", exclude}, true},
		{"is taken out by who may", "guard", []string{"label", "namespace", "covered", exclude}, false},
		{"comes back", "tenant", []string{"label", "namespace", "covered", "policy.sigstore.dev/exclude-"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.try(t, c) })
	}
	const selector = `{webhook: {namespaceSelector: {matchLabels: {tier: gold}, matchExpressions: [
  {key: env, operator: NotIn, values: [dev, test]}, {key: team, operator: Exists}]}}}`
	apply(t, c, selector, "namespace-labels", "webhooks")
	c.Kubectl(t, "create", "namespace", "selected")
	c.Kubectl(t, "label", "namespace", "selected", "tier=gold", "team=a")
	for _, tt := range []attempt{
		{"another value of a label that has to be", "tenant", []string{"label", "namespace", "selected", "--overwrite", "tier=tin"}, true},
		{"a value that may not be", "tenant", []string{"label", "namespace", "selected", "env=dev"}, true},
		{"a label that has to exist", "tenant", []string{"label", "namespace", "selected", "team-"}, true},
		{"a value that changes nothing", "tenant", []string{"label", "namespace", "selected", "env=prod"}, false},
		{"another value of a label that has to exist", "tenant", []string{"label", "namespace", "selected", "--overwrite", "team=b"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.try(t, c) })
	}
	until(t, func() string {
		got := c.Kubectl(t, "get", "validatingadmissionpolicy", "namespaces.policy.sigstore.dev", "-o", "jsonpath={.status}")
		if !strings.Contains(got, "typeChecking") || strings.Contains(got, "expressionWarnings") {
			return "got " + got + ", want its expressions checked and no warning"
		}
		return ""
	})
}
