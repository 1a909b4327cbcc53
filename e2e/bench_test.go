package e2e_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/e2e/service"
	"github.com/assay-dev/assay/world"
)

// installation is a cluster with two replicas of assay, for benchmarks.
type installation struct {
	cluster  *cluster.Cluster
	client   dynamic.Interface
	world    *world.World
	replicas []string // addresses
	commands []*exec.Cmd
}

// signedBy describes a world of one image that has a signature.
const signedBy = "signers: {jane: {issuer: https://issuer.example, subject: jane@example.com}}\n" +
	"images: {app: {repository: acme/app, signatures: [{signer: jane}]}}\n"

// installed starts it, with the images of a world. The Service has the webhooks of the chart.
func installed(b *testing.B, images string) *installation {
	b.Helper()
	assay, err := buildAssay(b.Context())
	check(b, err)
	i := &installation{cluster: cluster.Start(b, cluster.Options{})}
	config, err := clientcmd.BuildConfigFromFlags("", i.cluster.Kubeconfig)
	check(b, err)
	config.QPS = -1
	i.client, err = dynamic.NewForConfig(config)
	check(b, err)
	description, err := world.Parse([]byte(images))
	check(b, err)
	i.world, err = world.New(description)
	check(b, err)
	b.Cleanup(func() { _ = i.world.Close() })
	root, err := i.world.TrustedRoot()
	check(b, err)
	dir := b.TempDir()
	authority, err := cluster.NewAuthority("webhooks of a benchmark")
	check(b, err)
	certificate, key, err := authority.Server("webhook.cosign-system.svc")
	check(b, err)
	for name, data := range map[string][]byte{"root.json": root, "tls.crt": certificate, "tls.key": key} {
		check(b, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	address := i.cluster.Service(webhook)
	endpoints, err := service.Listen(address + ":443")
	check(b, err)
	b.Cleanup(endpoints.Close)
	i.cluster.Kubectl(b, "apply", "--filename=../deploy/crds")
	for n := range 2 {
		at := i.cluster.Service(webhook+1+n) + ":8443"
		command := exec.Command(assay, "serve", "--kubeconfig", i.cluster.Kubeconfig, "--addr", at, "--trusted-root", "root.json",
			"--tls-cert", "tls.crt", "--tls-key", "tls.key", "--allow-private-registries")
		command.Dir = dir
		check(b, command.Start())
		b.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
		i.replicas, i.commands = append(i.replicas, at), append(i.commands, command)
		endpoints.Add(at)
	}
	waitUntil(b, "both replicas ready", func() bool { return endpoints.Ready() == 2 })
	manifests, err := webhooks(address, authority.PEM)
	check(b, err)
	_, err = i.cluster.TryKubectl(b, manifests, "apply", "--filename=-")
	check(b, err)
	return i
}

func check(b testing.TB, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func waitUntil(b testing.TB, what string, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			b.Fatalf("%s: not within %s", what, patience)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// policy applies a ClusterImagePolicy.
func (i *installation) policy(b testing.TB, name, glob, authority string) {
	b.Helper()
	object := &unstructured.Unstructured{}
	check(b, json.Unmarshal([]byte(`{"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": "`+name+`"},
		"spec": {"images": [{"glob": "`+glob+`"}], "authorities": [`+authority+`]}}`), &object.Object))
	_, err := i.client.Resource(schema.GroupVersionResource{Group: "policy.sigstore.dev", Version: "v1alpha1", Resource: "clusterimagepolicies"}).
		Create(b.Context(), object, metav1.CreateOptions{})
	check(b, err)
}

func (i *installation) pod(b testing.TB, namespace string) error {
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"generateName": "p-"},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": i.world.Expand("${app@}")}}},
	}}
	_, err := i.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(namespace).
		Create(b.Context(), pod, metav1.CreateOptions{})
	return err
}

// BenchmarkAdmissions creates Pods through assay and through webhooks that do nothing, in
// turn: the ratio is what deciding costs beside calling. Run it with -benchtime 20x or more.
func BenchmarkAdmissions(b *testing.B) {
	i := installed(b, signedBy)
	i.cluster.Namespace(b, "judged", "policy.sigstore.dev/include=true")
	i.cluster.Namespace(b, "noop", "noop=true")
	noop(b, i.cluster)
	i.policy(b, "signed", i.world.Registry()+"/**", `{"keyless": {"identities": [{"issuer": "https://issuer.example", "subject": "jane@example.com"}]}}`)
	waitUntil(b, "the policy in force", func() bool { return i.pod(b, "judged") == nil })
	const chunk, workers = 40, 4
	create := func(namespace string) time.Duration {
		start := time.Now()
		var work sync.WaitGroup
		for range workers {
			work.Go(func() {
				for range chunk / workers {
					if err := i.pod(b, namespace); err != nil {
						b.Errorf("%s: %v", namespace, err)
					}
				}
			})
		}
		work.Wait()
		return time.Since(start)
	}
	create("judged")
	create("noop")
	var judged, nothing time.Duration
	pods := 0
	for b.Loop() {
		judged += create("judged")
		nothing += create("noop")
		pods += chunk
	}
	b.ReportMetric(float64(pods)/judged.Seconds(), "pods/s")
	b.ReportMetric(float64(pods)/nothing.Seconds(), "noop-pods/s")
	b.ReportMetric(judged.Seconds()/nothing.Seconds(), "ratio")
	b.ReportMetric(i.resident(b, "VmRSS:"), "MB")
}

// noop registers webhooks that admit everything, mutating and validating, in namespaces
// with the label noop.
func noop(b *testing.B, c *cluster.Cluster) {
	b.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct{ Request struct{ UID string } }
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": %q, "allowed": true}}`, review.Request.UID)
	}))
	b.Cleanup(server.Close)
	bundle := base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\n" +
		base64.StdEncoding.EncodeToString(server.Certificate().Raw) + "\n-----END CERTIFICATE-----\n"))
	var manifests strings.Builder
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		fmt.Fprintf(&manifests, `{apiVersion: admissionregistration.k8s.io/v1, kind: %s, metadata: {name: noop}, webhooks: [{
  name: noop.example.com, clientConfig: {url: %q, caBundle: %q}, sideEffects: None, admissionReviewVersions: [v1],
  namespaceSelector: {matchLabels: {noop: "true"}},
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}]}
---
`, kind, server.URL+"/", bundle)
	}
	_, err := c.TryKubectl(b, manifests.String(), "apply", "--filename=-")
	check(b, err)
	c.Kubectl(b, "get", "mutatingwebhookconfiguration", "noop")
}

