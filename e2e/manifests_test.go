package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/e2e/service"
)

const admitted = "example.com/app@sha256:0123456789012345678901234567890123456789012345678901234567890123"

const passes = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: app}
spec:
  images: [{glob: example.com/app**}]
  authorities: [{static: {action: pass}}]
`

const own = `apiVersion: v1
kind: ConfigMap
metadata: {name: text, namespace: default}
data: {policy: "package sigstore\nisCompliant := true"}
---
apiVersion: policy.assay.dev/v1alpha1
kind: ImagePolicy
metadata: {name: own, namespace: default}
spec:
  images: [{glob: example.com/app**}]
  authorities: [{static: {action: pass}}]
  policy: {type: rego, configMapRef: {name: text, key: policy}}
`

// TestManifestsAreEnough runs what the Deployment says with the rights of its ServiceAccount, behind
// the webhooks that the manifests register. Nothing that it asks the API server for is refused.
func TestManifestsAreEnough(t *testing.T) {
	t.Parallel()
	assay, err := buildAssay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := cluster.Start(t, cluster.Options{})
	address := c.Service(webhook)
	front, err := service.Listen(address + ":443")
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("listen at the address of a Service: %v; run as root, or set net.ipv4.ip_unprivileged_port_start", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)
	applyManifests(t, c, address)
	said := serveAs(t, c, assay, front)

	c.Kubectl(t, "label", "namespace", "default", "policy.sigstore.dev/include=true")
	eventually(t, said, "a Pod is denied", "no matching policies: spec.containers[0].image", func() string {
		_, err := c.TryKubectl(t, "", "run", "early", "--image="+admitted, "--dry-run=server")
		return fmt.Sprint(err)
	})
	if _, err := c.TryKubectl(t, passes, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	eventually(t, said, "the policy is in force", "True", func() string {
		return c.Kubectl(t, "get", "cip", "app", `--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	})
	eventually(t, said, "the Pod is admitted", "pod/app created", func() string {
		out, err := c.TryKubectl(t, "", "run", "app", "--image="+admitted)
		return out + fmt.Sprint(err)
	})
	if _, err := c.TryKubectl(t, "", "run", "other", "--image="+strings.ReplaceAll(admitted, "app", "other")); err == nil {
		t.Error("got a Pod admitted that no policy matches, want it denied")
	}
	if _, err := c.TryKubectl(t, own, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	eventually(t, said, "the policy of a namespace is in force, with the text of a ConfigMap there", "True", func() string {
		return c.Kubectl(t, "get", "imagepolicy", "own", `--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	})
	eventually(t, said, "an Event says so", "ImageDenied", func() string { return c.Kubectl(t, "get", "events") })
	if got := c.Kubectl(t, "get", "leases", "--namespace=cosign-system", "-o", "jsonpath={.items[*].metadata.name}"); got != "assay" {
		t.Errorf("got Leases %q, want assay", got)
	}
	// The names of webhook configurations are those of either kind, or of both.
	eventually(t, said, "nothing is out of date", "[+] cluster: ok\n", func() string { return verbose(t, c.Service(webhook+1)+":8443") })
	if strings.Contains(said.String(), "there is none") {
		t.Errorf("got a log of what is missing:\n%s", said)
	}
	if strings.Contains(said.String(), "forbidden") {
		t.Errorf("got a log of what is forbidden:\n%s", said)
	}
}

func eventually(t *testing.T, said *log, what, want string, ask func() string) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		got := ask()
		if strings.Contains(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: got %s, want %s; the log:\n%s", what, got, want, said)
		}
	}
}

// verbose is what a replica says of itself.
func verbose(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // it tells no secret
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/readyz?verbose", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// applyManifests installs what there is to install, with an address that the test can listen at.
func applyManifests(t testing.TB, c *cluster.Cluster, address string) {
	t.Helper()
	c.Kubectl(t, "apply", "-f", "../deploy/crds")
	files, err := filepath.Glob("../deploy/manifests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got manifests %q, %v, want some", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), "type: ClusterIP\n", "type: ClusterIP\n  clusterIP: "+address+"\n", 1)
		if _, err := c.TryKubectl(t, changed, "apply", "-f", "-"); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
}

// deploymentArgs are the arguments of assay that the Deployment has.
func deploymentArgs(t testing.TB, c *cluster.Cluster) []string {
	t.Helper()
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct{ Containers []struct{ Args []string } }
			}
		}
	}
	if err := json.Unmarshal([]byte(c.Kubectl(t, "get", "deployment", "assay", "--namespace=cosign-system", "-o", "json")), &deployment); err != nil {
		t.Fatal(err)
	}
	return deployment.Spec.Template.Spec.Containers[0].Args
}

// serveAs starts the process of the Deployment, as its ServiceAccount, and gives its log.
func serveAs(t *testing.T, c *cluster.Cluster, assay string, front *service.Service) *log {
	t.Helper()
	dir, address := t.TempDir(), c.Service(webhook+1)+":8443"
	args := append(deploymentArgs(t, c), "--addr="+address, "--tuf-cache="+dir, "--kubeconfig="+c.ServiceAccount(t, "cosign-system", "assay"))
	said := newLog()
	command := exec.Command(assay, args...)
	command.Stderr = said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
	})
	front.Add(address)
	eventually(t, said, "ready", "1", func() string { return fmt.Sprint(front.Ready()) })
	return said
}
