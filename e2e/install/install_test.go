// Package install_test holds the manifests and the chart to a real API server: it takes them, asks
// the webhooks about what it should, gives assay the rights that it needs and no more, and lets
// nobody but those who may change policies take a namespace out of them.
package install_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/e2e/chart"
	"github.com/assay-dev/assay/e2e/cluster"
)

const (
	crds      = "../../deploy/crds"
	manifests = "../../deploy/manifests"
	dir       = "../../deploy/chart"
)

// patience is for a machine that does other things as well. Nothing waits for it when all is well.
const patience = 2 * time.Minute

// until asks again until there is no complaint.
func until(t *testing.T, ask func() (complaint string)) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		complaint := ask()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
	}
}

// refusal is what kubectl is told, empty if it is told nothing.
func refusal(c *cluster.Cluster, t *testing.T, input string, args ...string) string {
	t.Helper()
	if _, err := c.TryKubectl(t, input, args...); err != nil {
		return err.Error()
	}
	return ""
}

// wanted complains unless a refusal has the text, or there is none where there should be none.
func wanted(what, got, want string) string {
	if (want == "") != (got == "") || !strings.Contains(got, want) {
		return fmt.Sprintf("%s: got %q, want %q", what, got, want)
	}
	return ""
}

// apply renders some templates of the chart and applies them.
func apply(t *testing.T, c *cluster.Cluster, values string, templates ...string) {
	t.Helper()
	rendered, err := chart.Render(dir, chart.Release{Values: values})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range templates {
		if _, err := c.TryKubectl(t, rendered[name], "apply", "-f", "-"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// audited starts a cluster that keeps the audit log which docs/cluster.md asks for.
func audited(t *testing.T, options cluster.Options) (c *cluster.Cluster, log string) {
	t.Helper()
	at := t.TempDir()
	policy := filepath.Join(at, "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	log = filepath.Join(at, "audit.log")
	options.APIServer = append(options.APIServer, "--audit-policy-file="+policy, "--audit-log-path="+log)
	return cluster.Start(t, options), log
}

// auditPolicy is the one of docs/cluster.md.
func auditPolicy(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(page), "```yaml\n") {
		if text, _, found := strings.Cut(block, "```"); found && strings.Contains(text, "audit.k8s.io/v1") {
			return text
		}
	}
	t.Fatal("docs/cluster.md: got no audit policy, want one")
	return ""
}

// TestManifests installs them and looks at what they do to the cluster.
func TestManifests(t *testing.T) {
	t.Parallel()
	c, log := audited(t, cluster.Options{Controllers: true})
	c.Kubectl(t, "apply", "--warnings-as-errors", "-f", crds)
	c.Kubectl(t, "apply", "--warnings-as-errors", "-f", manifests)
	c.Kubectl(t, "wait", "--for=condition=Established", "--timeout=120s", "crd", "clusterimagepolicies.policy.sigstore.dev")
	c.Kubectl(t, "diff", "-f", manifests) // what was applied is what they say
	t.Run("Pods are restricted", func(t *testing.T) { restricted(t, c) })
	t.Run("rights", func(t *testing.T) { rights(t, c) })
	t.Run("rules", func(t *testing.T) { rules(t, c) })
	t.Run("broken glass", func(t *testing.T) { glass(t, c, log) })
	t.Run("labels", func(t *testing.T) { labels(t, c, log) })
	t.Run("what the chart has besides", func(t *testing.T) {
		all := `{autoscaling: {enabled: true}, dashboard: {enabled: true}, mutate: all,
  networkPolicy: {apiServer: [10.0.0.1/32], metricsFrom: [{namespaceSelector: {}}]},
  webhook: {registryCaBundle: {name: a, key: b}, clientCA: {name: a, key: b}, rules: [{apiGroups: [""], apiVersions: [v1], resources: [configmaps, pods/status]}],
    podDisruptionBudget: {maxUnavailable: 1}, service: {type: NodePort, nodePort: 30443}}}`
		apply(t, c, all, "rbac", "config", "deployment", "availability", "webhooks", "monitoring", "crds")
		apply(t, c, `{networkPolicy: {podCIDRs: [10.1.0.0/16, 'fd00::/48'], apiServerPods: [{namespaceSelector: {}, podSelector: {}}]}}`, "availability")
	})
}

// restricted: the Pods of the Deployment are those that the namespace admits, which enforces
// restricted Pod Security.
func restricted(t *testing.T, c *cluster.Cluster) {
	var deployment struct {
		Spec struct{ Template map[string]any }
	}
	if err := json.Unmarshal([]byte(c.Kubectl(t, "get", "deployment", "--namespace=cosign-system", "assay", "-o", "json")), &deployment); err != nil {
		t.Fatal(err)
	}
	pod := deployment.Spec.Template
	pod["apiVersion"], pod["kind"] = "v1", "Pod"
	pod["metadata"].(map[string]any)["name"] = "assay"
	text, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.TryKubectl(t, string(text), "create", "--dry-run=server", "--namespace=cosign-system", "-f", "-"); err != nil {
		t.Error(err)
	}
	until(t, func() string {
		if got := c.Kubectl(t, "get", "pods", "--namespace=cosign-system", "-o", "name"); strings.Count(got, "\n") != 2 {
			return fmt.Sprintf("got Pods %q, want two", got)
		}
		return ""
	})
	const root = `{apiVersion: v1, kind: Pod, metadata: {name: root}, spec: {containers: [{name: c, image: a}]}}`
	if got := refusal(c, t, root, "create", "--dry-run=server", "--namespace=cosign-system", "-f", "-"); !strings.Contains(got, "PodSecurity") {
		t.Errorf("got %q for a Pod that is not restricted, want it refused", got)
	}
}
