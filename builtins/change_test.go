package builtins_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/pullsecret"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/world"
)

// withFiles is a world with an image that has something of everything.
const withFiles = `
signers:
  release: {issuer: "https://token.actions.githubusercontent.com", subject: "https://github.com/acme/app/.github/workflows/x.yml@v1"}
images:
  app:
    files: {/etc/os-release: ID=debian}
    signatures: [{signer: release}, {signer: release, format: bundle}]
    attestations: [{signer: release, predicateType: "https://slsa.dev/provenance/v1"}]
  bare: {}
`

// rootsOf are those of a world, as the default and under a name.
func rootsOf(t *testing.T, w *world.World) trust.Roots {
	t.Helper()
	data, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	root, err := trust.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return trust.Roots{Default: root, Named: map[string]*trust.Root{"named": root}}
}

func serving(roots trust.Roots) func() trust.Roots { return func() trust.Roots { return roots } }

// counted are facts on a clock, what they looked for, and the world whose requests count.
func counted(t *testing.T, w *world.World, options builtins.Options, at *time.Time) (*builtins.Facts, *builtins.Looked) {
	t.Helper()
	now := func() time.Time { return *at }
	client, err := oci.New(oci.WithPrivateRegistries(), oci.WithClock(now))
	if err != nil {
		t.Fatal(err)
	}
	options.Now, options.Looked = now, &builtins.Looked{}
	return factsFrom(t, w, client, options), options.Looked
}

// TestChangeOfPoliciesFetchesAndVerifiesNothing that is known by digest: also not the layers of an
// image out of which files were read, which the client of registries does not keep.
func TestChangeOfPoliciesFetchesAndVerifiesNothing(t *testing.T) {
	t.Parallel()
	w, at := worldOf(t, withFiles), noon
	facts, looked := counted(t, w, builtins.Options{Record: true}, &at)
	roots := rootsOf(t, w)
	calls := []string{
		`cosign.verify("${app@}", ` + authority + `)`, `cosign.attestations("${app@}", ` + authority + `, "https://slsa.dev/provenance/v1")`,
		`oci.manifest("${app@}")`, `oci.config("${app@}")`, `oci.referrers("${app@}")`, `oci.files("${app@}", ["/etc/os-release"])`,
	}
	ask := func(facts *builtins.Facts) (requests int, verified uint64) {
		before := looked.Verdicts.Misses()
		w.ResetRequests()
		for _, call := range calls {
			session := facts.Open(oci.Credentials{}, tenant.Workload{})
			if got := answer(t, session, w.Expand(call)); got.(map[string]any)["ok"] != true {
				t.Errorf("%s: got %v, want ok", call, got)
			}
			if len(session.Tape().Logs) == 0 {
				t.Errorf("%s: got nothing noted, want what registries said", call)
			}
		}
		return len(w.Requests()), looked.Verdicts.Misses() - before
	}
	if requests, verified := ask(facts.For(serving(roots), nil)); requests == 0 || verified != 2 {
		t.Errorf("at first: got %d requests and %d verifications, want some and 2", requests, verified)
	}
	if requests, verified := ask(facts.For(serving(roots), nil)); requests != 0 || verified != 0 {
		t.Errorf("after a change of policies: got %d requests and %d verifications, want none", requests, verified)
	}
	roots.Named = nil // which nothing here relies on
	if requests, verified := ask(facts.For(serving(roots), nil)); requests != 0 || verified != 0 {
		t.Errorf("after a change of other roots: got %d requests and %d verifications, want none", requests, verified)
	}
}

// TestChangeOfPoliciesKeepsNothingLonger: tags, lists and what was not there are asked for again
// when their time is over, however often policies change; and by digest nothing is.
func TestChangeOfPoliciesKeepsNothingLonger(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		call  string
		lives time.Duration // in two layers
		want  bool          // asked for again
	}{
		{`oci.resolve("${app}")`, time.Second, true},
		{`oci.resolve("${registry}/none:v1")`, 2 * time.Second, true},
		{`oci.manifest("${bare@}")`, time.Hour, false},
		{`oci.files("${app@}", ["/etc/os-release"])`, time.Hour, false},
		{`oci.referrers("${app@}")`, 10 * time.Second, true},
		{`oci.referrers("${bare@}")`, 2 * time.Second, true},
		{`cosign.verify("${app@}", ` + authority + `)`, 10 * time.Second, true},
		{`cosign.verify("${bare@}", ` + authority + `)`, 2 * time.Second, true},
		{`cosign.attestations("${bare@}", ` + authority + `, "vuln")`, 2 * time.Second, true},
	} {
		t.Run(tt.call[:strings.Index(tt.call, ",")+1]+tt.lives.String(), func(t *testing.T) {
			t.Parallel()
			w, at := worldOf(t, withFiles), noon
			facts, _ := counted(t, w, builtins.Options{}, &at)
			roots := rootsOf(t, w)
			ask := func() int {
				w.ResetRequests()
				answer(t, facts.For(serving(roots), nil).Open(oci.Credentials{}, tenant.Workload{}), w.Expand(tt.call))
				return len(w.Requests())
			}
			if ask() == 0 {
				t.Fatal("got no request at first")
			}
			asked := false
			for range 4 { // changes renew nothing
				at = at.Add(tt.lives / 2)
				asked = ask() > 0 || asked
			}
			if asked != tt.want {
				t.Errorf("got asked again %t, want %t", asked, tt.want)
			}
		})
	}
}

