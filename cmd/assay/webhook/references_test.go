package webhook

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/server"
)

// cloud is a KMS that hangs until the test lets it answer.
type cloud struct {
	asked  chan struct{}
	answer chan error
	key    crypto.PublicKey
}

func (c *cloud) fetch(ctx context.Context, _ string) (crypto.PublicKey, error) {
	c.asked <- struct{}{}
	select {
	case err := <-c.answer:
		return c.key, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestReloadBesideDecisions: while a KMS is asked anew, and when it does not
// answer, the set that was compiled from its last key decides.
func TestReloadBesideDecisions(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "policy.yaml")
	policy := `{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: p}, spec: {
		images: [{glob: "**"}], authorities: [{key: {kms: "gcpkms://k"}}, {static: {action: pass}}]}}`
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := wiring.New(wiring.Flags{Policies: []string{file}, NoMatch: "deny", IdentityRegexp: "upstream", InlinePolicies: "upstream", TUF: wiring.TUFFlags{Cache: t.TempDir()}}, "deny", 0)
	if err != nil {
		t.Fatal(err)
	}
	kms := &cloud{asked: make(chan struct{}), answer: make(chan error), key: key.Public()}
	now := time.Unix(0, 0)
	w.Resolver = keys.New(keys.Options{KMS: kms.fetch, Now: func() time.Time { return now }})
	var log strings.Builder
	r := newReloader(w, server.NewMetrics("test"), slog.New(slog.NewTextHandler(&log, nil)))
	go func() { <-kms.asked; kms.answer <- nil }()
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := r.engine.Set().Hash()

	now = now.Add(2 * time.Hour)
	done := make(chan struct{})
	go func() { defer close(done); r.reload(t.Context()) }()
	<-kms.asked // and hangs
	review, err := reviews.Pod([]string{"registry.example/app@sha256:" + strings.Repeat("0", 64)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the registry does not exist: what matters is that an answer comes
	if _, err := r.engine.Decide(ctx, review); !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("a decision beside the reload: %v", err)
	}
	kms.answer <- errors.New("down")
	<-done
	if got := r.engine.Set().Hash(); got != first {
		t.Errorf("got set %s after the KMS failed, want %s still", got, first)
	}
	if want := "down; the last good key serves"; !strings.Contains(log.String(), want) {
		t.Errorf("got log %s, want it to say %q", log.String(), want)
	}
}

// TestPolicyOfAHungKMSIsInForce: at start there is no last good key. The policy is
// loaded all the same, and its authority fails.
func TestPolicyOfAHungKMSIsInForce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	policy := `{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: p}, spec: {
		images: [{glob: "**"}], authorities: [{key: {kms: "gcpkms://k"}}]}}`
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := wiring.New(wiring.Flags{Policies: []string{file}, NoMatch: "allow", IdentityRegexp: "upstream", InlinePolicies: "upstream", TUF: wiring.TUFFlags{Cache: t.TempDir()}}, "deny", 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Resolver = keys.New(keys.Options{Timeout: time.Millisecond, KMS: func(ctx context.Context, _ string) (crypto.PublicKey, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	var log strings.Builder
	r := newReloader(w, server.NewMetrics("test"), slog.New(slog.NewTextHandler(&log, nil)))
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	review, err := reviews.Pod([]string{"registry.example/app@sha256:" + strings.Repeat("0", 64)})
	if err != nil {
		t.Fatal(err)
	}
	decision, err := r.engine.Decide(t.Context(), review)
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(decision.Reasons, "\n"); decision.Allowed || !strings.Contains(text, `kms key "gcpkms://k": `) {
		t.Errorf("got allowed %t and reasons %s, want a denial that names the key", decision.Allowed, text)
	}
	if !strings.Contains(log.String(), "fails whatever it judges") {
		t.Errorf("got log %s, want a warning", log.String())
	}
}
