package cluster_test

import (
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/cluster"
)

func TestPodIsStored(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	c.Namespace(t, "shop", "policy.sigstore.dev/include=true")
	if got, want := c.Kubectl(t, "run", "nginx", "--namespace=shop", "--image=registry.example.com/nginx"), "pod/nginx created\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got := c.Kubectl(t, "get", "pod", "nginx", "--namespace=shop", "--output=jsonpath={.status.phase}")
	if want := "Pending"; got != want {
		t.Errorf("phase: got %q, want %q", got, want)
	}
}

func TestDeploymentMakesPods(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{Controllers: true})
	c.Kubectl(t, "create", "deployment", "web", "--image=registry.example.com/nginx", "--replicas=2")
	c.Kubectl(t, "wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "--timeout=60s")
	got := c.Kubectl(t, "get", "pods", "--selector=app=web", "--output=name")
	if got, want := strings.Count(got, "pod/web-"), 2; got != want {
		t.Errorf("got %d Pods, want %d", got, want)
	}
}

func TestUsersAreWhoTheyAre(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	c.Namespace(t, "shop")
	for kubeconfig, want := range map[string]string{
		c.User(t, "jane", "developers"):        "jane",
		c.ServiceAccount(t, "shop", "default"): "system:serviceaccount:shop:default",
		c.User(t, "root", "system:masters"):    "root",
	} {
		got := c.Kubectl(t, "auth", "whoami", "--kubeconfig="+kubeconfig, "--output=jsonpath={.status.userInfo.username}")
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	_, err := c.TryKubectl(t, "", "get", "secrets", "--kubeconfig="+c.User(t, "jane", "developers"))
	if err == nil || !strings.Contains(err.Error(), `User "jane" cannot list resource "secrets"`) {
		t.Errorf("got %v, want a refusal by RBAC", err)
	}
}

func TestStoredObjectsSurviveTheAPIServer(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	c.Namespace(t, "shop")
	c.StopAPIServer(t)
	if _, err := c.TryKubectl(t, "", "get", "namespace", "shop"); err == nil {
		t.Error("got an answer, want none of a server that is gone")
	}
	c.StartAPIServer(t)
	c.Kubectl(t, "get", "namespace", "shop")
}
