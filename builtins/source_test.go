package builtins_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/pullsecret"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/world"
)

// sources is a registry with the evidence of the world's images in other
// repositories: below /sigs/, under tags with the prefix rel-. It wants users, if
// it has any.
type sources struct {
	host  string
	users []string // user:password

	mu       sync.Mutex
	requests []string // user, method and path
	disturb  http.HandlerFunc
}

func openSources(t *testing.T, w *world.World, users ...string) *sources {
	t.Helper()
	s, over := &sources{users: users}, t.Context().Done()
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() { // what hangs ends with the test
			select {
			case <-over:
				cancel()
			case <-ctx.Done():
			}
		}()
		r = r.WithContext(ctx)
		user, password, _ := r.BasicAuth()
		s.mu.Lock()
		s.requests = append(s.requests, strings.TrimSpace(user+" "+r.Method+" "+r.URL.Path))
		disturb := s.disturb
		s.mu.Unlock()
		switch {
		case len(s.users) > 0 && !slices.Contains(s.users, user+":"+password):
			out.Header().Set("WWW-Authenticate", `Basic realm="sources"`)
			out.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v2/":
			out.WriteHeader(http.StatusOK)
		case disturb != nil:
			disturb(out, r)
		case !strings.HasPrefix(r.URL.Path, "/v2/sigs/"):
			out.WriteHeader(http.StatusNotFound)
		default:
			r.URL.Path = strings.NewReplacer("/v2/sigs/", "/v2/app/", "manifests/rel-", "manifests/").Replace(r.URL.Path)
			w.Handler().ServeHTTP(out, r)
		}
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

// asked is what was asked since the last call.
func (s *sources) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

func (s *sources) answer(how http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disturb = how
}

// from is the authority with a source.
func from(source string) string {
	return strings.TrimSuffix(authority, "}") + `, "source": [` + source + `]}`
}

// format is the authority for one format.
func format(authority, name string) string {
	return strings.Replace(authority, `"signatureFormat": "any"`, fmt.Sprintf(`"signatureFormat": %q`, name), 1)
}

func TestSource(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := openSources(t, w)
	facts := factsOf(t, w)
	verify := `cosign.verify("${app@}", %s)`
	attest := `cosign.attestations("${app@}", %s, "https://slsa.dev/provenance/v1")`
	place := fmt.Sprintf(`{"oci": "%s/sigs"}`, s.host)
	prefixed := fmt.Sprintf(`{"oci": "%s/sigs", "tagPrefix": "rel-"}`, s.host)
	for _, tt := range []struct {
		name, call, authority string
		format                string
		want                  string // in the message; empty is ok
	}{
		{"SRC-1: a signature", verify, from(place), "legacy", ""},
		{"SRC-1: an attestation", attest, from(place), "legacy", ""},
		{"SRC-1: a bundle, where upstream ignores the source", verify, from(place), "bundle", ""},
		{"SRC-1: an attestation in a bundle", attest, from(place), "bundle", ""},
		{"SRC-1: either", verify, from(place), "any", ""},
		{"SRC-2: a signature", verify, from(prefixed), "legacy", ""},
		{"SRC-2: an attestation", attest, from(prefixed), "legacy", ""},
		{"SRC-2: a bundle has no tag to be prefixed", verify, from(prefixed), "bundle", ""},
		{"SRC-1: another repository", verify, from(fmt.Sprintf(`{"oci": "%s/none"}`, s.host)), "legacy", "no signatures found; looked at " + s.host + "/none:sha256-"},
		{"SRC-1: a registry alone is a repository of Docker Hub", verify, from(`{"oci": "r.example:5000"}`), "legacy", "authority: source[0]: repository"},
		{"SRC-1: a tag", verify, from(`{"oci": "ghcr.io/acme/app:v1"}`), "legacy", "authority: source[0]: repository"},
		{"SRC-2: a prefix that leads up", verify, from(`{"oci": "ghcr.io/acme/app", "tagPrefix": "../"}`), "legacy", "authority: source[0]: tag prefix"},
		{"SRC-1: two sources", verify, from(place + ", " + place), "legacy", "source: got 2, want at most 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.asked()
			w.ResetRequests()
			got := answer(t, facts.Open(oci.Credentials{}, tenant.Workload{}), w.Expand(fmt.Sprintf(tt.call, format(tt.authority, tt.format))))
			if tt.want == "" {
				if got.(map[string]any)["ok"] != true {
					t.Errorf("got %v, want ok", got)
				}
			} else if _, message := problem(t, got); !strings.Contains(message, tt.want) {
				t.Errorf("got %q, want %q", message, tt.want)
			}
			// What the source does not keep is not asked of the image's registry.
			if beside, there := w.Requests(), s.asked(); len(beside) > len(there) {
				t.Errorf("got requests %q, want only those of the source: %q", beside, there)
			}
		})
	}
}

