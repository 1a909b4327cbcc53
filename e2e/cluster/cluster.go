// Package cluster runs a Kubernetes control plane for a test: etcd, kube-apiserver and, if
// asked, kube-controller-manager, as processes of the test on loopback. There are no nodes:
// Pods are admitted, stored and stay Pending, which is all that admission is about.
//
//	c := cluster.Start(t, cluster.Options{Controllers: true})
//	c.Kubectl(t, "create", "namespace", "shop")
//
// The binaries are built from the modules that .kubernetes/go.mod pins, once. Everything ends with
// the test, whichever way it ends, and what the components logged is shown if it failed.
//
// Each cluster has a part of loopback to itself, 127.N.0.0/16, so that any number of them run
// beside each other. Services get addresses below 127.N.0.0/24, and the API server reaches a
// webhook that is configured by its Service there: [Cluster.Service] says where to listen.
package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/loopback"
	"github.com/assay-dev/assay/e2e/process"
)

// Options say what runs. The zero value is etcd and kube-apiserver.
type Options struct {
	// Controllers adds kube-controller-manager: Deployments make their Pods, namespaces get
	// their default ServiceAccount, and a namespace that is deleted goes.
	Controllers bool
	// APIServer has further flags of kube-apiserver, such as --audit-policy-file.
	APIServer []string
}

// Cluster is a control plane that runs.
type Cluster struct {
	// Dir has everything of the cluster: keys, kubeconfigs, and the log of each component
	// as NAME.log.
	Dir string
	// URL is the API server's.
	URL string
	// Kubeconfig is a file for a member of system:masters, whom RBAC refuses nothing.
	Kubeconfig string
	// Authority signed the certificates of the API server and of every user.
	Authority *Authority

	tools   string // directory of the binaries
	network loopback.Network
	options Options
	etcd    string // URL
	running map[string]*process.Process
}

// Start builds what is not built yet, starts the control plane and returns when the API server
// is ready. It fails the test if it cannot.
func Start(t testing.TB, options Options) *Cluster {
	t.Helper()
	tools, err := build(t.Context())
	if err != nil {
		t.Fatalf("build the control plane: %v", err)
	}
	network, err := loopback.Claim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Release)
	c := &Cluster{
		Dir: t.TempDir(), tools: tools, network: network, options: options, running: map[string]*process.Process{},
	}
	t.Cleanup(func() { c.stop(t) })
	if err := c.prepare(); err != nil {
		t.Fatalf("prepare the control plane: %v", err)
	}
	if err := c.start(t.Context()); err != nil {
		t.Fatalf("start the control plane: %v", err)
	}
	return c
}

// Tool gives the path of a binary that the control plane was built with: kubectl, say.
func (c *Cluster) Tool(name string) string { return filepath.Join(c.tools, name) }

// Service gives the address that a Service may have as its clusterIP, and where a webhook of the
// test listens for it: host 2 to 250, the lower ones being taken.
func (c *Cluster) Service(host int) string { return c.network.Address(0, host) }

// StopAPIServer kills the API server, as a crash does. What is stored stays.
func (c *Cluster) StopAPIServer(t testing.TB) {
	t.Helper()
	c.kill("kube-apiserver")
}

// StartAPIServer starts it again at the same address and waits until it is ready.
func (c *Cluster) StartAPIServer(t testing.TB) {
	t.Helper()
	if err := c.startAPIServer(t.Context()); err != nil {
		t.Fatalf("start the API server again: %v", err)
	}
}

