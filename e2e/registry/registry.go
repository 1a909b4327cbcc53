// Package registry runs a registry for a test, as a process of the test on loopback: Debian's
// docker-registry (Distribution 2.8), with TLS and, if asked, a user and a password. It does not know
// the referrers API: clients fall back to tags.
package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"
	"sigs.k8s.io/yaml"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/e2e/loopback"
	"github.com/assay-dev/assay/e2e/process"
)

// Registry is one that runs.
type Registry struct {
	// Host is host:port.
	Host string
	// Roots is a PEM file of those who signed its certificate.
	Roots string
	// Transport knows them.
	Transport http.RoundTripper

	process *process.Process
}

// Down ends it, and the connections that it has.
func (r *Registry) Down() { r.process.Kill() }

// User may pull and push, and nobody else may, where there is one.
type User struct{ Name, Password string }

// Start starts one and returns when it is ready. Where docker-registry is not installed it skips
// the test, unless ASSAY_E2E_REGISTRY says that it is required.
func Start(t testing.TB, user *User) *Registry {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	switch {
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("ASSAY_E2E_REGISTRY") != "required":
		t.Skip("docker-registry is not installed: apt-get install docker-registry")
	case err != nil:
		t.Fatal(err)
	}
	network, err := loopback.Claim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Release)
	address, dir := network.Address(1, 1), t.TempDir()
	host, err := loopback.FreePort(address)
	if err != nil {
		t.Fatal(err)
	}
	r := &Registry{Host: host, Roots: filepath.Join(dir, "ca.crt")}
	if err := r.prepare(dir, address, user); err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(dir, "docker-registry", program, "serve", filepath.Join(dir, "config.yml"))
	if err != nil {
		t.Fatal(err)
	}
	r.process = p
	t.Cleanup(func() { p.Stop(t) })
	if err := p.Await(t.Context(), r.ask); err != nil {
		t.Fatal(err)
	}
	return r
}

type object = map[string]any

// prepare writes its certificate, passwords and configuration.
func (r *Registry) prepare(dir, address string, user *User) error {
	authority, err := cluster.NewAuthority("registry of a test")
	if err != nil {
		return err
	}
	certificate, key, err := authority.Server(address)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.PEM)
	r.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	config := object{
		"version": "0.1", "log": object{"level": "error", "accesslog": object{"disabled": true}},
		"storage": object{"filesystem": object{"rootdirectory": filepath.Join(dir, "data")}},
		"http": object{"addr": r.Host, "tls": object{
			"certificate": filepath.Join(dir, "tls.crt"), "key": filepath.Join(dir, "tls.key"),
		}},
	}
	files := map[string][]byte{"ca.crt": authority.PEM, "tls.crt": certificate, "tls.key": key}
	if user != nil {
		hash, err := bcrypt.GenerateFromPassword([]byte(user.Password), bcrypt.MinCost)
		if err != nil {
			return err
		}
		files["htpasswd"] = fmt.Appendf(nil, "%s:%s\n", user.Name, hash)
		config["auth"] = object{"htpasswd": object{"realm": "test", "path": filepath.Join(dir, "htpasswd")}}
	}
	if files["config.yml"], err = yaml.Marshal(config); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// ask wants an answer, whatever it is: without a user and a password it may be 401.
func (r *Registry) ask(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+r.Host+"/v2/", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: r.Transport}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
