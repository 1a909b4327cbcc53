package e2e_test

import (
	"bytes"
	"crypto/tls"
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

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/e2e/service"
)

// identified is an API server that shows a certificate, and assay that wants one.
type identified struct {
	cluster *cluster.Cluster
	dir     string // what the documentation has in /etc/kubernetes/assay
	replica string // host:port
	said    *log
}

// TestOnlyTheAPIServerIsAnswered, by the client certificate which docs/cluster.md says how to give
// to it, and nobody else is.
func TestOnlyTheAPIServerIsAnswered(t *testing.T) {
	t.Parallel()
	clients, err := cluster.NewAuthority("clients of assay")
	check(t, err)
	strangers, err := cluster.NewAuthority("clients of somebody else")
	check(t, err)
	i := identify(t, clients)

	c := i.cluster
	c.Namespace(t, "shop", "policy.sigstore.dev/include=true")
	eventually(t, i.said, "the API server is answered", "pod/app created", func() string { return i.run(t, "app", admitted) })
	if got := i.run(t, "other", strings.Replace(admitted, "app", "other", 1)); !strings.Contains(got, "no matching policies: spec.containers[0].image") {
		t.Errorf("got %q for an image without a policy, want assay's denial", got)
	}

	for _, tt := range []struct {
		name string
		by   *cluster.Authority
		want string
	}{
		{"one of that CA is answered", clients, "200 OK: "},
		{"nobody without a certificate", nil, `"client certificate: got none, want one of the configured CA","code":401}`},
		{"nobody with one of another CA", strangers, "tls: "},
		{"nobody with one of the cluster's CA", c.Authority, "tls: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{"/validate", "/mutate"} {
				if got := i.ask(t, tt.by, path); !strings.Contains(got, tt.want) {
					t.Errorf("%s: got %q, want %q", path, got, tt.want)
				}
			}
		})
	}
	// Another certificate in the place of the first, of a CA that assay does not know.
	i.show(t, strangers)
	c.StopAPIServer(t)
	c.StartAPIServer(t)
	eventually(t, i.said, "an API server with a certificate of another CA is refused", `failed calling webhook "policy.sigstore.dev"`, func() string {
		return i.run(t, "late", admitted)
	})
}

// identify starts the API server with the files of the documentation, and assay with the CA.
func identify(t *testing.T, clients *cluster.Authority) *identified {
	t.Helper()
	i := &identified{dir: t.TempDir()}
	for name, of := range map[string]string{"admission.yaml": "kind: AdmissionConfiguration", "kubeconfig.yaml": "kind: Config\nusers:"} {
		text := strings.ReplaceAll(documented(t, of), "/etc/kubernetes/assay", i.dir)
		check(t, os.WriteFile(filepath.Join(i.dir, name), []byte(text), 0o600))
	}
	i.show(t, clients)
	i.cluster = cluster.Start(t, cluster.Options{
		APIServer: []string{"--admission-control-config-file=" + filepath.Join(i.dir, "admission.yaml")},
	})
	address := i.cluster.Service(webhook)
	front, err := service.Listen(address + ":443")
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("listen at the address of a Service: %v; run as root, or set net.ipv4.ip_unprivileged_port_start", err)
	}
	check(t, err)
	t.Cleanup(front.Close)
	i.serve(t, clients, front)
	i.install(t, address)
	return i
}

// show gives the API server a certificate.
func (i *identified) show(t *testing.T, by *cluster.Authority) {
	t.Helper()
	certificate, key, err := by.Client("kube-apiserver")
	check(t, err)
	check(t, os.WriteFile(filepath.Join(i.dir, "client.crt"), certificate, 0o600))
	check(t, os.WriteFile(filepath.Join(i.dir, "client.key"), key, 0o600))
}

// documented is the YAML of docs/cluster.md that has the text.
func documented(t *testing.T, of string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/cluster.md")
	check(t, err)
	for block := range strings.SplitSeq(string(page), "```yaml\n") {
		if text, _, found := strings.Cut(block, "```"); found && strings.Contains(text, of) {
			return text
		}
	}
	t.Fatalf("docs/cluster.md: got no YAML with %q, want some", of)
	return ""
}

// serve starts assay, in a place where it has a policy.
func (i *identified) serve(t *testing.T, clients *cluster.Authority, front *service.Service) {
	t.Helper()
	assay, err := buildAssay(t.Context())
	check(t, err)
	dir := t.TempDir()
	authority, err := cluster.NewAuthority("webhooks of a test")
	check(t, err)
	certificate, key, err := authority.Server("webhook.cosign-system.svc")
	check(t, err)
	for name, content := range map[string][]byte{
		"tls.crt": certificate, "tls.key": key, "clients.pem": clients.PEM, "policy.yaml": []byte(passes), "authority.pem": authority.PEM,
	} {
		check(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	check(t, os.WriteFile(filepath.Join(i.dir, "authority.pem"), authority.PEM, 0o600))
	i.replica, i.said = i.cluster.Service(webhook+1)+":8443", newLog()
	command := exec.Command(assay, "serve", "--policy", "policy.yaml", "--addr", i.replica, "--tls-cert", "tls.crt", "--tls-key", "tls.key", "--client-ca", "clients.pem")
	command.Dir, command.Stderr = dir, i.said
	check(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
	})
	front.Add(i.replica)
	eventually(t, i.said, "assay is ready", "1", func() string { return fmt.Sprint(front.Ready()) })
}

// install registers the webhooks.
func (i *identified) install(t *testing.T, address string) {
	t.Helper()
	authority, err := os.ReadFile(filepath.Join(i.dir, "authority.pem"))
	check(t, err)
	manifests, err := webhooks(address, authority)
	check(t, err)
	_, err = i.cluster.TryKubectl(t, manifests, "apply", "--filename=-")
	check(t, err)
}

// run is what kubectl is told of a Pod.
func (i *identified) run(t *testing.T, name, image string) string {
	t.Helper()
	out, err := i.cluster.TryKubectl(t, "", "run", name, "--namespace=shop", "--image="+image)
	return out + fmt.Sprint(err)
}

// ask posts a review to the replica, with a certificate of the authority if there is one, and is
// told the status and the text of the answer.
func (i *identified) ask(t *testing.T, by *cluster.Authority, path string) string {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true} // the certificate has the name of the Service
	if by != nil {
		certificate, key, err := by.Client("system:admin", "system:masters")
		check(t, err)
		pair, err := tls.X509KeyPair(certificate, key)
		check(t, err)
		// Shown whatever CAs the server says that it knows.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	response, err := client.Post("https://"+i.replica+path, "application/json", bytes.NewReader([]byte(
		`{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"},
		"resource": {"group": "", "version": "v1", "resource": "pods"}, "namespace": "shop", "operation": "CREATE",
		"object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "`+admitted+`"}]}}}}`)))
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(t, err)
	return response.Status + ": " + string(body)
}
