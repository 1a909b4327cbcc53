package keys_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/rego/cip"
)

// cloud is a KMS whose answers a test chooses.
type cloud struct {
	asked atomic.Int64
	mu    sync.Mutex
	key   crypto.PublicKey
	err   error
}

func (c *cloud) set(key crypto.PublicKey, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key, c.err = key, err
}

func (c *cloud) fetch(context.Context, string) (crypto.PublicKey, error) {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.key, c.err
}

const reference = "gcpkms://projects/p"

// TestKMSKeysAreKept: what was read serves until something newer can be read.
func TestKMSKeysAreKept(t *testing.T) {
	t.Parallel()
	first, second := newKey(t).Public(), newKey(t).Public()
	kms := &cloud{}
	now := time.Unix(0, 0)
	resolver := keys.New(keys.Options{KMS: kms.fetch, Now: func() time.Time { return now }})
	const stale = `kms key "gcpkms://projects/p": down, request 1111; the last good key serves`
	for _, step := range []struct {
		name          string
		after         time.Duration
		key           crypto.PublicKey
		err           error
		asked         int64
		want          string
		gap, warnings string
	}{
		{"KEY-3: nothing yet", 0, nil, errors.New("down, request 0000"), 1, "", `kms key "gcpkms://projects/p": down, request 0000`, ""},
		{"too soon to ask again", time.Second, first, nil, 1, "", `kms key "gcpkms://projects/p": down, request 0000`, ""},
		{"the same cause keeps its words", time.Minute, nil, errors.New("down, request 9999"), 2, "", `kms key "gcpkms://projects/p": down, request 0000`, ""},
		{"so does another that follows soon", time.Minute, nil, errors.New("forbidden"), 3, "", `kms key "gcpkms://projects/p": down, request 0000`, ""},
		{"and not for ever", 10 * time.Minute, nil, errors.New("forbidden"), 4, "", `kms key "gcpkms://projects/p": forbidden`, ""},
		{"KEY-3: the key", time.Minute, first, nil, 5, publicPEM(t, first), "", ""},
		{"within the hour", 59 * time.Minute, second, nil, 5, publicPEM(t, first), "", ""},
		{"POL-5: the KMS is down", time.Minute, nil, errors.New("down, request 1111"), 6, publicPEM(t, first), "", stale},
		{"at most once an hour", time.Minute, second, nil, 6, publicPEM(t, first), "", stale},
		{"still down, in the same words", time.Hour, nil, errors.New("down, request 2222"), 7, publicPEM(t, first), "", stale},
		{"KEY-3: another key", time.Hour, second, nil, 8, publicPEM(t, second), "", ""},
		{"a key that is gone serves for a week", 7 * 24 * time.Hour, nil, errors.New("key is disabled"), 9, publicPEM(t, second), "",
			`kms key "gcpkms://projects/p": key is disabled; the last good key serves`},
		{"and no longer", time.Hour, nil, errors.New("key is disabled"), 10, "",
			`kms key "gcpkms://projects/p": key is disabled; the last good key is of 1970-01-01T03:14:01Z, want none older than 168h0m0s`, ""},
		{"it is asked for as if there were none", time.Minute, first, nil, 11, publicPEM(t, first), "", ""},
	} {
		now = now.Add(step.after)
		kms.set(step.key, step.err)
		got, warnings := resolver.Resolve(t.Context(), []cip.Policy{policy(cip.KeyRef{KMS: reference})}, keys.Sources{})
		if diff := cmp.Diff(&cip.KeyRef{Data: step.want}, got[0].Spec.Authorities[0].Key); diff != "" {
			t.Errorf("%s: key (-want +got):\n%s", step.name, diff)
		}
		if gap := got[0].Gaps["spec.authorities[0]"]; gap != step.gap {
			t.Errorf("%s: got gap %q, want %q", step.name, gap, step.gap)
		}
		if got := strings.Join(warnings, "\n"); got != step.warnings {
			t.Errorf("%s: got warnings %q, want %q", step.name, got, step.warnings)
		}
		if got := kms.asked.Load(); got != step.asked {
			t.Errorf("%s: asked %d times by now, want %d", step.name, got, step.asked)
		}
	}
}

// TestKMSKeysAreShared: a load asks for each key once, whoever names it.
func TestKMSKeysAreShared(t *testing.T) {
	t.Parallel()
	kms := &cloud{key: newKey(t).Public()}
	resolver := keys.New(keys.Options{KMS: kms.fetch})
	caCert := cip.Policy{Name: "q", Spec: cip.Spec{Authorities: []cip.Authority{{Keyless: &cip.KeylessRef{CACert: &cip.KeyRef{KMS: reference}}}}}}
	got, _ := resolver.Resolve(t.Context(), []cip.Policy{
		policy(cip.KeyRef{KMS: reference}), policy(cip.KeyRef{KMS: reference}), caCert,
	}, keys.Sources{})
	if n := kms.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	if data := got[2].Spec.Authorities[0].Keyless.CACert.Data; data != publicPEM(t, kms.key) {
		t.Errorf("ca-cert: got %q, want the key", data)
	}
	// What nobody names any more is forgotten.
	resolver.Resolve(t.Context(), nil, keys.Sources{})
	resolver.Resolve(t.Context(), nil, keys.Sources{})
	resolver.Resolve(t.Context(), []cip.Policy{caCert}, keys.Sources{})
	if n := kms.asked.Load(); n != 2 {
		t.Errorf("asked %d times, want once more", n)
	}
}