// TestPlaceIsPartOfAVerdict: what is beside the image says nothing about a source.
func TestPlaceIsPartOfAVerdict(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := openSources(t, w)
	facts := factsOf(t, w)
	for _, step := range []struct {
		name, source string
		want         bool
	}{
		{"beside the image", "", true},
		{"a source that has nothing", fmt.Sprintf(`{"oci": "%s/none"}`, s.host), false},
		{"a source that has it", fmt.Sprintf(`{"oci": "%s/sigs"}`, s.host), true},
		{"under another prefix", fmt.Sprintf(`{"oci": "%s/sigs", "tagPrefix": "other-"}`, s.host), false},
		{"under another prefix beside the image", `{"tagPrefix": "other-"}`, false},
		{"beside the image, warm", "", true},
	} {
		t.Run("SRC-1: "+step.name, func(t *testing.T) {
			got := answer(t, facts.Open(oci.Credentials{}, tenant.Workload{}), w.Expand(fmt.Sprintf(`cosign.verify("${app@}", %s)`, format(from(step.source), "legacy"))))
			if ok := got.(map[string]any)["ok"]; ok != step.want {
				t.Errorf("got %v, want ok %t", got, step.want)
			}
		})
	}
}

// shop is an installation with Secrets, by namespace and name.
func shop(t *testing.T, w *world.World, secrets map[string]pullsecret.Secret) *builtins.Facts {
	t.Helper()
	client, err := oci.New(oci.WithPrivateRegistries(), oci.WithClock(func() time.Time { return noon }))
	if err != nil {
		t.Fatal(err)
	}
	return factsFrom(t, w, client, builtins.Options{
		Now: func() time.Time { return noon },
		Tenants: tenant.Named(func(namespace string, names []string) (oci.Credentials, error) {
			var found []pullsecret.Secret
			for _, name := range names {
				if secret, ok := secrets[namespace+"/"+name]; ok {
					found = append(found, secret)
				}
			}
			return pullsecret.Credentials(namespace, found)
		}),
	})
}

var noon = time.Date(2026, 6, 1, 12, 0, 1, 0, time.UTC)

func secretFor(host, user string) pullsecret.Secret {
	content := fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host, base64.StdEncoding.EncodeToString([]byte(user)))
	return pullsecret.Secret{Name: "pull", Type: pullsecret.TypeConfigJSON, Data: map[string][]byte{".dockerconfigjson": []byte(content)}}
}

// node is a keychain for every host, such as that of the machine.
type node struct{}

func (node) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "node", Password: "s3cret"}, nil
}

// TestPullSecrets holds AUTH-4, cold and warm: no namespace is served what another
// one's Secret opened.
func TestPullSecrets(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := openSources(t, w, "alice:s3cret", "node:s3cret")
	facts := shop(t, w, map[string]pullsecret.Secret{
		"shop/pull": secretFor(s.host, "alice:s3cret"), "bank/pull": secretFor(s.host, "mallory:s3cret"),
		"else/pull": secretFor("other.example", "alice:s3cret"), "broken/pull": {Name: "pull", Type: pullsecret.TypeConfigJSON,
			Data: map[string][]byte{".dockerconfigjson": []byte("s3cret")}},
	})
	call := w.Expand(fmt.Sprintf(`cosign.verify("${app@}", %s)`,
		format(from(fmt.Sprintf(`{"oci": "%s/sigs", "signaturePullSecrets": [{"name": "pull"}]}`, s.host)), "legacy")))
	for _, step := range []struct {
		name, namespace string
		code            string
		requests        int
		user            string
	}{
		{"AUTH-4: the Secret of the workload's namespace", "shop", "", 3, "alice"},
		{"AUTH-4: warm", "shop", "", 0, ""},
		{"AUTH-4: a Secret of another namespace with another password", "bank", "unauthorized", 2, "mallory"},
		{"AUTH-4: it is asked again, as failures are", "bank", "unauthorized", 2, "mallory"},
		{"AUTH-4: no such Secret is anonymous, not the node", "none", "unauthorized", 2, ""},
		{"AUTH-4: a Secret for another host is anonymous, not the node", "else", "unauthorized", 2, ""},
		{"AUTH-4: no namespace", "", "unauthorized", 2, ""},
		{"AUTH-4: a Secret that is broken", "broken", "malformed", 0, ""},
		{"AUTH-4: still warm", "shop", "", 0, ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			s.asked()
			got := answer(t, facts.Open(oci.Credentials{ID: "node", Keychain: node{}}, tenant.Workload{Namespace: step.namespace}), call)
			code, message := "", ""
			if got.(map[string]any)["ok"] != true {
				code, message = problem(t, got)
			}
			if code != step.code || strings.Contains(fmt.Sprint(got), "s3cret") {
				t.Errorf("got %s %q, want %q and no secret", code, message, step.code)
			}
			asked := s.asked()
			if len(asked) > step.requests {
				t.Errorf("got requests %q, want at most %d", asked, step.requests)
			}
			for _, request := range asked {
				if strings.HasPrefix(request, "node ") {
					t.Errorf("got request %q with the node's own credentials", request)
				}
			}
			if step.user != "" && !slices.ContainsFunc(asked, func(r string) bool { return strings.HasPrefix(r, step.user+" ") }) {
				t.Errorf("got requests %q, want some of %s", asked, step.user)
			}
		})
	}
	// Without signaturePullSecrets it is the session's own that count.
	plain := strings.Replace(call, `, "signaturePullSecrets": [{"name": "pull"}]`, "", 1)
	if got := answer(t, facts.Open(oci.Credentials{ID: "node", Keychain: node{}}, tenant.Workload{Namespace: "none"}), plain); got.(map[string]any)["ok"] != true {
		t.Errorf("AUTH-4: got %v without signaturePullSecrets, want ok", got)
	}
}

