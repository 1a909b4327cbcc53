package oci_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/registries"
)

// configured is a client that goes by a file of registries in a directory.
func configured(t *testing.T, dir, text string, opts ...oci.Option) *oci.Client {
	t.Helper()
	config, err := registries.Parse([]byte(text), dir)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"example.com": "127.0.0.1", "other.example.com": "127.0.0.1"}
	return newClient(t, append([]oci.Option{oci.WithRegistries(config), oci.WithResolver(resolver(names))}, opts...)...)
}

func TestPlainHTTPIsForWhoIsListed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	_, port, _ := strings.Cut(f.host(), ":")
	named := strings.Replace(ref, "127.0.0.1", "example.com", 1)
	for _, tt := range []struct {
		name, text, ref string
		ok              bool
	}{
		{"a host that is not listed", "", named, false},
		{"another port", "registries: [{host: example.com, plainHTTP: true}]", named, false},
		{"another host", "registries: [{host: 'other.example.com:" + port + "', plainHTTP: true}]", named, false},
		{"a host that has an entry", "registries: [{host: 'example.com:" + port + "'}]", named, false},
		{"a near host that has an entry", "registries: [{host: '" + f.host() + "'}]", ref, false},
		{"a near host", "", ref, true},
		{"a host that is listed", "registries: [{host: 'EXAMPLE.com:" + port + "', plainHTTP: true}]", named, true},
	} {
		c := configured(t, "", tt.text)
		f.requests()
		l, err := c.Signatures(t.Context(), anonymous, tt.ref, oci.Place{})
		if (err == nil && len(l.Layers) == 1) != tt.ok {
			t.Errorf("%s: got %d layers and %v, want ok %t", tt.name, len(l.Layers), err, tt.ok)
		}
		if asked := f.requests(); !tt.ok && len(asked) > 0 {
			t.Errorf("%s: got requests %q, want none over plain HTTP", tt.name, asked)
		}
	}
	// Nor does a registry over plain HTTP lead to another that is not listed.
	f.on("/blobs/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://other.example.com:"+port+"/", http.StatusTemporaryRedirect)
	})
	refusedLayers(t, configured(t, "", "registries: [{host: 'example.com:"+port+"', plainHTTP: true}]"), named, oci.ForbiddenHost, "other.example.com", "want https")
}

// pairOf writes a certificate for clients and its key to a directory, and gives who trusts it.
func pairOf(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "assay"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, dir, "client.pem", "CERTIFICATE", der)
	writePEM(t, dir, "client-key.pem", "PRIVATE KEY", secret)
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return pool
}

func writePEM(t *testing.T, dir, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// overTLS is a registry that wants certificates of clients, if there are any to trust.
func overTLS(t *testing.T, clients *x509.CertPool) *fake {
	t.Helper()
	f := bareFake()
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	if clients != nil {
		f.TLS = &tls.Config{ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	}
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

func TestCertificatesOfARegistry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := overTLS(t, pairOf(t, dir))
	writePEM(t, dir, "ca.pem", "CERTIFICATE", f.Certificate().Raw)
	ref, layer := f.signed(t, "org/app")
	_, port, _ := strings.Cut(f.host(), ":")
	named := strings.Replace(ref, "127.0.0.1", "example.com", 1)
	all := "registries: [{host: 'example.com:" + port + "', ca: ca.pem, clientCert: client.pem, clientKey: client-key.pem}]"
	for _, tt := range []struct {
		name, text string
		ok         bool
	}{
		{"nothing is said", "", false},
		{"its authority is that of another", "registries: [{host: 'other.example.com:" + port + "', ca: ca.pem, clientCert: client.pem, clientKey: client-key.pem}]", false},
		{"it wants a certificate, and is shown none", "registries: [{host: 'example.com:" + port + "', ca: ca.pem}]", false},
		{"its authority is not known", "registries: [{host: 'example.com:" + port + "', clientCert: client.pem, clientKey: client-key.pem}]", false},
		{"all of it", all, true},
	} {
		c := configured(t, dir, tt.text)
		f.requests()
		l, err := c.Signatures(t.Context(), anonymous, named, oci.Place{})
		if (err == nil && len(l.Layers) == 1 && l.Layers[0].Err == nil) != tt.ok {
			t.Errorf("%s: got %d layers and %v, want ok %t", tt.name, len(l.Layers), err, tt.ok)
		}
		if asked := f.requests(); !tt.ok && len(asked) > 0 {
			t.Errorf("%s: got requests %q, want none", tt.name, asked)
		}
	}
	// Another registry, or a mirror, does not get to speak in our name there.
	lender := newFake(t)
	lent, _ := lender.image(t, "org/app", "v1")
	lender.attach(t, lent, ".sig", layer)
	lender.on("/blobs/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://example.com:"+port+r.URL.Path, http.StatusTemporaryRedirect)
	})
	f.requests()
	refusedLayers(t, configured(t, dir, all), lent, oci.Unreachable)
	if asked := f.requests(); len(asked) > 0 {
		t.Errorf("got requests %q with our certificate, want none", asked)
	}
	// Its authority, which is no secret, holds for where a redirect leads.
	open := overTLS(t, nil)
	writePEM(t, dir, "open.pem", "CERTIFICATE", open.Certificate().Raw)
	open.push(t, "org/app", simpleType, []byte("payload of org/app"))
	lender.on("/blobs/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, open.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	c := configured(t, dir, "registries: [{host: '"+open.host()+"', ca: open.pem}]")
	if l := payload(t, c, anonymous, lent); l.Err != nil || !cmp.Equal(string(l.Content), "payload of org/app") {
		t.Errorf("got %q and %v, want it from where the redirect leads", l.Content, l.Err)
	}
}
