package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/e2e/service"
	"github.com/assay-dev/assay/e2e/tools"
)

// TestHelm installs the chart with Helm itself, changes its values and takes it away again, under
// a webhook that runs as its Deployment says. What stays is what docs/install-cluster.md says.
func TestHelm(t *testing.T) {
	t.Parallel()
	assay, err := buildAssay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := cluster.Start(t, cluster.Options{})
	h := &helm{program: builtHelm(t), cluster: c}
	const installed = "--set=webhook.image.repository=registry.example.com/assay,webhook.image.version=dev"
	h.run(t, "install", "assay", "../deploy/chart", "--namespace=cosign-system", "--create-namespace", installed)
	c.Kubectl(t, "create", "secret", "generic", "release", "--namespace=cosign-system", "--from-literal=cosign.pub=key")
	c.Kubectl(t, "label", "namespace", "default", "policy.sigstore.dev/include=true")
	front, err := service.Listen(c.Kubectl(t, "get", "service", "webhook", "--namespace=cosign-system", "-o", "jsonpath={.spec.clusterIP}") + ":443")
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("listen at the address of a Service: %v; run as root, or set net.ipv4.ip_unprivileged_port_start", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)
	said := serveAs(t, c, assay, front)
	run := func(name, image string) func() string {
		return func() string {
			out, err := c.TryKubectl(t, "", "run", name, "--image="+image)
			return out + fmt.Sprint(err)
		}
	}
	other := strings.ReplaceAll(admitted, "app", "other")
	eventually(t, said, "nothing is admitted without a policy", "no matching policies", run("early", other))
	if _, err := c.TryKubectl(t, passes, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	eventually(t, said, "what a policy admits is", "pod/app created", run("app", admitted))

	bundle := func() string {
		return c.Kubectl(t, "get", "validatingwebhookconfiguration", "policy.sigstore.dev", "-o", "jsonpath={.webhooks[0].clientConfig.caBundle}")
	}
	before := bundle()
	h.run(t, "upgrade", "assay", "../deploy/chart", "--namespace=cosign-system", installed, "--set=mutate=all,timeoutSeconds=20")
	if after := bundle(); before == "" || after != before {
		t.Errorf("got caBundle %.20q after the upgrade, want %.20q, as it was", after, before)
	}
	got := c.Kubectl(t, "get", "mutatingwebhookconfiguration", "policy.sigstore.dev", "-o", "jsonpath={.webhooks[0].timeoutSeconds} {.webhooks[0].rules[*].resources}")
	if !strings.HasPrefix(got, "20 ") || !strings.Contains(got, "deployments") {
		t.Errorf("got %q, want 20 seconds, and Deployments among what is mutated", got)
	}
	eventually(t, said, "it still denies", "no matching policies", run("early", other))
	eventually(t, said, "and admits", "pod/upgraded created", run("upgraded", admitted))

	h.run(t, "uninstall", "assay", "--namespace=cosign-system")
	eventually(t, said, "nobody is asked any more", "pod/free created", run("free", other))
	for _, tt := range []struct{ what, kinds, want string }{
		{"webhooks are gone", "validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings", ""},
		{"rights are gone", "clusterroles,clusterrolebindings --selector=app.kubernetes.io/name=assay", ""},
		{"policies stay", "clusterimagepolicies", "clusterimagepolicy.policy.sigstore.dev/app"},
		{"definitions stay", "crds", definitions(t)},
		{"Secrets of policies stay", "secrets --namespace=cosign-system", "secret/release"},
		{"the Lease stays", "leases --namespace=cosign-system", "lease.coordination.k8s.io/assay"},
		{"namespaces keep their labels", "namespaces --selector=policy.sigstore.dev/include=true", "namespace/default"},
	} {
		out := c.Kubectl(t, append([]string{"get", "-o", "name"}, strings.Fields(tt.kinds)...)...)
		out = strings.ReplaceAll(out, "customresourcedefinition.apiextensions.k8s.io/", "")
		if got := strings.Join(strings.Fields(out), " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
	h.run(t, "install", "assay", "../deploy/chart", "--namespace=cosign-system", installed)
	if got := c.Kubectl(t, "get", "clusterimagepolicies", "-o", "name"); got != "clusterimagepolicy.policy.sigstore.dev/app\n" {
		t.Errorf("got policies %q after the chart was installed again, want app", got)
	}
	c.Kubectl(t, "get", "validatingwebhookconfiguration", "policy.sigstore.dev")
}

// definitions are the names of those that are installed: the files of deploy/crds have them.
func definitions(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../deploy/crds/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got definitions %q, %v, want some", files, err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".yaml")
	}
	return strings.Join(files, " ")
}

// helm is Helm against a cluster.
type helm struct {
	program string
	cluster *cluster.Cluster
}

// builtHelm builds it, unless it is up to date, and gives its path.
func builtHelm(t *testing.T) string {
	t.Helper()
	module, err := tools.Find(".helm")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := module.Build(t.Context(), "")
	if err != nil {
		t.Fatalf("build Helm: %v", err)
	}
	return filepath.Join(bin, "helm")
}

func (h *helm) run(t *testing.T, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), h.program, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+h.cluster.Kubeconfig, "HOME="+h.cluster.Dir)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Run(); err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
}
