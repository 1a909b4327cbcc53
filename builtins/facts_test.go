package builtins_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/world"
)

// installation is facts whose clock and roots a test changes between decisions.
type installation struct {
	*builtins.Facts
	now  atomic.Pointer[time.Time]
	root atomic.Pointer[trust.Root]
}

func install(t *testing.T, w *world.World) *installation {
	t.Helper()
	return installOver(t, w, func(registry builtins.Registry) builtins.Registry { return registry })
}

// installOver is install with something wrong with the registry.
func installOver(t *testing.T, w *world.World, wrap func(builtins.Registry) builtins.Registry, options ...oci.Option) *installation {
	t.Helper()
	client, err := oci.New(append(options, oci.WithPrivateRegistries())...)
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{}
	i.at(0)
	i.trust(t, w)
	i.Facts, err = builtins.New(wrap(client), func() trust.Roots {
		return trust.Roots{Default: i.root.Load(), Named: map[string]*trust.Root{"named": i.root.Load()}}
	}, builtins.Options{Now: func() time.Time { return *i.now.Load() }})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// at sets the clock to a time after everything in the world happened.
func (i *installation) at(after time.Duration) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).Add(after)
	i.now.Store(&now)
}

func (i *installation) trust(t *testing.T, w *world.World) {
	t.Helper()
	data, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	root, err := trust.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	i.root.Store(root)
}

// outcome is "ok" or the code of an answer in a decision of its own.
func (i *installation) outcome(t *testing.T, call string) string {
	t.Helper()
	got := answer(t, i.Open(oci.Credentials{}, tenant.Workload{}), call)
	if got.(map[string]any)["ok"] == true {
		return "ok"
	}
	code, _ := problem(t, got)
	return code
}

