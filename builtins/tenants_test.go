package builtins_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/pullsecret"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/world"
)

// lookup is a source that has to ask somebody, and tells who was asked for.
type lookup struct {
	find func(tenant.Asker) (oci.Credentials, error)

	mu    sync.Mutex
	asked []string
	kept  bool // answers are at hand once they were asked for
}

func (l *lookup) AtHand(asker tenant.Asker) (oci.Credentials, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.kept || len(l.asked) == 0 {
		return oci.Credentials{}, false, nil
	}
	found, err := l.find(asker)
	return found, true, err
}

func (l *lookup) Find(_ context.Context, asker tenant.Asker) (oci.Credentials, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprintf("%s/%s %q %q", asker.Namespace, asker.ServiceAccount, asker.PullSecrets, asker.Named))
	return l.find(asker)
}

func (l *lookup) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.asked
	l.asked = nil
	return out
}

func clusterOf(t *testing.T, w *world.World, source tenant.Source) *builtins.Facts {
	t.Helper()
	client, err := oci.New(oci.WithPrivateRegistries())
	if err != nil {
		t.Fatal(err)
	}
	return factsFrom(t, w, client, builtins.Options{Tenants: source, Record: true, Now: func() time.Time { return noon }})
}

// TestNobodyIsAskedAnonymouslyForLackOfCredentials: a lookup that fails is a refusal, in
// policy-controller's form, and no registry hears of it.
func TestNobodyIsAskedAnonymouslyForLackOfCredentials(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := openSources(t, w) // which lets everybody in
	forbidden := `secrets "pull" is forbidden: User "assay" cannot get resource "secrets"`
	source := fmt.Sprintf(`{"oci": "%s/sigs", "signaturePullSecrets": [{"name": "pull"}]}`, s.host)
	own := fmt.Sprintf(`oci.resolve("%s/sigs/app:v1")`, s.host)
	for _, tt := range []struct {
		name, call    string
		err           error
		panics        bool
		code, message string
	}{
		{"AUTH-2: the workload's own", own, &oci.Error{Code: oci.Unauthorized, Message: forbidden}, false, "unauthorized", forbidden + ": spec.template.spec"},
		{
			"AUTH-2: those that a policy names", w.Expand(fmt.Sprintf(`cosign.verify("${app@}", %s)`, format(from(source), "legacy"))),
			&oci.Error{Code: oci.Unauthorized, Message: forbidden}, false, "unauthorized", "signaturePullSecrets: " + forbidden,
		},
		{"an API server that is gone", own, &oci.Error{Code: oci.Unreachable, Message: "connection refused"}, false, "unreachable", "connection refused: spec.template.spec"},
		{"an error without a code", own, errors.New("odd"), false, "malformed", "odd: spec.template.spec"},
		{"one that takes too long", own, context.DeadlineExceeded, false, "timeout", "context deadline exceeded: spec.template.spec"},
		{"one that panics", own, nil, true, "malformed", "credentials panicked: here: spec.template.spec"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &lookup{find: func(tenant.Asker) (oci.Credentials, error) {
				if tt.panics {
					panic("here")
				}
				return oci.Credentials{ID: "not to be used"}, tt.err
			}}
			session := clusterOf(t, w, l).Open(oci.Credentials{ID: "node", Keychain: node{}}, tenant.Workload{Namespace: "shop", Path: "spec.template.spec"})
			if code, message := problem(t, answer(t, session, tt.call)); code != tt.code || message != tt.message {
				t.Errorf("got %s: %s, want %s: %s", code, message, tt.code, tt.message)
			}
			if asked := s.asked(); len(asked) > 0 {
				t.Errorf("got requests %q, want none", asked)
			}
			if own := session.Tape().Session; own != "" {
				t.Errorf("got %q noted as who asked, want nobody", own)
			}
		})
	}
}

