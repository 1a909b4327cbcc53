package roots_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	trusttuf "github.com/assay-dev/assay/builtins/sigstore/tuf"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/roots"
	"github.com/assay-dev/assay/world/sigstore"
	"github.com/assay-dev/assay/world/tuf"
)

func object(t *testing.T, text []byte) unstructured.Unstructured {
	t.Helper()
	var out unstructured.Unstructured
	if err := json.Unmarshal(text, &out.Object); err != nil {
		t.Fatal(err)
	}
	return out
}

// expiring is a repository whose metadata expires then.
func expiring(t *testing.T, end time.Time) *tuf.Repository {
	t.Helper()
	made, err := sigstore.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	root, err := made.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	out, err := tuf.New(tuf.At(end), tuf.Target{Name: "trusted_root.json", Content: root})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wanted(t *testing.T, name string, got finding.Finding, status finding.Status, text string) {
	t.Helper()
	if got.Status != status || !strings.Contains(got.Message, text) {
		t.Errorf("%s: got %+v, want %s with %q", name, got, status, text)
	}
	if (got.Status == finding.Warning || got.Status == finding.Failure) && got.Fix == "" {
		t.Errorf("%s: got %+v without a fix", name, got)
	}
}

// TestRepositoryThatCameAlong: nobody fetches a newer one.
func TestRepositoryThatCameAlong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		left   time.Duration
		status finding.Status
		want   string
	}{
		{"long", 90 * 24 * time.Hour, finding.Fine, "its metadata expires"},
		{"for some days", 3 * 24 * time.Hour, finding.Warning, "its metadata expires"},
		{"no longer", -time.Hour, finding.Failure, "expired"},
	} {
		text, err := expiring(t, time.Now().Add(tt.left)).TrustRoot("own")
		if err != nil {
			t.Fatal(err)
		}
		wanted(t, tt.name, roots.Of(t.Context(), object(t, text), time.Now()), tt.status, tt.want)
	}
}

func TestRepositoryOfAMirror(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		left   time.Duration
		down   bool
		closed bool
		status finding.Status
		want   string
	}{
		{"it answers", 24 * time.Hour, false, false, finding.Fine, "expires"},
		{"it soon expires", 10 * time.Minute, false, false, finding.Warning, "expires"},
		{"it has expired", -time.Hour, false, false, finding.Failure, "expired"},
		{"it is broken", time.Hour, true, false, finding.Failure, "503"},
		{"nobody is there", time.Hour, false, true, finding.Unknown, "it is not reached from here"},
	} {
		mirror := tuf.Serve(expiring(t, time.Now().Add(tt.left)))
		t.Cleanup(mirror.Close)
		mirror.Down.Store(tt.down)
		text, err := mirror.TrustRoot("own")
		if err != nil {
			t.Fatal(err)
		}
		if tt.closed {
			mirror.Close()
		}
		wanted(t, tt.name, roots.Of(t.Context(), object(t, text), time.Now()), tt.status, tt.want)
	}
}

// TestAge: what a replica serves is as old as its cache.
func TestAge(t *testing.T) {
	t.Parallel()
	mirror := tuf.Serve(expiring(t, time.Now().Add(24*time.Hour)))
	t.Cleanup(mirror.Close)
	options := trusttuf.Options{Mirror: mirror.URL, Root: mirror.Root, Cache: t.TempDir(), MaxStale: 7 * 24 * time.Hour}
	wanted(t, "nothing is there", roots.Age("root", options, time.Now()), finding.Unknown, "does not say when it was refreshed")
	replica, err := trusttuf.New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := replica.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		after  time.Duration
		status finding.Status
		want   string
	}{
		{"an hour", time.Hour, finding.Fine, "1h0m0s ago"},
		{"two days", 48 * time.Hour, finding.Warning, "48h0m0s ago"},
		{"too long", 200 * time.Hour, finding.Failure, "want 168h0m0s at most"},
	} {
		wanted(t, tt.name, roots.Age("root", options, time.Now().Add(tt.after)), tt.status, tt.want)
	}
	options.Cache = ""
	wanted(t, "no directory", roots.Age("root", options, time.Now()), finding.Unknown, "no cache directory")
}

// TestRepositoryThatIsNone: whatever answers is bounded, and a failure.
func TestRepositoryThatIsNone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	t.Cleanup(server.Close)
	got := roots.Repository(t.Context(), "default trust root", trusttuf.Options{Mirror: server.URL}, time.Now())
	wanted(t, "garbage", got, finding.Failure, "TUF repository")
}

// chain is a CA in PEM that ends then.
func chain(t *testing.T, end time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "own"}, NotBefore: end.Add(-1000 * time.Hour), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestAuthorities: one that has ended is no failure while another one signs.
func TestAuthorities(t *testing.T) {
	t.Parallel()
	now := time.Now()
	authority := func(end time.Time) map[string]any {
		return map[string]any{"subject": map[string]any{"organization": "a", "commonName": "b"}, "uri": "https://fulcio.example", "certChain": chain(t, end)}
	}
	old, soon, good := authority(now.Add(-time.Hour)), authority(now.Add(24*time.Hour)), authority(now.Add(1000*time.Hour))
	retired := authority(now.Add(1000 * time.Hour))
	retired["validFor"] = map[string]any{"end": now.Add(-time.Hour).UTC().Format(time.RFC3339)}
	for _, tt := range []struct {
		name   string
		all    []any
		status finding.Status
		want   string
	}{
		{"one signs", []any{good}, finding.Fine, "valid"},
		{"one has ended, and another one signs", []any{old, good}, finding.Fine, "valid"},
		{"the last one has ended", []any{old}, finding.Failure, "certificateAuthorities: the last of 1 ended"},
		{"the last one was retired", []any{old, retired}, finding.Failure, "the last of 2 ended"},
		{"the last one soon ends", []any{old, soon}, finding.Warning, "ends"},
	} {
		text, err := json.Marshal(map[string]any{
			"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": map[string]any{"name": "own"},
			"spec": map[string]any{"sigstoreKeys": map[string]any{"certificateAuthorities": tt.all}},
		})
		if err != nil {
			t.Fatal(err)
		}
		wanted(t, tt.name, roots.Of(t.Context(), object(t, text), now), tt.status, tt.want)
	}
}