// TestRootThatChangesEndsEveryVerdict: what was verified by the old root does not
// serve under the new one, and serves again when the old one is back.
func TestRootThatChangesEndsEveryVerdict(t *testing.T) {
	t.Parallel()
	w, stranger := openWorld(t), openWorld(t)
	i := install(t, w)
	call := w.Expand("cosign.verify(\"${app@}\", " + authority + ")")
	for _, tt := range []struct {
		root *world.World
		want string
	}{{w, "ok"}, {stranger, "tlog"}, {w, "ok"}} {
		i.trust(t, tt.root)
		if got := i.outcome(t, call); got != tt.want && (tt.want == "ok") != (got == "ok") {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

// TestVerdictEndsWithTheCertificate where nothing but the present time vouches
// for it: what was kept serves no second longer than what is verified anew.
func TestVerdictEndsWithTheCertificate(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	kept := install(t, w)
	call := w.Expand(`cosign.verify("${app@}", {"name": "now", "keyless": {"trustRootRef": "named", "identities": [
		{"issuerRegExp": ".*", "subjectRegExp": ".*"}]}})`)
	outcomes := map[string]int{}
	for at := 9 * time.Minute; at < 10*time.Minute+5*time.Second; at += time.Second {
		anew := install(t, w)
		anew.at(at)
		kept.at(at)
		got, want := kept.outcome(t, call), anew.outcome(t, call)
		if got != want {
			t.Errorf("at %v: got %s, want %s", at, got, want)
		}
		outcomes[want]++
	}
	if outcomes["ok"] < 20 || outcomes["expired"] < 5 || len(outcomes) != 2 {
		t.Errorf("got outcomes %v, want ok and then expired", outcomes)
	}
}

// TestAnswerEndsWithTheCertificateHoweverLongTheFetchTook: the answer is kept
// from when it was got, and true until when it says.
func TestAnswerEndsWithTheCertificateHoweverLongTheFetchTook(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	i := install(t, w)
	call := w.Expand(`cosign.verify("${app@}", {"name": "now", "keyless": {"trustRootRef": "named", "identities": [
		{"issuerRegExp": ".*", "subjectRegExp": ".*"}]}})`)
	// Opened, and answered later: ten seconds from then on are past the end.
	i.at(10*time.Minute - 14*time.Second)
	slow := i.Open(oci.Credentials{}, tenant.Workload{})
	i.at(10*time.Minute - 8*time.Second)
	if got := answer(t, slow, call); got.(map[string]any)["ok"] != true {
		t.Fatalf("got %v, want the signature", got)
	}
	i.at(10 * time.Minute)
	if got := i.outcome(t, call); got != "expired" {
		t.Errorf("after the end: got %s, want expired", got)
	}
}

// faulty is a registry of which one storage cannot be had.
type faulty struct{ builtins.Registry }

func (f faulty) Signatures(context.Context, oci.Credentials, string, oci.Place) (oci.List, error) {
	return oci.List{}, &oci.Error{Code: oci.RateLimited, Message: "GET tag: 429"}
}

func (f faulty) Attestations(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	list, err := f.Registry.Attestations(ctx, cred, ref, at)
	list.Layers = append(list.Layers, oci.Layer{Err: &oci.Error{Code: oci.Unreachable, Message: "GET blob: 503"}})
	return list, err
}

// TestStorageThatCannotBeHad does not hide what another has, and is the reason
// when no other has it.
func TestStorageThatCannotBeHad(t *testing.T) {
	t.Parallel()
	w, err := world.Parse([]byte(`
signers: {release: {issuer: "https://token.actions.githubusercontent.com", subject: "https://github.com/acme/app/.github/workflows/x.yml@v1"}}
images:
  bundled: {signatures: [{signer: release, format: bundle}]}
  attested: {attestations: [{signer: release, predicateType: "https://slsa.dev/provenance/v1"}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := world.New(w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	i := installOver(t, opened, func(registry builtins.Registry) builtins.Registry { return faulty{registry} })
	for call, want := range map[string]string{
		"cosign.verify(\"${bundled@}\", " + authority + ")":                                            "ok",
		"cosign.verify(\"${attested@}\", " + authority + ")":                                           "rate_limited",
		"cosign.attestations(\"${attested@}\", " + authority + ", \"https://slsa.dev/provenance/v1\")": "ok",
		"cosign.attestations(\"${attested@}\", " + authority + ", \"https://spdx.dev/Document\")":      "unreachable",
	} {
		if got := i.outcome(t, opened.Expand(call)); got != want {
			t.Errorf("%s: got %s, want %s", call, got, want)
		}
	}
}

// TestAnswerStaysForTheWholeDecision, whatever time passes.
func TestAnswerStaysForTheWholeDecision(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	i := install(t, w)
	s := i.Open(oci.Credentials{}, tenant.Workload{})
	first := answer(t, s, w.Expand(`oci.resolve("${app}")`))
	i.at(time.Hour)
	w.ResetRequests()
	second := answer(t, s, w.Expand(`oci.resolve("${app}")`))
	if fmt.Sprint(first) != fmt.Sprint(second) || len(w.Requests()) > 0 {
		t.Errorf("got %v and requests %v, want %v and none", second, w.Requests(), first)
	}
}

// TestBlockedSessionAnswersInPlace: nothing is left pending.
func TestBlockedSessionAnswersInPlace(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := install(t, w).Open(oci.Credentials{}, tenant.Workload{})
	s.Block()
	if got := answer(t, s, w.Expand(`oci.resolve("${app}").ok`)); got != true || s.Pending() {
		t.Errorf("got %v and pending %t, want true and false", got, s.Pending())
	}
}

// TestSettlePastTheDeadlineAsksNothing: every question is answered by timeout.
func TestSettlePastTheDeadlineAsksNothing(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := install(t, w).Open(oci.Credentials{}, tenant.Workload{})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	s.Settle(ctx, nil) // nothing was asked: returns
	query := w.Expand(`oci.resolve("${app}")`)
	_ = evaluateOnce(t, s, query)
	s.Settle(ctx, nil)
	if code, _ := problem(t, evaluateOnce(t, s, query)); code != "timeout" {
		t.Errorf("got %s, want timeout", code)
	}
	if got := w.Requests(); len(got) > 0 {
		t.Errorf("got requests %v, want none", got)
	}
}

// hanging is a registry of which one layer never comes: what did is answered
// when the fetch ends.
type hanging struct{ builtins.Registry }

func (h hanging) Signatures(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	list, err := h.Registry.Signatures(ctx, cred, ref, at)
	<-ctx.Done()
	list.Layers = append(list.Layers, oci.Layer{Err: &oci.Error{Code: oci.Timeout, Message: "GET blob: no answer"}})
	return list, err
}

// TestLayerThatHangsDoesNotHideAGoodOne though the fetch may take as long as the
// decision: it ends early enough to be verified and answered. The time is fake.
func TestLayerThatHangsDoesNotHideAGoodOne(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	synctest.Test(t, func(t *testing.T) {
		i := installOver(t, w, func(registry builtins.Registry) builtins.Registry { return hanging{registry} }, oci.WithTransport(w.Transport()))
		s, call := i.Open(oci.Credentials{}, tenant.Workload{}), w.Expand("cosign.verify(\"${app@}\", "+authority+")")
		evaluateOnce(t, s, call)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s.Settle(ctx, nil)
		if got, _ := evaluateOnce(t, s, call).(map[string]any); got["ok"] != true {
			t.Errorf("got %v, want the good signature", got)
		}
	})
}
