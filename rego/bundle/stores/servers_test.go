package stores_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-containerregistry/pkg/authn"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/assay-dev/assay/rego/bundle/stores"
)

const (
	keyID     = "AKIAEXAMPLE"
	secretKey = "of-the-tests"
)

// TestMain has the credentials where they usually are.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": keyID, "AWS_SECRET_ACCESS_KEY": secretKey} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

// s3 is a store with a bucket.
type s3 struct {
	url  string
	opts stores.Options
	// backend is where its objects are.
	backend *s3mem.Backend
}

func newS3(t *testing.T) s3 {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("fleet"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(signed(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()))
	t.Cleanup(server.Close)
	return s3{url: "s3://fleet/assay/clusters?endpoint=" + server.URL, opts: trusting(server), backend: backend}
}

func trusting(server *httptest.Server) stores.Options {
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return stores.Options{RootCAs: roots, Keychain: authn.NewMultiKeychain()}
}

// signed holds each request to a signature as Amazon's own library makes it, which the S3 server of the tests does not ask for.
func signed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		sum := sha256.Sum256(body)
		at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) || r.Header.Get("Authorization") != authorization(r, sum[:], at) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<Error><Code>SignatureDoesNotMatch</Code><Message>another signature</Message></Error>`)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authorization signs what the request says that it has signed.
func authorization(r *http.Request, sum []byte, at time.Time) string {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, _, _ := strings.Cut(rest, ",")
	again := r.Clone(r.Context())
	again.URL.Scheme, again.URL.Host = "https", r.Host
	for name := range again.Header {
		if !slices.Contains(strings.Split(names, ";"), strings.ToLower(name)) {
			again.Header.Del(name)
		}
	}
	if !slices.Contains(strings.Split(names, ";"), "content-length") {
		again.ContentLength = 0
	}
	_ = signer.NewSigner(func(o *signer.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(r.Context(),
		aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secretKey}, again, hex.EncodeToString(sum), "s3", "us-east-1", at)
	return again.Header.Get("Authorization")
}

func newRegistry(t *testing.T) (where string, opts stores.Options) {
	t.Helper()
	server := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return "oci://" + strings.TrimPrefix(server.URL, "http://") + "/assay/fleet?insecure=true", stores.Options{Keychain: authn.NewMultiKeychain()}
}

// stalling is a host that accepts, and says nothing.
func stalling(t *testing.T) (host string, opts stores.Options) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the caller leave
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), stores.Options{Keychain: authn.NewMultiKeychain()}
}
