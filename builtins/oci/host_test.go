package oci_test

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
)

// newTLS is a fake that speaks TLS as example.com, the option that trusts it and the one that finds it.
func newTLS(t *testing.T) (f *fake, trust, dns oci.Option) {
	t.Helper()
	f = bareFake()
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.StartTLS()
	t.Cleanup(f.Close)
	roots := x509.NewCertPool()
	roots.AddCert(f.Certificate())
	return f, oci.WithRootCAs(roots), oci.WithResolver(resolver(map[string]string{"example.com": "127.0.0.1"}))
}

func TestForbiddenLoopback(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	c, err := oci.New()
	if err != nil {
		t.Fatal(err)
	}
	refused(t, c, ref, oci.ForbiddenHost, f.host(), "127.0.0.1")
	byName := strings.Replace(ref, "127.0.0.1", "localhost", 1)
	refused(t, c, byName, oci.ForbiddenHost, "localhost", "private registries are not allowed")
	if got := f.requests(); len(got) != 0 {
		t.Errorf("got requests %q, want none", got)
	}
}

func TestForbiddenMetadataAddress(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"169.254.169.254", "169.254.169.254:80", "[fd00:ec2::254]:80", "100.100.100.200", "[::ffff:169.254.169.254]:80",
		"[64:ff9b::a9fe:a9fe]:80", "0.0.0.0:5000", "[::]:5000", "224.0.0.1:80", "255.255.255.255:80", "[fe80::1]:80",
	} {
		refused(t, newClient(t), host+"/org/app@sha256:"+strings.Repeat("0", 64), oci.ForbiddenHost, "never dialled")
	}
}

func TestForbiddenRedirect(t *testing.T) {
	t.Parallel()
	for _, to := range []string{
		"http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://[fd00:ec2::254]/", "http://[fe80::1%25eth0]/",
		"http://0.0.0.0/", "file:///etc/passwd", "gopher://example.com/",
	} {
		for _, part := range []string{"/v2/", "/manifests/", "/blobs/"} {
			f := newFake(t)
			ref, _ := f.signed(t, "org/app")
			f.on(part, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", to)
				w.WriteHeader(http.StatusTemporaryRedirect)
			})
			refusedAt(t, part, newClient(t), ref, oci.ForbiddenHost)
		}
	}
}

func TestForbiddenTokenRealm(t *testing.T) {
	t.Parallel()
	for _, realm := range []string{
		"http://169.254.169.254/token", "http://[::ffff:169.254.169.254]/token", "http://10.0.0.1/token", "file:///token",
		"http://127.0.0.1:1/token",
	} {
		f := newFake(t)
		ref, _ := f.signed(t, "org/app")
		f.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Bearer service="x",realm="`+realm+`"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		})
		refused(t, newClient(t), ref, oci.ForbiddenHost)
	}
}

func TestForbiddenTokenRedirect(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			http.Redirect(w, r, "http://169.254.169.254/token", http.StatusTemporaryRedirect)
			return true
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+f.URL+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	refused(t, newClient(t), ref, oci.ForbiddenHost, "169.254.169.254")
}

func TestForbiddenStepDownFromTLS(t *testing.T) {
	t.Parallel()
	plain := newFake(t)
	plain.signed(t, "org/app")
	for _, part := range []string{"/v2/", "/manifests/", "/blobs/"} {
		f, trust, dns := newTLS(t)
		ref, _ := f.signed(t, "org/app")
		ref = strings.Replace(ref, "127.0.0.1", "example.com", 1)
		if _, err := newClient(t, trust, dns).Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil {
			t.Fatal(err)
		}
		f.on(part, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, plain.URL+r.URL.Path, http.StatusTemporaryRedirect)
		})
		refusedAt(t, part, newClient(t, trust, dns), ref, oci.ForbiddenHost, "want https")
	}
	if got := plain.requests(); len(got) != 0 {
		t.Errorf("got requests %q, want none", got)
	}
}

// TestForbiddenPlainHTTPToNamesThatBeginLikeAddresses: they are names, and names are asked over TLS alone.
func TestForbiddenPlainHTTPToNamesThatBeginLikeAddresses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"127.0.0.1.evil.example", "10.0.0.1.evil.example", "localhost.evil.example"} {
		f := newFake(t)
		ref, _ := f.signed(t, "org/app")
		dns := oci.WithResolver(resolver(map[string]string{name: "127.0.0.1"}))
		refused(t, newClient(t, dns), strings.Replace(ref, "127.0.0.1", name, 1), oci.Unreachable, name)
		if got := f.requests(); len(got) != 0 {
			t.Errorf("%s: got requests %q over plain http, want none", name, got)
		}
	}
}

func TestRefuseUnknownAuthority(t *testing.T) {
	t.Parallel()
	f, _, dns := newTLS(t)
	ref, _ := f.signed(t, "org/app")
	refused(t, newClient(t, dns), strings.Replace(ref, "127.0.0.1", "example.com", 1), oci.Unreachable, "certificate")
	if got := f.requests(); len(got) != 0 {
		t.Errorf("got requests %q, want none", got)
	}
}

// TestForbiddenAddressBehindAName: the guard acts after DNS, on registries, redirects and token realms.
func TestForbiddenAddressBehindAName(t *testing.T) {
	t.Parallel()
	dns := oci.WithResolver(resolver(map[string]string{
		"metadata.example": "169.254.169.254", "internal.example": "10.1.2.3", "mapped.example": "::ffff:169.254.169.254",
	}))
	open, err := oci.New(dns)
	if err != nil {
		t.Fatal(err)
	}
	missing := "/org/app@sha256:" + strings.Repeat("0", 64)
	refused(t, open, "internal.example"+missing, oci.ForbiddenHost, "internal.example:443", "10.1.2.3")
	refused(t, open, "metadata.example"+missing, oci.ForbiddenHost, "metadata.example:443", "169.254.169.254")
	for _, host := range []string{"metadata.example", "mapped.example"} {
		f := newFake(t)
		ref, _ := f.signed(t, "org/app")
		f.on("/blobs/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+host+"/latest", http.StatusTemporaryRedirect)
		})
		refusedLayers(t, newClient(t, dns), ref, oci.ForbiddenHost, host, "169.254.169.254")
		f.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://`+host+`/token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		})
		refused(t, newClient(t, dns), ref, oci.ForbiddenHost, host, "169.254.169.254")
	}
}

func TestRefuseRedirectLoop(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	f.on("/blobs/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	})
	refusedLayers(t, newClient(t), ref, oci.Malformed, "redirects")
	if got := f.requests(); len(got) != 8 {
		t.Errorf("got %d requests, want ping, manifest, blob and five redirects", len(got))
	}
}

// AUTH-7: a registry is asked itself, whatever mirror or proxy there is.
// TestProxiesAreNotUsed cannot be parallel: it sets the environment.
func TestProxiesAreNotUsed(t *testing.T) {
	proxy, f := newFake(t), newFake(t)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	// net/http never proxies loopback hosts, so ask for one that is not, and is refused by the guard.
	refused(t, newClient(t), "169.254.169.254/app@sha256:"+strings.Repeat("0", 64), oci.ForbiddenHost)
	ref, _ := f.signed(t, "org/app")
	if _, err := newClient(t).Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil {
		t.Error(err)
	}
	if got := proxy.requests(); len(got) != 0 {
		t.Errorf("got requests %q at the proxy, want none", got)
	}
}
