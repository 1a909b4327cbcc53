// Package certificates_test shows on a real API server that webhooks stay reachable while
// their certificates and CAs are replaced, and what becomes of what others write.
package certificates_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/certificate"
)

// patience is for a machine that does other things as well.
const patience = time.Minute

// lag is more than the API server takes to see what was written to it.
const lag = 5 * time.Second

// eventually waits for what comes by itself.
func eventually(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Since(begun) > patience {
			t.Fatalf("%s: not within %v", what, patience)
		}
		<-tick.C
	}
	return time.Since(begun)
}

// log is what was logged.
type log struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.String()
}

// installation is a cluster that asks us.
type installation struct {
	*cluster.Cluster
	client *kube.Client // with our rights
	admin  *kube.Client
	log    log
	// replicas are asked in turn.
	replicas []*certificate.Keeper
	asked    atomic.Uint64
}

// installed has everything but rights.
func installed(t *testing.T) *installation {
	t.Helper()
	i := &installation{Cluster: cluster.Start(t, cluster.Options{})}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what was logged:\n%s", i.log.String())
		}
	})
	i.Namespace(t, "security")
	i.Namespace(t, "shop", "policy.sigstore.dev/include=true")
	i.Kubectl(t, "create", "service", "clusterip", "assay", "--namespace=security", "--tcp=8443", "--clusterip="+i.Service(10))
	i.Kubectl(t, "apply", "-f", "testdata/webhooks.yaml")
	var err error
	if i.client, err = kube.Connect(i.User(t, "assay"), "security", "e2e"); err != nil {
		t.Fatal(err)
	}
	if i.admin, err = kube.Connect(i.Kubeconfig, "security", "e2e"); err != nil {
		t.Fatal(err)
	}
	return i
}

// replica is one more, whose certificates live for so long.
func (i *installation) replica(t *testing.T, life time.Duration) *certificate.Keeper {
	t.Helper()
	k, _ := i.keeper(t, life)
	return k
}

// keeper is a replica, and what makes it blind.
func (i *installation) keeper(t *testing.T, life time.Duration) (k *certificate.Keeper, blind func()) {
	t.Helper()
	k, err := certificate.New(i.client, certificate.Options{
		Service: "assay", Authority: life, Leaf: life / 2, Lag: lag,
		Configurations: certificate.Configurations{Validating: []string{"assay"}, Mutating: []string{"assay"}},
	}, slog.New(slog.NewTextHandler(&i.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return k, running(t, k.Watch)
}

// running runs something until the test ends, or stop is called.
func running(t *testing.T, run func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// serve admits everything, with a handshake for each request, by each replica in turn.
func (i *installation) serve(t *testing.T) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", i.Service(10)+":8443")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(admit), ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	server.SetKeepAlivesEnabled(false)
	encrypted := tls.NewListener(listener, &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return i.replicas[i.asked.Add(1)%uint64(len(i.replicas))].Certificate()
		},
	})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = server.Serve(encrypted)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-stopped
	})
}

func admit(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"response": map[string]any{"uid": review.Request.UID, "allowed": true},
	})
}

// create has the API server ask all four webhooks.
func (i *installation) create(ctx context.Context) error {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"generateName": "c-"},
	}}
	_, err := i.admin.Resource(kube.ConfigMaps()).Namespace("shop").Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// load asks all the time, and fails the test when it is refused anything.
func (i *installation) load(t *testing.T) (stop func() int64) {
	t.Helper()
	var created atomic.Int64
	end := running(t, func(ctx context.Context) {
		for ctx.Err() == nil {
			switch err := i.create(ctx); {
			case err == nil:
				created.Add(1)
			case ctx.Err() == nil:
				t.Errorf("after %d requests: %v", created.Load(), err)
				return
			}
		}
	})
	return func() int64 { end(); return created.Load() }
}

func (i *installation) secret(t *testing.T, key string) string {
	t.Helper()
	return i.Kubectl(t, "get", "secret", "webhook-certs", "--namespace=security", "--ignore-not-found", "-o", `go-template={{with .data}}{{index . "`+key+`" | base64decode}}{{end}}`)
}

// authorities counts the CAs that are trusted.
func (i *installation) authorities(t *testing.T) int {
	t.Helper()
	return strings.Count(i.secret(t, "ca.crt"), "BEGIN CERTIFICATE")
}

