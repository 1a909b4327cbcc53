package tuf

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
)

// Mirror serves a repository on loopback, counts its requests and can be down.
type Mirror struct {
	*Repository
	// URL is where it serves.
	URL string
	// Asked counts the requests, and Down refuses them.
	Asked atomic.Int64
	Down  atomic.Bool

	server *httptest.Server
}

// Serve starts a mirror of a repository. Close it.
func Serve(r *Repository) *Mirror { return serve(r, (*httptest.Server).Start) }

// ServeTLS starts one over TLS, with a certificate for 127.0.0.1.
func ServeTLS(r *Repository, certificate tls.Certificate) *Mirror {
	return serve(r, func(server *httptest.Server) {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		server.StartTLS()
	})
}

func serve(r *Repository, start func(*httptest.Server)) *Mirror {
	m := &Mirror{Repository: r}
	handler := r.Handler()
	m.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if m.Asked.Add(1); m.Down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, request)
	}))
	start(m.server)
	m.URL = m.server.URL
	return m
}

// Close stops serving.
func (m *Mirror) Close() { m.server.Close() }

// TrustRoot is a TrustRoot resource that is refreshed from the mirror.
func (m *Mirror) TrustRoot(name string) ([]byte, error) {
	return trustRoot(name, map[string]any{"remote": map[string]any{"root": m.Root, "mirror": m.URL}})
}

// TrustRoot is a TrustRoot resource that brings the repository along.
func (r *Repository) TrustRoot(name string) ([]byte, error) {
	archive, err := r.Archive("repository/")
	if err != nil {
		return nil, err
	}
	return trustRoot(name, map[string]any{"repository": map[string]any{"root": r.Root, "mirrorFS": archive}})
}

func trustRoot(name string, spec map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{
		"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": map[string]any{"name": name}, "spec": spec,
	})
}