// TestReliance: what cannot be read is no policy that relies on nothing.
func TestReliance(t *testing.T) {
	t.Parallel()
	const keyless = `"identities": [{"issuer": "https://a.example", "subject": "b"}]`
	policy := func(authority string) unstructured.Unstructured {
		return object(t, []byte(`{"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": "a"},
  "spec": {"images": [{"glob": "**"}], "authorities": [`+authority+`]}}`))
	}
	own := func(authority string) unstructured.Unstructured {
		return object(t, []byte(`{"apiVersion": "policy.assay.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": "b", "namespace": "shop"},
  "spec": {"images": [{"glob": "**"}], "authorities": [`+authority+`]}}`))
	}
	rego := func(text string) unstructured.Unstructured {
		return object(t, []byte(`{"apiVersion": "policy.assay.dev/v1alpha1", "kind": "RegoPolicy", "metadata": {"name": "c"}, "spec": {"modules": {"a.rego": "`+text+`"}}}`))
	}
	for _, tt := range []struct {
		name     string
		policies []unstructured.Unstructured
		preset   bool
		named    map[string]string
		unread   string
	}{
		{"none", nil, false, nil, ""},
		{"keyless", []unstructured.Unstructured{policy(`{"keyless": {` + keyless + `}}`)}, true, nil, ""},
		{"keyless, of a TrustRoot", []unstructured.Unstructured{policy(`{"keyless": {"trustRootRef": "own", ` + keyless + `}}`)}, false, map[string]string{"own": "ClusterImagePolicy a"}, ""},
		{"an ImagePolicy", []unstructured.Unstructured{own(`{"keyless": {` + keyless + `}}`)}, true, nil, ""},
		{"an ImagePolicy, of a TrustRoot", []unstructured.Unstructured{own(`{"keyless": {"trustRootRef": "own", ` + keyless + `}}`)}, false, map[string]string{"own": "ImagePolicy shop/b"}, ""},
		{"static", []unstructured.Unstructured{policy(`{"static": {"action": "pass"}}`)}, false, nil, ""},
		{"Rego that asks for signatures", []unstructured.Unstructured{rego(`x := cosign.verify(image, {})`)}, true, nil, ""},
		{"Rego that does not", []unstructured.Unstructured{rego(`x := input`)}, false, nil, ""},
		{"what cannot be read", []unstructured.Unstructured{policy(`{"static": {"action": "perhaps"}}`)}, false, nil, "ClusterImagePolicy a: "},
		{"an ImagePolicy that cannot be read", []unstructured.Unstructured{own(`{"static": {"action": "perhaps"}}`)}, false, nil, "ImagePolicy shop/b: "},
		{"one that cannot be read, before one that can", []unstructured.Unstructured{policy(`7`), own(`{"keyless": {` + keyless + `}}`)}, true, nil, "ClusterImagePolicy a: "},
	} {
		got := roots.RelianceOf(tt.policies, "cosign-system")
		if got.Default != tt.preset || !maps.Equal(got.Named, tt.named) {
			t.Errorf("%s: got %+v, want the default root: %t, and %v", tt.name, got, tt.preset, tt.named)
		}
		if (len(got.Unread) > 0) != (tt.unread != "") || tt.unread != "" && !strings.Contains(errors.Join(got.Unread...).Error(), tt.unread) {
			t.Errorf("%s: got %v unread, want %q", tt.name, got.Unread, tt.unread)
		}
	}
}

// TestRootsThatAreNotThere: files may have them, where there are any.
func TestRootsThatAreNotThere(t *testing.T) {
	t.Parallel()
	there := object(t, []byte(`{"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "own"}}`))
	named := map[string]string{"own": "ClusterImagePolicy a", "gone": "ImagePolicy shop/b"}
	for _, tt := range []struct {
		name      string
		elsewhere error
		status    finding.Status
		want      string
	}{
		{"objects alone", nil, finding.Failure, "got none of that name, and ImagePolicy shop/b names it"},
		{"files too", errors.New("--trustroot roots.yaml is a file of the Pods"), finding.Unknown, "and --trustroot roots.yaml is a file"},
	} {
		got := roots.Absent(named, []unstructured.Unstructured{there}, tt.elsewhere)
		if len(got) != 1 || got[0].Object != "TrustRoot gone" {
			t.Errorf("%s: got %+v, want one", tt.name, got)
			continue
		}
		wanted(t, tt.name, got[0], tt.status, tt.want)
	}
}

// TestNothingIsWritten into the cache of a replica.
func TestNothingIsWritten(t *testing.T) {
	t.Parallel()
	mirror := tuf.Serve(expiring(t, time.Now().Add(24*time.Hour)))
	t.Cleanup(mirror.Close)
	cache := t.TempDir()
	if err := os.Chmod(cache, 0o500); err != nil {
		t.Fatal(err)
	}
	got := roots.Repository(t.Context(), "default trust root", trusttuf.Options{Mirror: mirror.URL, Root: mirror.Root, Cache: cache}, time.Now())
	wanted(t, "a replica's cache", got, finding.Fine, "expires")
	if files, err := os.ReadDir(cache); err != nil || len(files) > 0 {
		t.Errorf("got %v and %v in the cache, want nothing", files, err)
	}
}
