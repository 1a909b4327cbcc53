package demo

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/assay-dev/assay/rego"
)

// Webhook is a webhook that runs.
type Webhook struct {
	// Addr is the host and port that it listens on.
	Addr string
	// Policies counts those that serve.
	Policies func() int
	// Stop ends it.
	Stop func()
}

// client is the demo's client of its own webhook.
type client struct {
	url      string
	http     *http.Client
	policies func() int
}

// answered is what the demo shows of a review's answer.
type answered struct {
	allowed bool
	message string
	patch   []rego.PatchOperation
}

// start runs the webhook as `assay serve` does, on a free port of loopback.
func (s *stage) start(ctx context.Context, log io.Writer) (stop func(), err error) {
	roots, err := Certificate(s.dir)
	if err != nil {
		return nil, err
	}
	running, err := s.program.Serve(ctx, s.dir, log)
	if err != nil {
		return nil, err
	}
	s.webhook = &client{
		url:      "https://" + running.Addr,
		policies: running.Policies,
		http:     &http.Client{Timeout: settleTime, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
	}
	return running.Stop, nil
}

// Certificate mints the webhook's certificate, tls.crt and tls.key in a directory.
func Certificate(dir string) (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "assay demo"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	return roots, errors.Join(
		os.WriteFile(filepath.Join(dir, "tls.crt"), certificate, 0o600),
		os.WriteFile(filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// waitFor waits until the webhook has that many policies.
func (w *client) waitFor(policies int) error {
	for end := time.Now().Add(settleTime); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if w.policies() == policies {
			return nil
		}
	}
	return fmt.Errorf("the webhook has not taken the policy within %s", settleTime)
}

func (w *client) post(ctx context.Context, path string, review []byte) (answered, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+path, bytes.NewReader(review))
	if err != nil {
		return answered{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := w.http.Do(request)
	if err != nil {
		return answered{}, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return answered{}, err
	}
	if response.StatusCode != http.StatusOK {
		return answered{}, fmt.Errorf("POST %s: got %s: %s", path, response.Status, body)
	}
	var answer struct {
		Response struct {
			Allowed bool
			Status  struct{ Message string }
			Patch   []byte
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answered{}, err
	}
	out := answered{allowed: answer.Response.Allowed, message: answer.Response.Status.Message}
	if len(answer.Response.Patch) > 0 {
		err = json.Unmarshal(answer.Response.Patch, &out.patch)
	}
	return out, err
}