func TestKMSThatMisbehaves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		kms  keys.KMS
		want string
	}{
		{"a provider that panics", func(context.Context, string) (crypto.PublicKey, error) { panic("nil map") }, "provider: nil map"},
		{"a key of no known type", func(context.Context, string) (crypto.PublicKey, error) { return "key", nil },
			"x509: unsupported public key type: string"},
		{"a long story", func(context.Context, string) (crypto.PublicKey, error) {
			return nil, errors.New("line\n\tline " + strings.Repeat("x", 1<<20) + "\xff")
		}, "line line " + strings.Repeat("x", 200-len(`kms key "gcpkms://projects/p": line line `)) + " … " + strings.Repeat("x", 299) + "?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _ := keys.New(keys.Options{KMS: tt.kms}).Resolve(t.Context(), []cip.Policy{policy(cip.KeyRef{KMS: reference})}, keys.Sources{})
			if gap, want := got[0].Gaps["spec.authorities[0]"], `kms key "gcpkms://projects/p": `+tt.want; gap != want {
				t.Errorf("got gap %q, want %q", gap, want)
			}
		})
	}
}

// TestLoadEndsInTime, whatever KMS and hosts do: the time is fake.
func TestLoadEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		defer close(end)
		hangs := func(context.Context, string) (crypto.PublicKey, error) { <-end; return nil, errors.New("ended") }
		var policies []cip.Policy
		for i := range 100 {
			policies = append(policies, policy(cip.KeyRef{KMS: fmt.Sprintf("gcpkms://%d", i)}))
		}
		start := time.Now()
		got, _ := keys.New(keys.Options{KMS: hangs}).Resolve(t.Context(), policies, keys.Sources{})
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("took %v, want half a minute at most", took)
		}
		for i, p := range got {
			if want := fmt.Sprintf(`kms key "gcpkms://%d": no answer within 10s`, i); p.Gaps["spec.authorities[0]"] != want {
				t.Errorf("policy %d: got gap %q, want %q", i, p.Gaps["spec.authorities[0]"], want)
			}
		}
	})
}

// TestASlowHostHoldsUpNobody: a load that may not wait has what is there, and is told of the rest.
func TestASlowHostHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t).Public()
		var asked, told atomic.Int64
		slow := func(ctx context.Context, reference string) (crypto.PublicKey, error) {
			asked.Add(1)
			if reference == "gcpkms://slow" {
				time.Sleep(5 * time.Second) // of a fake clock
			}
			return key, nil
		}
		resolver := keys.New(keys.Options{KMS: slow})
		resolver.WaitNoLonger(time.Second, func() { told.Add(1) })
		policies := []cip.Policy{policy(cip.KeyRef{KMS: "gcpkms://slow"}), policy(cip.KeyRef{KMS: "gcpkms://fast"})}
		load := func() (gaps []string) {
			start := time.Now()
			got, _ := resolver.Resolve(t.Context(), policies, keys.Sources{})
			if took := time.Since(start); took > time.Second {
				t.Errorf("a load took %v, want a second at most", took)
			}
			for _, p := range got {
				gaps = append(gaps, p.Gaps["spec.authorities[0]"])
			}
			return gaps
		}
		waiting := []string{`kms key "gcpkms://slow": not fetched yet`, ""}
		for range 2 { // the second one asks nobody again
			if diff := cmp.Diff(waiting, load()); diff != "" {
				t.Errorf("gaps before it is there (-want +got):\n%s", diff)
			}
		}
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"", ""}, load()); diff != "" {
			t.Errorf("gaps after (-want +got):\n%s", diff)
		}
		if asked.Load() != 2 || told.Load() != 1 {
			t.Errorf("got asked %d times and told %d times, want each once and told once", asked.Load(), told.Load())
		}
	})
}

// TestBesideForgetsNothing: policies that are only tried take no key from those that serve.
func TestBesideForgetsNothing(t *testing.T) {
	t.Parallel()
	key, asked := newKey(t), map[string]int{}
	r := keys.New(keys.Options{KMS: func(_ context.Context, reference string) (crypto.PublicKey, error) {
		asked[reference]++
		return key.Public(), nil
	}})
	serving := []cip.Policy{policy(cip.KeyRef{KMS: "awskms:///serving"})}
	tried := []cip.Policy{policy(cip.KeyRef{KMS: "awskms:///tried"})}
	r.Resolve(t.Context(), serving, keys.Sources{})
	r.Beside().Resolve(t.Context(), append(tried, serving...), keys.Sources{})
	r.Beside().Resolve(t.Context(), tried, keys.Sources{})
	r.Resolve(t.Context(), serving, keys.Sources{})
	if diff := cmp.Diff(map[string]int{"awskms:///serving": 1, "awskms:///tried": 2}, asked); diff != "" {
		t.Errorf("how often the KMS was asked (-want +got):\n%s", diff)
	}
}