// TestPullSecretsWithoutAny: an installation that has no Secrets is anonymous there.
func TestPullSecretsWithoutAny(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := openSources(t, w, "node:s3cret")
	call := w.Expand(fmt.Sprintf(`cosign.verify("${app@}", %s)`, from(fmt.Sprintf(`{"oci": "%s/sigs", "signaturePullSecrets": [{"name": "pull"}]}`, s.host))))
	got := answer(t, factsOf(t, w).Open(oci.Credentials{ID: "node", Keychain: node{}}, tenant.Workload{Namespace: "shop"}), call)
	if code, message := problem(t, got); code != "unauthorized" {
		t.Errorf("AUTH-4: got %s: %s, want unauthorized", code, message)
	}
}

// TestHostileSource: a source is as little trusted as the registry of an image.
func TestHostileSource(t *testing.T) {
	t.Parallel()
	var stolen sync.Map
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if header := r.Header.Get("Authorization"); header != "" {
			stolen.Store(header, true)
		}
	}))
	t.Cleanup(thief.Close)
	for _, tt := range []struct {
		name string
		oci  string // of the source, "" for the registry below
		how  http.HandlerFunc
		want string
	}{
		{"a metadata address", "169.254.169.254/sigs", nil, "forbidden_host"},
		{"a redirect to a metadata address", "", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		}, "forbidden_host"},
		{"a redirect that collects credentials", "", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, thief.URL, http.StatusFound)
		}, "malformed"},
		{"one that hangs", "", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "timeout"},
		{"one that is broken", "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "unreachable"},
		{"one that sends without end", "", func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}, "too_large"},
	} {
		t.Run("SRC-1: "+tt.name, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			s := openSources(t, w, "alice:s3cret")
			s.answer(tt.how)
			if tt.oci == "" {
				tt.oci = s.host + "/sigs"
			}
			facts := shop(t, w, map[string]pullsecret.Secret{"shop/pull": secretFor(s.host, "alice:s3cret")})
			session := facts.Open(oci.Credentials{}, tenant.Workload{Namespace: "shop"})
			patience := time.Minute // for a machine that is busy
			if tt.want == "timeout" {
				patience = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			call := w.Expand(fmt.Sprintf(`cosign.verify("${app@}", %s)`,
				format(from(fmt.Sprintf(`{"oci": %q, "signaturePullSecrets": [{"name": "pull"}]}`, tt.oci)), "legacy")))
			evaluateOnce(t, session, call)
			session.Settle(ctx, nil)
			if code, message := problem(t, evaluateOnce(t, session, call)); code != tt.want || strings.Contains(message, "s3cret") {
				t.Errorf("got %s: %s, want %s", code, message, tt.want)
			}
		})
	}
	t.Cleanup(func() {
		stolen.Range(func(header, _ any) bool {
			t.Errorf("got header %v where a redirect led, want none", header)
			return true
		})
	})
}
