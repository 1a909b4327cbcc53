package images

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/pullsecret"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
)

// answering is a registry that gives every question one answer, but for a ping.
func answering(t *testing.T, status int) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func asking(t *testing.T, options Options) asker {
	t.Helper()
	out, err := look{options: options}.asker()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWhyAnImageIsNotToBeHad is told apart: each is mended elsewhere.
func TestWhyAnImageIsNotToBeHad(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for _, tt := range []struct {
		name, host string
		public     bool
		status     finding.Status
		message    string
		fix        string
	}{
		{"no credentials", answering(t, http.StatusUnauthorized), false, finding.Failure, "status 401", "kubectl create secret docker-registry"},
		{"no right", answering(t, http.StatusForbidden), false, finding.Failure, "status 403", "the right to pull this repository"},
		{"too many", answering(t, http.StatusTooManyRequests), false, finding.Failure, "status 429", "a mirror"},
		{"no such tag", answering(t, http.StatusNotFound), false, finding.Failure, "status 404", "check the name"},
		{"it is broken", answering(t, http.StatusBadGateway), false, finding.Failure, "status 502", "is the registry up"},
		{"nobody is there", strings.TrimPrefix(closed.URL, "http://"), false, finding.Failure, "connection refused", "is the registry up"},
		{"no such host", "registry.invalid", false, finding.Failure, "registry.invalid", "DNS"},
		{"it is not dialled", answering(t, http.StatusOK), true, finding.Failure, "private registries are not allowed", "--allow-private-registries"},
		{"whom nobody knows", "localhost.localdomain.invalid:x", false, finding.Failure, "reference", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := asking(t, Options{Private: !tt.public}).image(t.Context(), oci.Credentials{}, tt.host+"/acme/app:v1", true)
			if got.Status != tt.status || !strings.Contains(got.Message, tt.message) || !strings.Contains(got.Fix, tt.fix) {
				t.Errorf("got %+v, want %s with %q, and to do %q", got, tt.status, tt.message, tt.fix)
			}
		})
	}
}

// TestTLSErrors are those of registries that are not near, which nobody asks without TLS.
func TestTLSErrors(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"an authority that nobody knows": &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
		"no TLS":                         tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"},
		"HTTP":                           errors.New("http: server gave HTTP response to HTTPS client"),
	} {
		refused := edge.Refusal("registry r.example", &url.Error{Op: "Get", URL: "https://r.example/v2/", Err: cause})
		if got := judgeRegistry("image a", "r.example", true, refused); got.Status != finding.Failure || !strings.Contains(got.Fix, "TLS: ") {
			t.Errorf("%s: got %+v, want it to be of TLS", name, got)
		}
	}
}

// TestTLS: an authority that nobody knows is told apart, and the file of registries names it.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "jane" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="a"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = w.Write([]byte(`{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}`))
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	image := host + "/acme/app:v1"
	if got := asking(t, Options{Private: true}).image(t.Context(), oci.Credentials{}, image, true); !strings.Contains(got.Fix, "TLS: its certificate is not believed") {
		t.Errorf("got %+v, want it to say whose certificate is not believed", got)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"ca.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), "registries.yaml": []byte("registries: [{host: '" + host + "', ca: ca.pem}]\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := asking(t, Options{Private: true, Registries: filepath.Join(dir, "registries.yaml")})
	if got := a.image(t.Context(), oci.Credentials{}, image, true); !strings.Contains(got.Message, "401") || !strings.Contains(got.Fix, "--docker-server="+host) {
		t.Errorf("got %+v, want the status", got)
	}
	credentials, err := pullsecret.Credentials("shop", []pullsecret.Secret{{
		Name: "pull", Type: "kubernetes.io/dockerconfigjson",
		Data: map[string][]byte{".dockerconfigjson": []byte(`{"auths": {"` + host + `": {"username": "jane", "password": "secret"}}}`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := a.image(t.Context(), credentials, image, true)
	if got.Status != finding.Fine || !strings.Contains(got.Message, "sha256:") || strings.Contains(got.Message, "secret") {
		t.Errorf("got %+v, want the digest", got)
	}
	if clocks := a.clock(t.Context(), host); len(clocks) != 1 || clocks[0].Status != finding.Fine {
		t.Errorf("got %+v, want the clock of the registry", clocks)
	}
}

// TestRegistriesOfClouds: the token that assay asks them with is not had here, and what anybody
// is answered says nothing of what assay is.
func TestRegistriesOfClouds(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"who asks anonymously is refused": http.StatusUnauthorized, "who asks anonymously is answered": http.StatusOK} {
		host := answering(t, status)
		a := asking(t, Options{Private: true, Clouds: []string{host}})
		got := a.image(t.Context(), oci.Credentials{}, host+"/acme/app:v1", true)
		if got.Status != finding.Unknown || !strings.Contains(got.Message, "--cloud-credentials lists "+host) || strings.Contains(got.Fix, "create secret") {
			t.Errorf("%s: got %+v, want it not checked, and why", name, got)
		}
	}
	other := asking(t, Options{Private: true, Clouds: []string{"gcr.io"}})
	if got := other.image(t.Context(), oci.Credentials{}, answering(t, http.StatusUnauthorized)+"/acme/app:v1", true); got.Status != finding.Failure {
		t.Errorf("a registry that is not listed: got %+v, want a failure", got)
	}
}

// TestNobodyKnowsWhatTheDeploymentSays: then what is not dialled here, or not with the token of
// a cloud, may be there.
func TestNobodyKnowsWhatTheDeploymentSays(t *testing.T) {
	t.Parallel()
	for name, private := range map[string]bool{"it is not dialled": false, "no credentials": true} {
		got := asking(t, Options{Private: private}).image(t.Context(), oci.Credentials{}, answering(t, http.StatusUnauthorized)+"/acme/app:v1", false)
		if got.Status != finding.Unknown {
			t.Errorf("%s: got %+v, want it not checked", name, got)
		}
	}
}

func TestImagesOfAPod(t *testing.T) {
	t.Parallel()
	var pod shape.Pod
	if err := yaml.Unmarshal([]byte(`
metadata: {name: web, namespace: shop}
spec:
  initContainers: [{image: a}]
  containers: [{image: b}, {image: a}]
  ephemeralContainers: [{image: c}]
  volumes: [{name: none, emptyDir: {}}, {name: image, image: {reference: d}}]
  imagePullSecrets: [{name: pull}]
`), &pod); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, imagesOf(pod)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	if got := tenantOf(pod); got.ServiceAccount != "default" || len(got.PullSecrets) != 1 {
		t.Errorf("got %+v, want the default ServiceAccount", got)
	}
	if diff := cmp.Diff([]string{"index.docker.io", "ghcr.io"}, hostsOf([]string{"nginx", "ghcr.io/a/b:v1", "redis", "::"})); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}