func (c *Cluster) start(ctx context.Context) error {
	peer, err := loopback.FreePort(c.network.Address(1, 1))
	if err != nil {
		return err
	}
	client, err := loopback.FreePort(c.network.Address(1, 1))
	if err != nil {
		return err
	}
	c.etcd = "http://" + client
	// server is the name that the go command gives etcd's module.
	if err := c.run("server", "--name=test", "--data-dir="+c.path("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls="+c.etcd, "--advertise-client-urls="+c.etcd,
		"--listen-peer-urls=http://"+peer, "--initial-advertise-peer-urls=http://"+peer,
		"--initial-cluster=test=http://"+peer, "--log-level=warn"); err != nil {
		return err
	}
	if err := c.startAPIServer(ctx); err != nil {
		return err
	}
	if c.options.Controllers {
		return c.startControllers(ctx)
	}
	return c.createDefaultServiceAccount(ctx)
}

func (c *Cluster) startAPIServer(ctx context.Context) error {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(c.URL, "https://"))
	if err != nil {
		return err
	}
	args := []string{
		"--etcd-servers=" + c.etcd,
		"--bind-address=" + host, "--secure-port=" + port, "--advertise-address=" + host,
		"--tls-cert-file=" + c.path("apiserver.crt"), "--tls-private-key-file=" + c.path("apiserver.key"),
		"--client-ca-file=" + c.path("ca.crt"), "--token-auth-file=" + c.path("tokens.csv"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.path("serviceaccounts.key"),
		"--service-account-signing-key-file=" + c.path("serviceaccounts.key"),
		"--service-cluster-ip-range=" + c.network.Address(0, 0) + "/24",
		// Endpoints may not lie on loopback; nobody asks for those of the API server.
		"--endpoint-reconciler-type=none",
		"--authorization-mode=RBAC", "--allow-privileged=true", "--profiling=false",
	}
	if err := c.run("kube-apiserver", append(args, c.options.APIServer...)...); err != nil {
		return err
	}
	return c.await(ctx, "kube-apiserver", func(ctx context.Context) error {
		return c.ask(ctx, "/readyz")
	})
}

func (c *Cluster) startControllers(ctx context.Context) error {
	kubeconfig, err := c.kubeconfig("system:kube-controller-manager", c.client("system:kube-controller-manager"))
	if err != nil {
		return err
	}
	if err := c.run("kube-controller-manager", "--kubeconfig="+kubeconfig, "--leader-elect=false",
		"--use-service-account-credentials", "--root-ca-file="+c.path("ca.crt"),
		"--service-account-private-key-file="+c.path("serviceaccounts.key"), "--secure-port=0",
		"--controllers="+strings.Join(controllers(), ",")); err != nil {
		return err
	}
	return c.await(ctx, "kube-controller-manager", func(ctx context.Context) error {
		return c.ask(ctx, "/api/v1/namespaces/default/serviceaccounts/default")
	})
}

// controllers are those that make Pods, and what such objects need to come and go. There are no
// nodes, volumes or endpoints to look after.
func controllers() []string {
	return []string{
		"deployment-controller", "replicaset-controller", "replicationcontroller-controller",
		"statefulset-controller", "daemonset-controller", "job-controller", "cronjob-controller",
		"serviceaccount-controller", "serviceaccount-token-controller", "root-ca-certificate-publisher-controller",
		"clusterrole-aggregation-controller", "namespace-controller", "garbage-collector-controller",
		"resourcequota-controller", "disruption-controller", "ttl-after-finished-controller",
		"validatingadmissionpolicy-status-controller",
	}
}

// ask wants 200 of the API server.
func (c *Cluster) ask(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	roots := x509.NewCertPool()
	roots.AddCert(c.Authority.certificate)
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		return fmt.Errorf("%s: got %s: %s", path, response.Status, body)
	}
	return nil
}

// await asks until there is no error, the component ends, or patience does.
func (c *Cluster) await(ctx context.Context, name string, ask func(context.Context) error) error {
	return c.running[name].Await(ctx, ask)
}

// run starts a component of the control plane.
func (c *Cluster) run(name string, args ...string) error {
	p, err := process.Start(c.Dir, name, c.Tool(name), args...)
	if err == nil {
		c.running[name] = p
	}
	return err
}

// kill ends a component. On SIGTERM the API server would wait for those who watch.
func (c *Cluster) kill(name string) {
	if p, ok := c.running[name]; ok {
		p.Kill()
		delete(c.running, name)
	}
}

// stop ends everything, and shows the ends of the logs if the test failed.
func (c *Cluster) stop(t testing.TB) {
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "server"} {
		if p, ok := c.running[name]; ok {
			p.Stop(t)
		}
	}
}

func (c *Cluster) path(name string) string { return filepath.Join(c.Dir, name) }

func (c *Cluster) write(name string, content []byte) error {
	return os.WriteFile(c.path(name), content, 0o600)
}