// TestSignatureCountsAfterAChange as soon as it does without one.
func TestSignatureCountsAfterAChange(t *testing.T) {
	t.Parallel()
	w, at := worldOf(t, withFiles), noon
	facts, _ := counted(t, w, builtins.Options{}, &at)
	roots := rootsOf(t, w)
	verify := func() any {
		session := facts.For(serving(roots), nil).Open(oci.Credentials{}, tenant.Workload{})
		return answer(t, session, w.Expand(`cosign.verify("${bare@}", `+authority+`)`)).(map[string]any)["ok"]
	}
	if verify() != false {
		t.Fatal("got ok for an image without signatures")
	}
	if err := w.Sign(w.Expand("${bare@}"), world.Signature{Signing: world.Signing{Signer: "release"}}); err != nil {
		t.Fatal(err)
	}
	if at = noon.Add(4 * time.Second); verify() != true {
		t.Error("got a refusal four seconds after the image was signed, want ok")
	}
}

// TestChangeOfPoliciesChangesNoAnswer holds what survives a change to what nobody knew before: in
// whatever order sets, tenants, roots and authorities come, each gets what it would get alone.
func TestChangeOfPoliciesChangesNoAnswer(t *testing.T) {
	t.Parallel()
	w, stranger := worldOf(t, withFiles), worldOf(t, withFiles)
	s := openSources(t, w, "alice:s3cret")
	good, other := rootsOf(t, w), rootsOf(t, stranger)
	sets := []trust.Roots{
		good, other, {},
		{Default: good.Default, Named: other.Named}, {Default: other.Default, Named: good.Named},
		{Default: good.Default, Causes: map[string]string{"named": "it has expired"}}, {Default: good.Default},
	}
	secrets := []map[string]string{ // which policies came with, by namespace
		{"shop": "alice:s3cret", "bank": "mallory:s3cret"},
		{"shop": "alice:rotated", "bank": "alice:s3cret"},
		{},
	}
	tenants := func(of map[string]string) tenant.Source {
		return tenant.Given(func(asker tenant.Asker) (oci.Credentials, error) {
			var found []pullsecret.Secret
			if user, ok := of[asker.Namespace]; ok {
				found = append(found, secretFor(s.host, user))
			}
			own, err := pullsecret.Credentials(asker.Namespace, found)
			return pullsecret.Before(own, asker.Behind), err
		})
	}
	named := strings.Replace(authority, `"keyless": {`, `"keyless": {"trustRootRef": "named", `, 1)
	nobody := strings.Replace(authority, "acme/app", "acme/nobody", 1)
	private := fmt.Sprintf(`{"oci": "%s/sigs", "signaturePullSecrets": [{"name": "pull"}]}`, s.host)
	calls := []string{
		fmt.Sprintf(`oci.manifest("%s/sigs@${digest:app}")`, s.host), fmt.Sprintf(`oci.config("%s/sigs@${digest:app}")`, s.host),
		fmt.Sprintf(`oci.files("%s/sigs@${digest:app}", ["/etc/os-release"])`, s.host),
	}
	for _, a := range []string{authority, named, nobody, format(authority, "legacy"), format(named, "bundle"), format(from(private), "legacy"),
		strings.Replace(authority, `"keyless": {`, `"keyless": {"insecureIgnoreSCT": true, `, 1),
		strings.Replace(authority, `"name"`, `"rfc3161timestamp": {"trustRootRef": "named"}, "name"`, 1)} {
		calls = append(calls, `cosign.verify("${app@}", `+a+`)`, `cosign.attestations("${app@}", `+a+`, "https://slsa.dev/provenance/v1")`)
	}
	at := noon
	facts, looked := counted(t, w, builtins.Options{}, &at)
	outcome := func(t *testing.T, facts *builtins.Facts, namespace, call string) string {
		got := answer(t, facts.Open(oci.Credentials{}, tenant.Workload{Namespace: namespace}), w.Expand(call))
		if got.(map[string]any)["ok"] == true {
			return "ok"
		}
		code, message := problem(t, got)
		if code == "untrusted_root" {
			return code // why there is no root may be what who asked at the same time was told
		}
		return code + ": " + message
	}
	var lock sync.Mutex
	wants := map[string]string{}
	alone := func(i, j int, namespace, call string) string {
		known := fmt.Sprint(i, j, namespace, call)
		lock.Lock()
		defer lock.Unlock()
		if _, ok := wants[known]; !ok {
			facts, _ := counted(t, w, builtins.Options{}, &at)
			wants[known] = outcome(t, facts.For(serving(sets[i]), tenants(secrets[j])), namespace, call)
		}
		return wants[known]
	}
	t.Run("walks", func(t *testing.T) {
		for walk := range 3 {
			t.Run(fmt.Sprint(walk), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(11, uint64(walk)))
				for step := range 120 {
					i, j := random.IntN(len(sets)), random.IntN(len(secrets))
					namespace, call := []string{"shop", "bank", "none"}[random.IntN(3)], calls[random.IntN(len(calls))]
					got := outcome(t, facts.For(serving(sets[i]), tenants(secrets[j])), namespace, call)
					if want := alone(i, j, namespace, call); got != want {
						t.Fatalf("step %d: roots %d, secrets %d, namespace %s: %s: got %s, want %s", step, i, j, namespace, call, got, want)
					}
				}
			})
		}
	})
	outcomes := map[string]int{}
	for _, want := range wants {
		code, _, _ := strings.Cut(want, ":")
		outcomes[code]++
	}
	for _, code := range []string{"ok", "unauthorized", "untrusted_root", "identity_mismatch"} {
		if outcomes[code] < 5 {
			t.Errorf("got outcomes %v, want more of %s", outcomes, code)
		}
	}
	if looked.Answers.Hits() == 0 || looked.Verdicts.Hits() == 0 {
		t.Error("got nothing that survived a change, want answers and verdicts")
	}
}

