package oci_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/assay-dev/assay/builtins/oci"
)

func writeIndex(w http.ResponseWriter, ds ...desc) {
	w.Header().Set("Content-Type", indexType)
	_ = json.NewEncoder(w).Encode(man{SchemaVersion: 2, MediaType: indexType, Manifests: ds})
}

// withTokens makes the registry ask for bearer tokens, which it gives to users with the right password.
func (f *fake) withTokens() *fake {
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		user, pass, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/token" && user+"-secret" == pass:
			_ = json.NewEncoder(w).Encode(map[string]string{"token": "token-of-" + user})
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.Header.Get("Authorization") == "Bearer token-of-alice":
			return false
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+f.URL+`/token",service="fake"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
		return true
	})
	return f
}

// TestRequests holds what one answer costs: ping, manifest and blob, and no more.
func TestRequests(t *testing.T) {
	t.Parallel()
	signatures := func(t *testing.T, f *fake, c *oci.Client, ref string) error {
		_, err := c.Signatures(t.Context(), tenant("alice"), ref, oci.Place{})
		return err
	}
	resolved := func(t *testing.T, f *fake, c *oci.Client, ref string) error {
		tagged, _, _ := strings.Cut(ref, "@")
		digest, err := c.Resolve(t.Context(), tenant("alice"), tagged+":v1")
		if err != nil {
			return err
		}
		_, err = c.Signatures(t.Context(), tenant("alice"), tagged+"@"+digest, oci.Place{})
		return err
	}
	bundles := func(t *testing.T, f *fake, c *oci.Client, ref string) error {
		l, err := c.Bundles(t.Context(), tenant("alice"), ref, oci.Place{})
		if err == nil && len(l.Layers) != 1 {
			t.Errorf("got %d bundles, want 1", len(l.Layers))
		}
		return err
	}
	for name, tc := range map[string]struct {
		call      func(*testing.T, *fake, *oci.Client, string) error
		referrers bool
		token     bool
		want      int
	}{
		"signatures by digest":              {call: signatures, want: 3},
		"signatures by tag":                 {call: resolved, want: 4},
		"bundle by the referrers API":       {call: bundles, referrers: true, want: 4},
		"bundle by the fallback tag":        {call: bundles, want: 5},
		"signatures by digest with a token": {call: signatures, token: true, want: 4},
		"bundle with a token":               {call: bundles, referrers: true, token: true, want: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, registry.WithReferrersSupport(tc.referrers))
			ref, _ := f.signed(t, "org/app")
			_, subject := f.image(t, "org/app", "v1")
			bundle := f.referrer(t, "org/app", subject, bundleType, "one")
			f.tag(t, "org/app", strings.Replace(subject.Digest, ":", "-", 1), man{SchemaVersion: 2, MediaType: indexType, Manifests: []desc{bundle}})
			if tc.token {
				f.withTokens()
			}
			c := newClient(t, oci.WithClock(newClock().now))
			for _, want := range []int{tc.want, 0} {
				if err := tc.call(t, f, c, ref); err != nil {
					t.Fatal(err)
				}
				if got := f.requests(); len(got) != want {
					t.Errorf("got requests %q, want %d", got, want)
				}
			}
		})
	}
}

func TestTenColdCallsShareThePing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var refs []string
	for _, tag := range strings.Split("abcdefghij", "") {
		ref, _ := f.image(t, "org/app", tag)
		refs = append(refs, ref)
	}
	c := newClient(t)
	var wg sync.WaitGroup
	for _, ref := range refs {
		wg.Go(func() {
			if _, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := f.requests(); len(got) != 11 {
		t.Errorf("got %d requests %q, want one ping and ten manifests", len(got), got)
	}
}

func TestAnswersExpire(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	none, _ := f.image(t, "org/none", "v1")
	now := newClock()
	c := newClient(t, oci.WithClock(now.now))
	call := func(ref string) int {
		if _, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil {
			t.Fatal(err)
		}
		return len(f.requests())
	}
	for _, step := range []struct {
		after time.Duration
		ref   string
		want  int
	}{
		{0, ref, 3},
		{9 * time.Second, ref, 0},
		{time.Second, ref, 1}, // the list is read again, its blob is remembered
		{0, none, 2},
		{time.Second, none, 0},
		{time.Second, none, 1},
		{5 * time.Minute, ref, 2}, // and the session begins again
	} {
		now.add(step.after)
		if got := call(step.ref); got != step.want {
			t.Errorf("%s after %s: got %d requests, want %d", step.ref, step.after, got, step.want)
		}
	}
}

func TestTagsExpire(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		opts []oci.Option
		want [3]int
	}{
		"after a second by default": {nil, [3]int{2, 0, 1}},
		"at once where it is off":   {[]oci.Option{oci.WithTagTTL(0)}, [3]int{2, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.image(t, "org/app", "v1")
			now := newClock()
			c := newClient(t, append(tc.opts, oci.WithClock(now.now))...)
			for i, want := range tc.want {
				if _, err := c.Resolve(t.Context(), anonymous, f.host()+"/org/app:v1"); err != nil {
					t.Fatal(err)
				}
				if got := len(f.requests()); got != want {
					t.Errorf("call %d: got %d requests, want %d", i, got, want)
				}
				now.add(time.Duration(i) * time.Second)
			}
		})
	}
}

func TestFailuresAreNotKept(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	c := newClient(t)
	for _, part := range []string{"/v2/", "/manifests/", "/blobs/"} {
		f.on(part, status(http.StatusInternalServerError))
		refusedAt(t, part, c, ref, oci.Unreachable)
	}
	f.misbehave(nil)
	if l, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil || l.Layers[0].Err != nil {
		t.Errorf("got %+v and error %v after the registry recovered, want the list", l, err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	c := newClient(t, oci.WithBlobCache(0))
	for _, want := range []int{3, 2} {
		if _, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil {
			t.Fatal(err)
		}
		if got := len(f.requests()); got != want {
			t.Errorf("got %d requests, want %d", got, want)
		}
	}
}

// TestAnExpiredTokenBeginsANewSession: the registry forgets its tokens; an old session is renewed, once.
func TestAnExpiredTokenBeginsANewSession(t *testing.T) {
	t.Parallel()
	f := newFake(t).withTokens()
	ref, _ := f.signed(t, "org/app")
	now := newClock()
	c := newClient(t, oci.WithClock(now.now))
	if _, err := c.Signatures(t.Context(), tenant("alice"), ref, oci.Place{}); err != nil {
		t.Fatal(err)
	}
	f.requests()
	usual := f.disturb
	var expired sync.Once
	f.misbehave(func(w http.ResponseWriter, r *http.Request) (done bool) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			expired.Do(func() { w.WriteHeader(http.StatusUnauthorized); done = true })
		}
		return done || usual(w, r)
	})
	now.add(time.Minute)
	if _, err := c.Signatures(t.Context(), tenant("alice"), ref, oci.Place{}); err != nil {
		t.Fatal(err)
	}
	if got := f.requests(); len(got) != 4 {
		t.Errorf("got requests %q, want manifest, ping, token, manifest", got)
	}
}