func (i *installation) bundles(t *testing.T, kind, name string) string {
	t.Helper()
	return i.Kubectl(t, "get", kind, name, "-o", `go-template={{range .webhooks}}{{with .clientConfig.caBundle}}{{base64decode .}}{{else}}none{{end}};{{end}}`)
}

// trusted says whether all four webhooks of ours trust what the Secret says.
func (i *installation) trusted(t *testing.T) bool {
	t.Helper()
	want := strings.Repeat(i.secret(t, "ca.crt")+";", 2)
	return len(want) > 2 && i.bundles(t, "validatingwebhookconfiguration", "assay") == want && i.bundles(t, "mutatingwebhookconfiguration", "assay") == want
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	i := installed(t)
	first, second := i.replica(t, time.Hour), i.replica(t, time.Hour)
	i.replicas = []*certificate.Keeper{first, second}
	i.serve(t)
	stop := running(t, first.Run)
	problems := func() string { return fmt.Sprint(first.Problems()) }
	eventually(t, "missing rights are named", func() bool {
		return strings.Contains(problems(), `Secret security/webhook-certs: stale since `) && strings.Contains(problems(), `cannot list resource "secrets"`) &&
			strings.Contains(problems(), `cannot list resource "validatingwebhookconfigurations"`)
	})
	if got, err := first.Certificate(); err == nil || !strings.Contains(err.Error(), "list is forbidden") {
		t.Errorf("got %v, %v, want the cause", got, err)
	}
	i.Kubectl(t, "apply", "-f", "testdata/rights.yaml")
	took := eventually(t, "an admission", func() bool { return i.create(t.Context()) == nil })
	t.Logf("from the rights, which are asked for again every ten seconds, to the first admission: %v", took)
	eventually(t, "no problems", func() bool { return problems() == "[]" && i.trusted(t) && len(second.Problems()) == 0 })

	stop()
	next, other := i.replica(t, 10*time.Hour), i.replica(t, 10*time.Hour)
	stale, blind := i.keeper(t, 10*time.Hour)
	t.Run("rotation", func(t *testing.T) { testRotation(t, i, next, other, stale, blind) })
	stop = running(t, i.replicas[0].Run)
	t.Run("others", func(t *testing.T) { testOthers(t, i) })
	t.Run("file", func(t *testing.T) { testFile(t, i) })
	t.Run("outage", func(t *testing.T) { testOutage(t, i) })
	stop()
	if text := i.log.String(); strings.Contains(text, "PRIVATE") {
		t.Errorf("got a key in the log:\n%s", text)
	}
}

// Two lead at one time, who both find that everything is to be renewed, and then a third who
// was blinded before: it knows of the old CA alone.
func testRotation(t *testing.T, i *installation, next, other, stale *certificate.Keeper, blind func()) {
	old, _ := i.replicas[0].Certificate()
	before := i.secret(t, "ca.crt")
	for _, k := range []*certificate.Keeper{next, other, stale} {
		eventually(t, "the certificate is read", func() bool { _, err := k.Certificate(); return err == nil })
	}
	blind()
	i.replicas = append(i.replicas, next)
	stop, begun := i.load(t), time.Now()
	stopNext, stopOther := running(t, next.Run), running(t, other.Run)
	eventually(t, "another CA", func() bool { return i.authorities(t) == 2 })
	eventually(t, "a certificate of it", func() bool {
		got, _ := i.replicas[0].Certificate()
		return !bytes.Equal(got.Leaf.AuthorityKeyId, old.Leaf.AuthorityKeyId)
	})
	eventually(t, "no more of the old CA", func() bool { return i.authorities(t) == 1 && i.trusted(t) })
	stopNext()
	stopOther()
	t.Logf("%d requests admitted in a rotation of %v", stop(), time.Since(begun))
	stopStale := running(t, stale.Run)
	for range 100 {
		if err := i.create(t.Context()); err != nil {
			t.Fatalf("beside a leader that sees nothing: %v", err)
		}
	}
	stopStale()
	if !i.trusted(t) {
		t.Error("got a caBundle of yesterday")
	}
	if i.secret(t, "ca.crt") == before {
		t.Error("got the old CA")
	}
	for _, event := range []string{"introduced another CA", "changed to a certificate of the new CA", "retired the old CA"} {
		if got := strings.Count(i.log.String(), event); got != 1 {
			t.Errorf("%s: got it %d times, want once of two leaders", event, got)
		}
	}
	i.replicas = []*certificate.Keeper{next, other}
}

