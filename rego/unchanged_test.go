package rego_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/world"
)

// outage is a registry that may be down, and counts what it is asked.
type outage struct {
	down     atomic.Bool
	unsigned atomic.Bool // there are no signatures any more
	requests atomic.Int64
}

func (o *outage) handle(inner http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o.requests.Add(1)
		switch {
		case o.down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case o.unsigned.Load() && strings.HasSuffix(r.URL.Path, ".sig"):
			w.WriteHeader(http.StatusNotFound)
		default:
			inner.ServeHTTP(w, r)
		}
	}
}

// asks is a review in a namespace. old is nil where an object is created.
func asks(t testing.TB, namespace, kind string, old, object map[string]any) []byte {
	t.Helper()
	group, operation := "", "CREATE"
	if kind != "Pod" {
		group = "apps"
	}
	if old != nil {
		operation = "UPDATE"
	}
	encoded, err := json.Marshal(map[string]any{"request": map[string]any{
		"uid": "1", "operation": operation, "namespace": namespace, "object": object, "oldObject": old,
		"kind": map[string]any{"group": group, "version": "v1", "kind": kind},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// edited is an object with a label.
func edited(object map[string]any) map[string]any {
	return map[string]any{"metadata": map[string]any{"labels": map[string]any{"edited": "yes"}}, "spec": object["spec"]}
}

// lasting is a rig behind a registry that goes down.
type lasting struct {
	*rig
	outage
	world *world.World
	clock *clock
	app   string // signed
	other string // signed too
}

func openLasting(t *testing.T, s setup) *lasting {
	t.Helper()
	l := &lasting{clock: newClock()}
	l.world = openWorld(t, "images:\n  app: {signatures: [{signer: release}]}\n  other: {signatures: [{signer: release}]}\n")
	at := front(t, l.world, l.handle)
	l.app, l.other = at(byDigest(t, l.world, "app")), at(byDigest(t, l.world, "other"))
	s.clock = l.clock
	l.rig = open(t, l.world, s)
	return l
}

// admitted creates a Pod of images in the namespace shop.
func (l *lasting) admitted(t *testing.T, images ...string) {
	t.Helper()
	if d := decideOn(t, l.rig, asks(t, "shop", "Pod", nil, runs(images...))); !d.Allowed {
		t.Fatalf("got %s, want it admitted", encode(t, d))
	}
}

// later lets time pass until nothing serves that is kept for a moment, and the registry
// goes down.
func (l *lasting) later(after time.Duration) {
	l.clock.Advance(after)
	l.down.Store(true)
	l.requests.Store(0)
}

// anew wants a review denied because the registry was asked and did not answer.
func (l *lasting) anew(t *testing.T, review []byte) {
	t.Helper()
	d := decideOn(t, l.rig, review)
	if got := codes(d); d.Allowed || !slices.Contains(got, "unreachable") || l.requests.Load() == 0 {
		t.Errorf("got codes %v after %d requests and %s, want it asked anew, and denied as unreachable", got, l.requests.Load(), encode(t, d))
	}
}

// RES-7: unlike upstream, a label of a running Pod can be edited while its registry is
// down, and costs no request.
func TestLabelEditNeedsNoRegistry(t *testing.T) {
	t.Parallel()
	for name, policies := range map[string]string{
		"a signature": "",
		"an attestation that is not there beside it": policy("signed", "", "") + "  - name: attested" + keyless + attested,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openLasting(t, setup{policies: policies})
			l.admitted(t, l.app, l.other)
			for _, after := range []time.Duration{time.Minute, time.Hour, 2 * time.Hour} {
				l.later(after)
				old := runs(l.app, l.other)
				d := decideOn(t, l.rig, asks(t, "shop", "Pod", old, edited(old)))
				if got := l.requests.Load(); !d.Allowed || got > 0 {
					t.Fatalf("after %v: got %d requests and %s, want it admitted without any", after, got, encode(t, d))
				}
				if len(d.Images) != 2 || len(d.Images[0].Policies) != 1 || d.Images[0].Policies[0].Outcome != "passed" {
					t.Errorf("got %s, want it evaluated all the same", encode(t, d))
				}
			}
			// What served again renewed nothing: four hours are over.
			l.later(time.Hour)
			l.anew(t, asks(t, "shop", "Pod", runs(l.app), edited(runs(l.app))))
		})
	}
}

// TestEvidenceIsFetchedAnew wherever anything differs from what was admitted.
func TestEvidenceIsFetchedAnew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		review func(t *testing.T, l *lasting) []byte
	}{
		{"the image moved to another container", func(t *testing.T, l *lasting) []byte {
			return asks(t, "shop", "Pod", runs(l.app, l.other), runs(l.other, l.app))
		}},
		{"the image runs in one more container", func(t *testing.T, l *lasting) []byte {
			return asks(t, "shop", "Pod", runs(l.app), runs(l.app, l.app))
		}},
		{"the image became another that was admitted too", func(t *testing.T, l *lasting) []byte {
			return asks(t, "shop", "Pod", runs(l.app), runs(l.other))
		}},
		{"another spelling", func(t *testing.T, l *lasting) []byte {
			return asks(t, "shop", "Pod", runs(l.app), runs(strings.Replace(l.app, "@", ":v1@", 1)))
		}},
		{"no old object", func(t *testing.T, l *lasting) []byte {
			return asks(t, "shop", "Pod", map[string]any{}, runs(l.app))
		}},
		{"a creation, whatever old object comes with it", func(t *testing.T, l *lasting) []byte {
			return []byte(strings.Replace(string(asks(t, "shop", "Pod", runs(l.app), runs(l.app))), "UPDATE", "CREATE", 1))
		}},
		{"another namespace", func(t *testing.T, l *lasting) []byte {
			return asks(t, "bank", "Pod", runs(l.app), edited(runs(l.app)))
		}},
		{"no namespace", func(t *testing.T, l *lasting) []byte {
			return asks(t, "", "Pod", runs(l.app), edited(runs(l.app)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := openLasting(t, setup{})
			l.admitted(t, l.app, l.other)
			l.later(time.Minute)
			l.anew(t, tt.review(t, l))
		})
	}
}

// Only images that were admitted here, and were not denied since, are known.
func TestOnlyWhatWasAdmittedIsReused(t *testing.T) {
	t.Parallel()
	edit := func(l *lasting) []byte { return asks(t, "shop", "Pod", runs(l.app), edited(runs(l.app))) }
	t.Run("never admitted here", func(t *testing.T) {
		t.Parallel()
		l := openLasting(t, setup{})
		l.later(time.Minute)
		l.anew(t, edit(l))
	})
	t.Run("denied before", func(t *testing.T) {
		t.Parallel()
		l := openLasting(t, setup{})
		l.unsigned.Store(true)
		if d := decideOn(t, l.rig, edit(l)); d.Allowed {
			t.Fatalf("got %s, want it denied", encode(t, d))
		}
		l.later(time.Minute)
		l.anew(t, edit(l))
	})
	t.Run("denied since", func(t *testing.T) {
		t.Parallel()
		l := openLasting(t, setup{})
		l.admitted(t, l.app)
		l.unsigned.Store(true)
		l.clock.Advance(time.Minute)
		if d := decideOn(t, l.rig, asks(t, "shop", "Pod", nil, runs(l.app))); d.Allowed {
			t.Fatalf("got %s, want it denied", encode(t, d))
		}
		l.later(time.Minute)
		l.anew(t, edit(l))
	})
	t.Run("a denial for the outage alone takes nothing away", func(t *testing.T) {
		t.Parallel()
		l := openLasting(t, setup{})
		l.admitted(t, l.app)
		l.later(time.Minute)
		l.anew(t, asks(t, "shop", "Pod", nil, runs(l.app)))
		if d := decideOn(t, l.rig, edit(l)); !d.Allowed {
			t.Errorf("got %s, want it admitted", encode(t, d))
		}
	})
	t.Run("denied since for another image, which takes nothing away", func(t *testing.T) {
		t.Parallel()
		l := openLasting(t, setup{})
		l.admitted(t, l.app)
		l.clock.Advance(time.Minute) // so that it is asked anew
		bad := strings.Replace(l.app, "@sha256:", "@sha256:0", 1)
		if d := decideOn(t, l.rig, asks(t, "shop", "Pod", nil, runs(l.app, bad[:len(bad)-1]))); d.Allowed {
			t.Fatalf("got %s, want it denied", encode(t, d))
		}
		l.later(time.Minute)
		if d := decideOn(t, l.rig, edit(l)); !d.Allowed || l.requests.Load() > 0 {
			t.Errorf("got %d requests and %s, want it admitted without any", l.requests.Load(), encode(t, d))
		}
	})
	t.Run("denied for another image of the Pod", func(t *testing.T) {
		t.Parallel()
		l := openLasting(t, setup{})
		bad := strings.Replace(l.app, "@sha256:", "@sha256:0", 1)
		if d := decideOn(t, l.rig, asks(t, "shop", "Pod", nil, runs(l.app, bad[:len(bad)-1]))); d.Allowed {
			t.Fatalf("got %s, want it denied", encode(t, d))
		}
		l.later(time.Minute)
		l.anew(t, edit(l))
	})
}

// A template on a tag is judged by what the tag names now, in every update.
func TestTagsAreNeverReused(t *testing.T) {
	t.Parallel()
	l := &lasting{clock: newClock()}
	l.world = openWorld(t, signedApp)
	image := front(t, l.world, l.handle)(byTag(t, l.world, "app"))
	l.rig = open(t, l.world, setup{clock: l.clock, config: rego.Config{Tags: "pods"}})
	template := map[string]any{"spec": map[string]any{"template": runs(image)}}
	if d := decideOn(t, l.rig, asks(t, "shop", "Deployment", nil, template)); !d.Allowed {
		t.Fatalf("got %s, want it admitted", encode(t, d))
	}
	l.later(time.Minute)
	d := decideOn(t, l.rig, asks(t, "shop", "Deployment", template, edited(template)))
	want := "spec.template.spec.containers[0].image\nunreachable: "
	if d.Allowed || len(d.Reasons) != 1 || !strings.Contains(d.Reasons[0], want) {
		t.Errorf("got %s, want it denied because the tag could not be read", encode(t, d))
	}
}

// Another policy set, though it would admit the same, has admitted nothing yet.
func TestAnotherPolicySetFetchesAnew(t *testing.T) {
	t.Parallel()
	l := openLasting(t, setup{})
	l.admitted(t, l.app)
	source := l.source
	source.Config.NoMatch = "warn"
	set, err := rego.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	before := l.Set()
	l.Swap(set)
	l.later(time.Minute)
	edit := asks(t, "shop", "Pod", runs(l.app), edited(runs(l.app)))
	l.anew(t, edit)
	l.Swap(before)
	if d := decideOn(t, l.rig, edit); !d.Allowed {
		t.Errorf("got %s, want what the set admitted itself", encode(t, d))
	}
}

// lastingFacts are facts of a world whose trust and credentials change.
func lastingFacts(t *testing.T, w *world.World, now func() time.Time, roots func(*trust.Root) trust.Roots) *builtins.Facts {
	t.Helper()
	client, err := oci.New(oci.WithPrivateRegistries(), oci.WithClock(now))
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	root, err := trust.Parse(trusted)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := builtins.New(client, func() trust.Roots { return roots(root) }, builtins.Options{Now: now, Record: true})
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// The same policies with other trust material, other credentials, or at another time,
// have admitted nothing yet.
func TestOtherTrustAndOtherCredentialsFetchAnew(t *testing.T) {
	t.Parallel()
	elsewhere, err := openWorld(t, "images: {}").TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	other, err := trust.Parse(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		after func(l *lasting, roots *trust.Roots, credentials *oci.Credentials)
	}{
		{"another root besides", func(_ *lasting, roots *trust.Roots, _ *oci.Credentials) {
			roots.Named = map[string]*trust.Root{"other": other}
		}},
		{"another root", func(_ *lasting, roots *trust.Roots, _ *oci.Credentials) { roots.Default = other }},
		{"no root any more", func(_ *lasting, roots *trust.Roots, _ *oci.Credentials) { roots.Default = nil }},
		{"other credentials", func(_ *lasting, _ *trust.Roots, credentials *oci.Credentials) { credentials.ID = "bank" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := openLasting(t, setup{})
			var roots trust.Roots
			var credentials oci.Credentials
			facts := lastingFacts(t, l.world, l.clock.Now, func(root *trust.Root) trust.Roots {
				if roots.Default == nil && roots.DefaultCause == "" {
					roots.Default, roots.DefaultCause = root, "gone"
				}
				return roots
			})
			l.source.Open = func(about rego.Workload) rego.Answers { return facts.Open(credentials, tenant.Workload(about)) }
			set, err := rego.Compile(t.Context(), l.source)
			if err != nil {
				t.Fatal(err)
			}
			l.Swap(set)
			l.admitted(t, l.app)
			edit := asks(t, "shop", "Pod", runs(l.app), edited(runs(l.app)))
			l.later(time.Minute)
			if d := decideOn(t, l.rig, edit); !d.Allowed {
				t.Fatalf("got %s, want it admitted while nothing changed", encode(t, d))
			}
			tt.after(l, &roots, &credentials)
			if d := decideOn(t, l.rig, edit); d.Allowed {
				t.Errorf("got %s, want it denied", encode(t, d))
			}
		})
	}
}

// A certificate that is judged by the clock is judged anew when it has expired.
func TestExpiredCertificateIsJudgedAnew(t *testing.T) {
	t.Parallel()
	policies := strings.Replace(policy("signed", "", "      trustRootRef: world\n"), "      url: https://fulcio.sigstore.dev\n", "", 1)
	l := openLasting(t, setup{policies: policies})
	facts := lastingFacts(t, l.world, l.clock.Now, func(root *trust.Root) trust.Roots {
		return trust.Roots{Named: map[string]*trust.Root{"world": root}}
	})
	l.source.Open = func(about rego.Workload) rego.Answers { return facts.Open(oci.Credentials{}, tenant.Workload(about)) }
	set, err := rego.Compile(t.Context(), l.source)
	if err != nil {
		t.Fatal(err)
	}
	l.Swap(set)
	l.admitted(t, l.app)
	edit := asks(t, "shop", "Pod", runs(l.app), edited(runs(l.app)))
	l.later(5 * time.Minute)
	if d := decideOn(t, l.rig, edit); !d.Allowed {
		t.Fatalf("got %s, want it admitted while the certificate is valid", encode(t, d))
	}
	l.later(6 * time.Minute)
	l.anew(t, edit)
}