// BenchmarkEnforcement says how long after a ClusterImagePolicy was created both replicas
// judge by it, and how much memory a thousand of them take.
func BenchmarkEnforcement(b *testing.B) {
	for _, policies := range []int{0, 1000} {
		b.Run(fmt.Sprint(policies), func(b *testing.B) {
			i := installed(b, signedBy)
			for n := range policies {
				i.policy(b, fmt.Sprintf("old-%d", n), fmt.Sprintf("old%d.example/**", n), `{"static": {"action": "fail"}}`)
			}
			if policies > 0 {
				i.enforced(b, fmt.Sprintf("old-%d", policies-1), fmt.Sprintf("old%d.example/app", policies-1))
			}
			n := 0
			for b.Loop() {
				name, host := fmt.Sprintf("new-%d", n), fmt.Sprintf("new%d.example", n)
				i.policy(b, name, host+"/**", `{"static": {"action": "fail"}}`)
				i.enforced(b, name, host+"/app")
				n++
			}
			b.ReportMetric(i.resident(b, "VmRSS:"), "MB")
		})
	}
}

// enforced waits until each replica denies the image by the policy.
func (i *installation) enforced(b *testing.B, policy, image string) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // its name is the Service's
	defer client.CloseIdleConnections()
	review := `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"},
		"resource": {"group": "", "version": "v1", "resource": "pods"}, "namespace": "default", "operation": "CREATE",
		"object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "` +
		image + `@sha256:` + strings.Repeat("0", 64) + `"}]}}}}`
	for _, replica := range i.replicas {
		waitUntil(b, policy+" in force", func() bool {
			response, err := client.Post("https://"+replica+"/validate", "application/json", bytes.NewReader([]byte(review)))
			if err != nil {
				return false
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			return err == nil && strings.Contains(string(body), "failed policy: "+policy+":")
		})
	}
}
