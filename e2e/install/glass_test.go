package install_test

import (
	"os"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/cluster"
)

// glass is broken as docs/cluster.md says, which the audit log has, and mended again.
func glass(t *testing.T, c *cluster.Cluster, log string) {
	const (
		pod    = `{apiVersion: v1, kind: Pod, metadata: {name: urgent}, spec: {containers: [{name: c, image: a}]}}`
		denied = `failed calling webhook "policy.sigstore.dev"`
	)
	attempt := func(want string) func() string {
		return func() string {
			return wanted("a Pod", refusal(c, t, pod, "create", "--dry-run=server", "--namespace=shop", "-f", "-"), want)
		}
	}
	until(t, attempt(denied))
	c.Kubectl(t, "delete", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "policy.sigstore.dev")
	until(t, attempt(""))
	until(t, func() string {
		text, err := os.ReadFile(log)
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"verb":"delete"`) && strings.Contains(line, `"resource":"validatingwebhookconfigurations","name":"policy.sigstore.dev"`) {
				return ""
			}
		}
		return "got no line of the webhook that was taken away"
	})
	c.Kubectl(t, "apply", "-f", manifests)
	until(t, attempt(denied))
}
