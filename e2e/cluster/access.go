package cluster

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/loopback"
)

// adminToken is no secret: it opens a cluster on loopback that lives for seconds.
const adminToken = "admin"

// User writes a kubeconfig for a user, who authenticates by client certificate, and gives its path.
func (c *Cluster) User(t testing.TB, name string, groups ...string) string {
	t.Helper()
	path, err := c.kubeconfig(name, c.client(name, groups...))
	if err != nil {
		t.Fatalf("user %s: %v", name, err)
	}
	return path
}

// ServiceAccount writes a kubeconfig with a token of a ServiceAccount that exists, and gives its path.
func (c *Cluster) ServiceAccount(t testing.TB, namespace, name string) string {
	t.Helper()
	token := strings.TrimSpace(c.Kubectl(t, "create", "token", "--namespace", namespace, name))
	path, err := c.kubeconfig("serviceaccount-"+namespace+"-"+name, func() (credentials, error) {
		return credentials{Token: token}, nil
	})
	if err != nil {
		t.Fatalf("ServiceAccount %s/%s: %v", namespace, name, err)
	}
	return path
}

// Namespace creates one, with labels (key=value) and with the default ServiceAccount, without
// which there are no Pods and which only kube-controller-manager would make.
func (c *Cluster) Namespace(t testing.TB, name string, labels ...string) {
	t.Helper()
	c.Kubectl(t, "create", "namespace", name)
	if len(labels) > 0 {
		c.Kubectl(t, append([]string{"label", "namespace", name}, labels...)...)
	}
	if !c.options.Controllers {
		c.Kubectl(t, "create", "serviceaccount", "--namespace", name, "default")
	}
}

// Kubectl runs kubectl as an administrator and gives what it printed; it fails the test if the
// command does.
func (c *Cluster) Kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.TryKubectl(t, "", args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// TryKubectl runs kubectl as an administrator with an input. The error has what it printed of the cause.
func (c *Cluster) TryKubectl(t testing.TB, input string, args ...string) (string, error) {
	t.Helper()
	return c.kubectl(t.Context(), input, args...)
}

func (c *Cluster) kubectl(ctx context.Context, input string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, c.Tool("kubectl"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "HOME="+c.Dir)
	command.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// createDefaultServiceAccount makes Pods possible in the namespace that is there from the start.
func (c *Cluster) createDefaultServiceAccount(ctx context.Context) error {
	_, err := c.kubectl(ctx, "", "create", "serviceaccount", "--namespace=default", "default")
	return err
}

// prepare mints what the components need before they start.
func (c *Cluster) prepare() error {
	address, err := loopback.FreePort(c.network.Address(1, 1))
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	c.URL = "https://" + address
	if c.Authority, err = NewAuthority("control plane of a test"); err != nil {
		return err
	}
	certificate, key, err := c.Authority.Server(host, c.network.Address(0, 1), "localhost",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
	if err != nil {
		return err
	}
	accounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	accountsKey, err := encodeKey(accounts)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"ca.crt": c.Authority.PEM, "apiserver.crt": certificate, "apiserver.key": key, "serviceaccounts.key": accountsKey,
		"tokens.csv": []byte(adminToken + ",admin,admin,system:masters\n"),
	} {
		if err := c.write(name, content); err != nil {
			return err
		}
	}
	c.Kubeconfig, err = c.kubeconfig("admin", func() (credentials, error) { return credentials{Token: adminToken}, nil })
	return err
}

// credentials are how a kubeconfig says who somebody is.
type credentials struct {
	Token       string `json:"token,omitempty"`
	Certificate []byte `json:"client-certificate-data,omitempty"`
	Key         []byte `json:"client-key-data,omitempty"`
}

func (c *Cluster) client(user string, groups ...string) func() (credentials, error) {
	return func() (credentials, error) {
		certificate, key, err := c.Authority.Client(user, groups...)
		return credentials{Certificate: certificate, Key: key}, err
	}
}

// kubeconfig writes one as JSON, which YAML includes.
func (c *Cluster) kubeconfig(user string, mint func() (credentials, error)) (string, error) {
	minted, err := mint()
	if err != nil {
		return "", err
	}
	type named map[string]any
	content, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []named{{"name": "test", "cluster": named{
			"server": c.URL, "certificate-authority-data": c.Authority.PEM,
		}}},
		"users":    []named{{"name": user, "user": minted}},
		"contexts": []named{{"name": "test", "context": named{"cluster": "test", "user": user}}},
	}, "", "  ")
	if err != nil {
		return "", err
	}
	name := strings.NewReplacer(":", "-", "/", "-").Replace(user) + ".kubeconfig"
	return c.path(name), c.write(name, content)
}
