// Package s3 runs an S3 for a test, as a process of the test on loopback: Versity's gateway over a
// directory, with TLS. Every request has to be signed (SigV4) by its one account.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/e2e/loopback"
	"github.com/assay-dev/assay/e2e/process"
	"github.com/assay-dev/assay/e2e/tools"
)

// Server is one that runs.
type Server struct {
	// URL is where its buckets are, by path. Roots is a PEM file of those who signed its certificate.
	URL, Roots string
	// AccessKey and SecretKey are those of its account, in Region.
	AccessKey, SecretKey, Region string

	client *http.Client
}

// Start builds it, unless it is up to date, starts it and returns when it is ready.
func Start(t testing.TB) *Server {
	t.Helper()
	module, err := tools.Find(".s3")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := module.Build(t.Context(), "")
	if err != nil {
		t.Fatalf("build an S3: %v", err)
	}
	network, err := loopback.Claim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Release)
	dir, address := t.TempDir(), network.Address(1, 1)
	host, err := loopback.FreePort(address)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		URL: "https://" + host, Roots: filepath.Join(dir, "ca.crt"),
		AccessKey: "assay", SecretKey: "secret-of-a-test", Region: "us-east-1",
	}
	if err := s.prepare(dir, address); err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(dir, "versitygw", filepath.Join(bin, "versitygw"),
		"--quiet", "--port", host, "--cert", filepath.Join(dir, "tls.crt"), "--key", filepath.Join(dir, "tls.key"),
		"--access", s.AccessKey, "--secret", s.SecretKey, "--region", s.Region,
		"posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(t) })
	err = p.Await(t.Context(), func(ctx context.Context) error {
		_, err := s.do(ctx, http.MethodGet, "/", nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prepare writes its certificate, and makes its directories.
func (s *Server) prepare(dir, address string) error {
	for _, name := range []string{"data", "meta"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	authority, err := cluster.NewAuthority("s3 of a test")
	if err != nil {
		return err
	}
	certificate, key, err := authority.Server(address)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.PEM)
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	for name, content := range map[string][]byte{"ca.crt": authority.PEM, "tls.crt": certificate, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Bucket makes one.
func (s *Server) Bucket(ctx context.Context, name string) error {
	_, err := s.do(ctx, http.MethodPut, "/"+name, nil)
	return err
}

// Put writes an object, by BUCKET/KEY.
func (s *Server) Put(ctx context.Context, name string, content []byte) error {
	_, err := s.do(ctx, http.MethodPut, "/"+name, content)
	return err
}

// Get reads one.
func (s *Server) Get(ctx context.Context, name string) ([]byte, error) {
	return s.do(ctx, http.MethodGet, "/"+name, nil)
}

// List gives the keys of a bucket, which has a page of them at most.
func (s *Server) List(ctx context.Context, bucket string) ([]string, error) {
	answer, err := s.do(ctx, http.MethodGet, "/"+bucket+"?list-type=2", nil)
	if err != nil {
		return nil, err
	}
	var page struct {
		IsTruncated bool
		Contents    []struct{ Key string }
	}
	if err := xml.Unmarshal(answer, &page); err != nil {
		return nil, err
	}
	if page.IsTruncated {
		return nil, fmt.Errorf("bucket %s: got more than %d keys, want a page of them", bucket, len(page.Contents))
	}
	var keys []string
	for _, object := range page.Contents {
		keys = append(keys, object.Key)
	}
	return keys, nil
}

// do sends a signed request, and wants 200.
func (s *Server) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	request.Header.Set("X-Amz-Content-Sha256", hash)
	account := aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey}
	if err := signer.NewSigner().SignHTTP(ctx, account, request, hash, "s3", s.Region, time.Now()); err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: got %s: %s, want 200", method, path, response.Status, answer)
	}
	return answer, nil
}
