package stores_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"github.com/assay-dev/assay/rego/bundle/stores"
)

// answering is an S3 store that gives every request the same answer, and counts them.
func answering(t *testing.T, answer http.HandlerFunc) (s stores.Store, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	options := trusting(server)
	options.Timeout = 5 * time.Minute // on a slow machine megabytes of an answer take more than the default
	return open(t, "s3://fleet?endpoint="+server.URL, options), asked
}

func TestAStoreThatIsWrong(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, beginning string) {
		_, _ = io.WriteString(w, beginning)
		for range stores.MaxObject/(1<<16) + 2 {
			if _, err := io.WriteString(w, strings.Repeat("<a></a>", (1<<16)/7+1)); err != nil {
				return
			}
		}
	}
	for _, test := range []struct {
		named  string
		answer http.HandlerFunc
		want   error
		says   string
	}{
		{named: "other credentials", want: stores.ErrUnauthorized, answer: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>InvalidAccessKeyId</Code><Message>who?</Message></Error>")
		}, says: "InvalidAccessKeyId: who?"},
		{named: "no such bucket", want: stores.ErrNotFound, answer: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>")
		}, says: "NoSuchBucket"},
		{named: "a page of a proxy", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "<html>sign in")
		}, says: "status 400"},
		{named: "an error that does not end", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			endless(w, "<Error>")
		}, says: "status 400"},
		{named: "a listing that does not end", want: stores.ErrTooLarge, answer: func(w http.ResponseWriter, _ *http.Request) {
			endless(w, "<ListBucketResult>")
		}},
		{named: "pages that do not end", says: "", answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")
		}},
		{named: "a listing that is none", says: "EOF", answer: func(http.ResponseWriter, *http.Request) {}},
	} {
		t.Run(test.named, func(t *testing.T) {
			t.Parallel()
			s, _ := answering(t, test.answer)
			_, err := s.List(t.Context(), "", "", 10)
			if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %v and %q", err, test.want, test.says)
			} else if len(err.Error()) > 4096 {
				t.Errorf("got a text of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestABusyStoreIsAskedAFewTimes(t *testing.T) {
	t.Parallel()
	s, asked := answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	if _, err := s.Get(t.Context(), "a", 10); err == nil {
		t.Error("got no error")
	}
	if got := asked.Load(); got != 3 {
		t.Errorf("got %d requests, want 3", got)
	}
}

func TestNoRedirectOfABucketIsFollowed(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	s, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	_, got := s.Get(t.Context(), "a", 10)
	_, listed := s.List(t.Context(), "", "", 10)
	for _, err := range []error{got, listed, s.Put(t.Context(), "a", []byte("x"))} {
		if err == nil || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("got %v, want that it is a redirect", err)
		}
	}
	if got := elsewhere.Load(); got != 0 {
		t.Errorf("got %d requests at the other host, want none", got)
	}
}

// TestCredentialsStayWithTheirRegistry: registries redirect content to their storage, which is followed without them.
func TestCredentialsStayWithTheirRegistry(t *testing.T) {
	t.Parallel()
	inner := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	var bare, carried atomic.Int64
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			carried.Add(1)
		}
		bare.Add(1)
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(storage.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); !ok || password != "of-the-tests" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, strings.Replace(storage.URL, "127.0.0.1", "localhost", 1)+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	where := "oci://" + strings.TrimPrefix(server.URL, "http://") + "/fleet?insecure=true"
	if err := open(t, where, stores.Options{Keychain: keychain("wrong")}).Put(t.Context(), "a", []byte("x")); !errors.Is(err, stores.ErrUnauthorized) {
		t.Errorf("with another password: got %v, want %v", err, stores.ErrUnauthorized)
	}
	s := open(t, where, stores.Options{Keychain: keychain("of-the-tests")})
	put(t, s, "a", "content")
	got, err := s.Get(t.Context(), "a", 10)
	if err != nil || string(got) != "content" {
		t.Errorf("got %q, %v, want what was put", got, err)
	}
	if bare.Load() == 0 || carried.Load() != 0 {
		t.Errorf("got %d requests at the storage, %d with credentials, want some and none", bare.Load(), carried.Load())
	}
}

type keychain string

// Resolve implements authn.Keychain.
func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "fleet", Password: string(k)}, nil
}

func TestARegistryThatIsWrong(t *testing.T) {
	t.Parallel()
	manifest := `{"schemaVersion":2,"artifactType":%q,"layers":[{"digest":"sha256:%064d","size":%d}]}`
	for named, test := range map[string]struct {
		answers map[string]string
		want    string
	}{
		"an image in the place of an object": {map[string]string{"/manifests/a": fmt.Sprintf(manifest, "", 1, 1)}, "artifact type"},
		"no manifest":                        {map[string]string{"/manifests/a": "<html>"}, "manifest: invalid"},
		"an object of a gigabyte":            {map[string]string{"/manifests/a": fmt.Sprintf(manifest, "application/vnd.assay.object.v1", 1, 1<<30)}, "too large"},
		"other bytes than the digest's": {map[string]string{
			"/manifests/a": fmt.Sprintf(manifest, "application/vnd.assay.object.v1", 1, 3), "/blobs/": "abc",
		}, "checksum"},
		"more bytes than the manifest says": {map[string]string{
			"/manifests/a": fmt.Sprintf(manifest, "application/vnd.assay.object.v1", 1, 3), "/blobs/": strings.Repeat("abc", 100),
		}, "want the 3 of its manifest"},
	} {
		t.Run(named, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for part, answer := range test.answers {
					if strings.Contains(r.URL.Path, part) {
						_, _ = io.WriteString(w, answer)
					}
				}
			}))
			t.Cleanup(server.Close)
			s := open(t, "oci://"+strings.TrimPrefix(server.URL, "http://")+"/fleet?insecure=true", stores.Options{Keychain: authn.NewMultiKeychain()})
			if _, err := s.Get(t.Context(), "a", 1000); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestADirectoryLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	dir, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, "file://"+dir, stores.Options{})
	put(t, s, "c/r/status.json", "x")
	for name, target := range map[string]string{"c/r/link": secret, "c/out": filepath.Dir(secret), "c/loop": dir} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "c/r/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"c/r/link", "c/out/secret", "c/r/pipe", "c/r"} {
		if got, err := s.Get(t.Context(), name, 100); err == nil {
			t.Errorf("get %s: got %q", name, got)
		}
	}
	if err := s.Put(t.Context(), "c/out/new", []byte("x")); err == nil {
		t.Error("put through a link: got no error")
	}
	if err := s.Put(t.Context(), "c/r/link", []byte("y")); err != nil {
		t.Errorf("put in the place of a link: got %v", err)
	}
	if got, err := os.ReadFile(secret); err != nil || string(got) != "secret" {
		t.Errorf("the file outside: got %q, %v", got, err)
	}
	if diff := cmp.Diff([]string{"c/r/link", "c/r/status.json"}, names(t, s, "", "", 10)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	left, err := filepath.Glob(filepath.Join(dir, "c/r/.*"))
	if err != nil || len(left) != 0 {
		t.Errorf("got %q, %v left of writes, want nothing", left, err)
	}
}