func TestCredentialsAreLookedUpWhenARegistryIsAsked(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := openSources(t, w, "alice:s3cret")
	var alice oci.Credentials
	l := &lookup{find: func(asker tenant.Asker) (oci.Credentials, error) { return pullsecret.Before(alice, asker.Behind), nil }}
	var err error
	if alice, err = pullsecret.Credentials("shop", []pullsecret.Secret{secretFor(s.host, "alice:s3cret")}); err != nil {
		t.Fatal(err)
	}
	facts := clusterOf(t, w, l)
	about := tenant.Workload{Namespace: "shop", ServiceAccount: "till", PullSecrets: []string{"pull"}}
	session := facts.Open(oci.Credentials{ID: "node", Keychain: node{}}, about)
	if got := answer(t, session, `oci.parse("x").ok`); got != true || l.take() != nil {
		t.Errorf("got %v and a lookup, want none where no registry is asked", got)
	}
	call := fmt.Sprintf(`[oci.manifest(x).ok | some x in ["%[1]s/sigs@%[2]s", "%[1]s/sigs@%[2]s"]]`, s.host, strings.Split(w.Expand("${app@}"), "@")[1])
	for _, tt := range []struct {
		name string
		want int
	}{{"cold", 1}, {"again in the decision", 0}} {
		if got := fmt.Sprint(answer(t, session, call)); got != "[true true]" {
			t.Errorf("%s: got %s, want [true true]", tt.name, got)
		}
		if asked := l.take(); len(asked) != tt.want || tt.want > 0 && asked[0] != `shop/till ["pull"] []` {
			t.Errorf("%s: got lookups %q, want %d for the workload", tt.name, asked, tt.want)
		}
	}
	// Warm, and with credentials at hand, a decision is one evaluation and no request.
	s.asked()
	l.kept, l.asked = true, []string{"before"}
	warm := facts.Open(oci.Credentials{ID: "node", Keychain: node{}}, about)
	if got := fmt.Sprint(evaluateOnce(t, warm, call)); got != "[true true]" || warm.Pending() || len(s.asked()) > 0 {
		t.Errorf("got %s, pending %t, want it known at once", got, warm.Pending())
	}
}

// TestNoAnswerOfOneTenantServesAnother: in whatever order tenants come, each gets what it
// would get alone.
func TestNoAnswerOfOneTenantServesAnother(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := openSources(t, w, "alice:s3cret")
	secrets := map[string]string{"shop": "alice:s3cret", "store": "alice:s3cret", "bank": "mallory:s3cret", "rotated": "alice:older"}
	want := map[string]string{"shop": "", "store": "", "bank": "unauthorized", "rotated": "unauthorized", "none": "unauthorized", "failing": "unreachable"}
	l := &lookup{find: func(asker tenant.Asker) (oci.Credentials, error) {
		if asker.Namespace == "failing" {
			return oci.Credentials{}, &oci.Error{Code: oci.Unreachable, Message: "gone"}
		}
		var found []pullsecret.Secret
		if user, ok := secrets[asker.Namespace]; ok {
			found = append(found, secretFor(s.host, user))
		}
		own, err := pullsecret.Credentials(asker.Namespace, found)
		return pullsecret.Before(own, asker.Behind), err
	}}
	facts := clusterOf(t, w, l)
	digest := strings.Split(w.Expand("${app@}"), "@")[1]
	sourced := fmt.Sprintf(`{"oci": "%s/sigs", "signaturePullSecrets": [{"name": "pull"}]}`, s.host)
	calls := []string{
		fmt.Sprintf(`oci.manifest("%s/sigs@%s")`, s.host, digest),
		fmt.Sprintf(`oci.config("%s/sigs@%s")`, s.host, digest),
		w.Expand(fmt.Sprintf(`cosign.verify("${app@}", %s)`, format(from(fmt.Sprintf(`{"oci": "%s/sigs"}`, s.host)), "legacy"))),
		w.Expand(fmt.Sprintf(`cosign.verify("${app@}", %s)`, format(from(sourced), "legacy"))),
		w.Expand(fmt.Sprintf(`cosign.attestations("${app@}", %s, "https://slsa.dev/provenance/v1")`, format(from(sourced), "legacy"))),
	}
	namespaces := []string{"shop", "store", "bank", "rotated", "none", "failing"}
	random := rand.New(rand.NewPCG(7, 7))
	for step := range 150 {
		namespace, call := namespaces[random.IntN(len(namespaces))], calls[random.IntN(len(calls))]
		got := answer(t, facts.Open(oci.Credentials{}, tenant.Workload{Namespace: namespace}), call)
		code := ""
		if got.(map[string]any)["ok"] != true {
			code, _ = problem(t, got)
		}
		if code != want[namespace] {
			t.Fatalf("step %d: %s in namespace %s: got %q, want %q", step, call, namespace, code, want[namespace])
		}
		if strings.Contains(fmt.Sprint(got), "s3cret") {
			t.Fatalf("step %d: got what is secret in %v", step, got)
		}
	}
}