// TestAdmittedUnderOtherPolicies: what one set admitted serves no update under another, of
// whatever name, nor under other roots.
func TestAdmittedUnderOtherPolicies(t *testing.T) {
	t.Parallel()
	for name, expression := range map[string]string{
		"a signature": `cosign.verify("${app@}", ` + authority + `)`, "no signature": `cosign.verify("${bare@}", ` + authority + `)`,
		"nothing of that digest": `oci.manifest("${registry}/acme/app@sha256:` + strings.Repeat("0", 64) + `")`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, at := worldOf(t, withFiles), noon
			facts, _ := counted(t, w, builtins.Options{}, &at)
			roots := rootsOf(t, w)
			a, b := facts.For(func() trust.Roots { return roots }, nil), facts.For(serving(roots), nil)
			call := w.Expand(expression)
			image := strings.Split(call, `"`)[1]
			session := a.Open(oci.Credentials{}, tenant.Workload{Namespace: "shop"})
			answer(t, session, call)
			session.Decided("set", true, []string{image})
			for _, tt := range []struct {
				name  string
				facts *builtins.Facts
				set   string
				roots trust.Roots
				asked bool
			}{
				{"the set that admitted", a, "set", roots, false},
				{"its policies, and others", a, "other", roots, true},
				{"another set", b, "set", roots, true},
				{"other roots", a, "set", trust.Roots{Default: roots.Default}, true},
			} {
				at = at.Add(time.Minute)
				roots = tt.roots
				w.ResetRequests()
				session := tt.facts.Open(oci.Credentials{}, tenant.Workload{Namespace: "shop"})
				session.Reuse(tt.set, []string{image})
				answer(t, session, call)
				if asked := len(w.Requests()) > 0; asked != tt.asked {
					t.Errorf("%s: got asked %t, want %t", tt.name, asked, tt.asked)
				}
			}
		})
	}
}

// TestSetThatServesNoMoreIsForgotten: what survives it holds neither its roots nor its sessions.
func TestSetThatServesNoMoreIsForgotten(t *testing.T) {
	t.Parallel()
	w, at := worldOf(t, withFiles), noon
	facts, _ := counted(t, w, builtins.Options{Record: true}, &at)
	set, session := func() (weak.Pointer[trust.Roots], weak.Pointer[builtins.Session]) {
		roots := rootsOf(t, w)
		session := facts.For(func() trust.Roots { return roots }, nil).Open(oci.Credentials{}, tenant.Workload{})
		answer(t, session, w.Expand(`cosign.verify("${app@}", `+authority+`)`))
		return weak.Make(&roots), weak.Make(session)
	}()
	for end := time.Now().Add(time.Minute); set.Value() != nil || session.Value() != nil; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("got roots held %t and a session held %t, want neither", set.Value() != nil, session.Value() != nil)
		}
	}
	runtime.KeepAlive(facts)
}
