package canary_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/recording"
)

// holding is a registry that waits with its attestations.
type holding struct {
	exchange.Registry
	asked chan<- struct{}
	goOn  <-chan struct{}
}

func (h holding) Attestations(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	h.asked <- struct{}{}
	<-h.goOn
	return h.Registry.Attestations(ctx, cred, ref, at)
}

func held(r *rig, asked chan<- struct{}, goOn <-chan struct{}) *recording.Fetch {
	out := *r.fetch
	out.Registry = holding{out.Registry, asked, goOn}
	return &out
}

// TestBudgetFetchesWhatIsNotKnown, as the workload, and no more than it allows.
func TestBudgetFetchesWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	const user, password = "robot", "secret"
	guarded := func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if name, got, _ := request.BasicAuth(); name != user || got != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			inner.ServeHTTP(w, request)
		})
	}
	r := open(t, signed, guarded)
	own := oci.Credentials{ID: "prod", Keychain: keychain{authn.FromConfig(authn.AuthConfig{Username: user, Password: password})}}
	r.fetch.Credentials = own
	seen := &counts{}
	c := r.running(t, canary.Options{Hooks: seen.hooks(), Fetch: r.fetch, FetchPerMinute: 1, Now: now}) // a minute that does not end
	c.Candidate(candidate(t, attested))
	if d := r.decide(t, "app"); !d.Allowed {
		t.Fatalf("live: got %q, want it admitted", d.Reasons)
	}
	before := r.requests.Load()
	got := until(t, c, 1)
	if diff := cmp.Diff(only(canary.Same, 1), got.Decisions); diff != "" {
		t.Errorf("-want +got:\n%s%+v", diff, got.Differences)
	}
	if r.requests.Load() == before || seen.fetched != 1 {
		t.Errorf("got %d requests for %d fetches, want one fetch", r.requests.Load()-before, seen.fetched)
	}
	before = r.requests.Load()
	r.decide(t, "bare")
	asked := r.requests.Load()
	got = until(t, c, 2)
	if got.Decisions[canary.Unknown] != 1 || r.requests.Load() != asked || seen.fetched != 1 {
		t.Errorf("after the budget: got %v, %d requests of the candidate, %d fetches, want it unknown and nobody asked (the decision had %d)",
			got.Decisions, r.requests.Load()-asked, seen.fetched, asked-before)
	}
	// What was verified for one decision is no fact of the next, which did not see it.
	r.decide(t, "app")
	if got := until(t, c, 3); got.Decisions[canary.Unknown] != 2 || got.Decisions[canary.Same] != 1 {
		t.Errorf("the first image again: got %v, want it unknown", got.Decisions)
	}
}

// TestBudgetOfSomebodyElse: without the credentials of the workload nothing is found.
func TestBudgetOfSomebodyElse(t *testing.T) {
	t.Parallel()
	r := open(t, signed)
	r.fetch.Tenants = func() tenant.Source {
		return tenant.Given(func(tenant.Asker) (oci.Credentials, error) {
			return oci.Credentials{}, &oci.Error{Code: oci.Unauthorized, Message: "forbidden"}
		})
	}
	c := r.running(t, canary.Options{Fetch: r.fetch, FetchPerMinute: 100})
	c.Candidate(candidate(t, attested))
	r.decide(t, "app")
	if diff := cmp.Diff(only(canary.Unknown, 1), until(t, c, 1).Decisions); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

type keychain struct{ authn.Authenticator }

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) { return k.Authenticator, nil }