func testOthers(t *testing.T, i *installation) {
	leader := i.replicas[0]
	problems := func() string { return fmt.Sprint(leader.Problems()) }
	i.Kubectl(t, "patch", "validatingwebhookconfiguration", "assay", "--type=json", "-p", `[{"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"}]`)
	took := eventually(t, "what somebody overwrote", func() bool { return i.trusted(t) })
	t.Logf("from kubectl's end to the right caBundle: %v", took)
	if got, want := i.bundles(t, "validatingwebhookconfiguration", "stranger"), "none;"; got != want {
		t.Errorf("caBundle of another's: got %s, want %s", got, want)
	}
	i.Kubectl(t, "delete", "mutatingwebhookconfiguration", "assay")
	eventually(t, "a configuration that is missing is named", func() bool {
		return strings.Contains(problems(), "MutatingWebhookConfiguration assay: stale since ") && strings.Contains(problems(), "there is none")
	})
	i.Kubectl(t, "apply", "-f", "testdata/webhooks.yaml")
	eventually(t, "and gets its caBundle when it comes", func() bool { return i.trusted(t) && problems() == "[]" })

	serving, _ := leader.Certificate()
	before := i.secret(t, "tls.crt")
	i.Kubectl(t, "patch", "secret", "webhook-certs", "--namespace=security", "--type=merge", "-p", `{"data": {"tls.key": "Z2FyYmFnZQ=="}}`)
	eventually(t, "garbage is named", func() bool {
		return strings.Contains(problems(), "tls.crt with tls.key: tls: failed to find any PEM data")
	})
	if err := i.create(t.Context()); err != nil {
		t.Errorf("with garbage in the Secret: %v", err)
	}
	i.Kubectl(t, "patch", "validatingwebhookconfiguration", "assay", "--type=json", "-p", `[{"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"}]`)
	eventually(t, "what is trusted stays", func() bool { return i.trusted(t) })
	if got := i.secret(t, "tls.key"); got != "garbage" {
		t.Error("got it overwritten, want it to be left")
	}
	i.Kubectl(t, "annotate", "secret", "webhook-certs", "--namespace=security", "cert-manager.io/certificate-name=webhook")
	eventually(t, "cert-manager is named", func() bool { return strings.Contains(problems(), "got annotations of cert-manager") })
	i.Kubectl(t, "delete", "secret", "webhook-certs", "--namespace=security")
	eventually(t, "what was there is there again", func() bool { return i.secret(t, "tls.crt") == before && problems() == "[]" })
	if got, _ := leader.Certificate(); got != serving {
		t.Error("got another certificate, want the one that served all the time")
	}
}

// Somebody else issues the certificate, and gives its CA as a file.
func testFile(t *testing.T, i *installation) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	trust := certificate.NewTrust(i.admin, certificate.Configurations{Validating: []string{"stranger"}}, file, slog.New(slog.NewTextHandler(&i.log, nil)))
	stop := running(t, trust.Run)
	eventually(t, "a file that is missing is named", func() bool { return strings.Contains(fmt.Sprint(trust.Problems()), "no such file") })
	stop()
	if err := os.WriteFile(file, i.Authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	running(t, trust.Run)
	want := string(i.Authority.PEM) + ";"
	eventually(t, "the CA of the file", func() bool { return i.bundles(t, "validatingwebhookconfiguration", "stranger") == want })
	i.Kubectl(t, "patch", "validatingwebhookconfiguration", "stranger", "--type=json", "-p", `[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]`)
	eventually(t, "and again", func() bool { return i.bundles(t, "validatingwebhookconfiguration", "stranger") == want })
	if !i.trusted(t) {
		t.Error("got the configurations of others changed")
	}
}

func testOutage(t *testing.T, i *installation) {
	serving, _ := i.replicas[0].Certificate()
	i.StopAPIServer(t)
	eventually(t, "what is stale is named", func() bool { return len(i.replicas[0].Problems()) == 3 })
	if got, err := i.replicas[0].Certificate(); got != serving || err != nil {
		t.Errorf("got another certificate, %v", err)
	}
	i.StartAPIServer(t)
	eventually(t, "an admission", func() bool { return i.create(t.Context()) == nil })
	eventually(t, "no problems", func() bool { return len(i.replicas[0].Problems()) == 0 })
}
