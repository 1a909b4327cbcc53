package recording_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/raw"
)

// TestRecordingAsksNoRegistryAnything counts the requests of a cold and of a warm
// decision with and without it, and those of a replay.
func TestRecordingAsksNoRegistryAnything(t *testing.T) {
	t.Parallel()
	count := func(record bool) (cold, warm, replayed int64) {
		r := open(t, setup{record: record})
		images := []string{r.image("app"), r.image("bare")}
		r.decide(t, images...)
		cold = r.requests.Load()
		r.decide(t, images...)
		if warm = r.requests.Load() - cold; !record {
			return cold, warm, 0
		}
		c, _ := r.last(t)
		before := r.requests.Load()
		same(t, c)
		return cold, warm, r.requests.Load() - before
	}
	cold, warm, _ := count(false)
	if cold == 0 || warm != 0 {
		t.Fatalf("without recording: got %d requests and then %d, want some and then none", cold, warm)
	}
	if gotCold, gotWarm, replayed := count(true); gotCold != cold || gotWarm != warm || replayed != 0 {
		t.Errorf("with recording: got %d, %d and %d requests, want %d, %d and none", gotCold, gotWarm, replayed, cold, warm)
	}
}

// TestWarmDecisionHasItsEvidence is about answers that an earlier decision got.
func TestWarmDecisionHasItsEvidence(t *testing.T) {
	t.Parallel()
	r := open(t, setup{record: true})
	r.decide(t, r.image("app"))
	cold, _ := r.last(t)
	r.decide(t, r.image("app"))
	warm, _ := r.last(t)
	same(t, warm)
	first, _ := json.Marshal(cold.Records)
	second, _ := json.Marshal(warm.Records)
	if len(warm.Records.Exchanges) == 0 || !bytes.Equal(first, second) {
		t.Errorf("got exchanges\n%s\nwant those of the first decision\n%s", second, first)
	}
}

// TestEvidenceCannotBeForged edits capsules as somebody would who wants an image to seem
// signed: signatures are verified anew, and content is held to its digest.
func TestEvidenceCannotBeForged(t *testing.T) {
	t.Parallel()
	r := open(t, setup{record: true})
	if d := r.decide(t, r.image("bare")); d.Allowed {
		t.Fatal("got an image without a signature admitted")
	}
	unsigned, _ := r.last(t)
	r.decide(t, r.image("app"))
	good, _ := r.last(t)
	// The answers about the signed image are said to be about the other one.
	for i := range unsigned.Records.Exchanges {
		e := &unsigned.Records.Exchanges[i]
		for _, other := range good.Records.Exchanges {
			if e.Name == other.Name && e.Name != "resolve" {
				e.Answer, e.Error = other.Answer, other.Error
			}
		}
	}
	for digest, content := range good.Blobs {
		unsigned.Blobs[digest] = content
	}
	if judged := judge(t, unsigned, nil); judged.Decision.Allowed {
		t.Error("got an admission by evidence of another image, want none")
	}
	// Other bytes under the digest that was asked for are not recorded.
	for i := range good.Records.Exchanges {
		if e := &good.Records.Exchanges[i]; e.Name == "manifest" {
			e.Answer, _ = json.Marshal(good.Keep([]byte(`{"schemaVersion":2}`)))
		}
	}
	if judged := judge(t, good, nil); len(judged.NotRecorded) == 0 {
		t.Error("a manifest of another digest: got it taken, want it refused")
	}
}

// TestCredentialsThatWereNotFound are so again, without anybody to ask.
func TestCredentialsThatWereNotFound(t *testing.T) {
	t.Parallel()
	forbidden := tenant.Given(func(tenant.Asker) (oci.Credentials, error) {
		return oci.Credentials{}, &oci.Error{Code: oci.Unauthorized, Message: `secrets "pull" is forbidden`}
	})
	for name, policies := range map[string]string{
		"the workload's own": signed, "those that a policy names": signed + "      source: [{signaturePullSecrets: [{name: registry}]}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, setup{record: true, tenants: forbidden, policies: policies})
			d := r.decide(t, r.image("app"))
			if d.Allowed || !strings.Contains(strings.Join(d.Reasons, " "), `secrets "pull" is forbidden`) {
				t.Fatalf("got %q, want a denial with the cause", d.Reasons)
			}
			c, _ := r.last(t)
			same(t, c)
		})
	}
}

// TestNoCredentialIsRecorded has a registry that wants a password, and pull secrets for
// the place of the signatures.
func TestNoCredentialIsRecorded(t *testing.T) {
	t.Parallel()
	const user, password = "robot", "correct-horse-battery-staple"
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
	id := sha256.Sum256([]byte(password))
	keychain := keychain{authn.FromConfig(authn.AuthConfig{Username: user, Password: password})}
	secret := oci.Credentials{ID: "pull secrets " + hex.EncodeToString(id[:]), Keychain: keychain}
	r := open(t, setup{
		record: true, handler: guarded, credentials: oci.Credentials{ID: "tenant-of-" + password, Keychain: keychain},
		tenants:  tenant.Named(func(string, []string) (oci.Credentials, error) { return secret, nil }),
		policies: signed + "      source: [{signaturePullSecrets: [{name: registry}]}]\n",
	})
	if d := r.decide(t, r.image("app")); !d.Allowed {
		t.Fatalf("got %q, want it admitted", d.Reasons)
	}
	c, file := r.last(t)
	for _, secret := range []string{
		password, "hunter2", base64.StdEncoding.EncodeToString([]byte(user + ":" + password)), hex.EncodeToString(id[:]), "Authorization", "Basic ",
	} {
		if bytes.Contains(file, []byte(secret)) {
			t.Errorf("got %q in the capsule", secret)
		}
	}
	if n := len(c.Records.Pulled); n != 1 || c.Records.Pulled[0].As != "pull-secrets-2" {
		t.Errorf("got %+v, want one alias of the pull secrets", c.Records.Pulled)
	}
	same(t, c)
}

type keychain struct{ authn.Authenticator }

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) { return k.Authenticator, nil }

// TestPolicyThatLooksAtWhatIsMasked says so, and does not pretend.
func TestPolicyThatLooksAtWhatIsMasked(t *testing.T) {
	t.Parallel()
	const looks = signed + `  policy:
    type: rego
    includeSpec: true
    data: |
      package sigstore
      isCompliant { input.spec.containers[_].env[_].value == "hunter2" }
`
	r := open(t, setup{record: true, policies: looks})
	if d := r.decide(t, r.image("app")); !d.Allowed {
		t.Fatalf("got %q, want it admitted", d.Reasons)
	}
	c, _ := r.last(t)
	judged := judge(t, c, nil)
	if judged.Decision.Allowed || len(judged.NotRecorded) > 0 || judged.PolicySet != c.Settings.PolicySet {
		t.Errorf("got %+v, want a denial by the very same policies", judged)
	}
	if want := []string{"request.object.spec.containers[0].env[0].value"}; !slices.Equal(c.Settings.Masked, want) {
		t.Errorf("masked: got %q, want %q", c.Settings.Masked, want)
	}
}

// TestDecisionThatRepeatsWhatIsMasked has the mask in it as well, as the decision has that
// is made again.
func TestDecisionThatRepeatsWhatIsMasked(t *testing.T) {
	t.Parallel()
	const tells = signed + `  policy:
    type: rego
    includeSpec: true
    data: |
      package sigstore
      isCompliant[response] {
        value := input.spec.containers[_].env[_].value
        response := {"result": false, "error": sprintf("%s, that is %v", [value, input.spec.containers[_].env])}
      }
`
	r := open(t, setup{record: true, policies: tells})
	if d := r.decide(t, r.image("app")); d.Allowed || !strings.Contains(strings.Join(d.Reasons, ""), "hunter2") {
		t.Fatalf("got %q, want it denied with the value in the message", d.Reasons)
	}
	c, file := r.last(t)
	if bytes.Contains(file, []byte("hunter2")) {
		t.Errorf("got the value in the capsule: %s", c.Outcome.Decision)
	}
	same(t, c)
}

// TestNumbersOfDataStayAsTheyAre: one that no float64 holds is the same when it is replayed.
func TestNumbersOfDataStayAsTheyAre(t *testing.T) {
	t.Parallel()
	const large = "12345678901234567890"
	r := open(t, setup{
		record: true, data: map[string]any{"large": json.Number(large)},
		modules: map[string]string{"p.rego": "package policies.p\n\ndeny contains sprintf(\"got %v\", [data.large])\n"},
		objects: []raw.Object{{
			Name: "RegoPolicy own", Data: map[string]any{"large": json.Number(large)},
			Modules: map[string]string{"own.rego": "package policies.own\n\ndeny contains sprintf(\"own %v\", [data.large])\n"},
		}, {Name: "RegoPolicy unread", Refused: "it cannot be read"}},
	})
	for _, want := range []string{"got " + large, "own " + large, "RegoPolicy unread: it cannot be read"} {
		if d := r.decide(t, r.image("app")); !slices.ContainsFunc(d.Reasons, func(reason string) bool { return strings.Contains(reason, want) }) {
			t.Fatalf("got %q, want %q in it", d.Reasons, want)
		}
	}
	c, _ := r.last(t)
	same(t, c)
	if got := judge(t, c, nil).PolicySet; got != c.Settings.PolicySet {
		t.Errorf("got the set %s, want %s", got, c.Settings.PolicySet)
	}
}

// TestCapsuleTurnsNothingOn has one that allows its own policy what a few bytes keep busy
// for ever, or end the process by.
func TestCapsuleTurnsNothingOn(t *testing.T) {
	t.Parallel()
	r := open(t, setup{record: true})
	r.decide(t, r.image("app"))
	c, _ := r.last(t)
	for _, call := range []string{
		"bits.lsh(1, 2000000000) > 0", `graphql.is_valid("{a}", "type Query{a: String}")`, `http.send({"method": "get", "url": "http://127.0.0.1:1"}).status_code > 0`,
	} {
		name, _, _ := strings.Cut(call, "(")
		c.Policies = append(c.Policies[:1:1],
			capsule.Document{Kind: "Module", Name: "busy.rego", Text: "package kubernetes.admission\n\ndeny contains \"no\" if " + call + "\n"},
			capsule.Document{Kind: "Permissions", Name: "policies in Rego", Value: []byte(`{"builtins":["` + name + `"],"hosts":["127.0.0.1"]}`)})
		judged := judge(t, c, nil)
		if judged.Decision.Allowed || len(judged.NotRecorded) != 1 || !strings.HasPrefix(judged.NotRecorded[0], name+" of busy.rego") {
			t.Errorf("%s: got %+v, want it turned off, and told", call, judged)
		}
	}
}

// TestOtherPoliciesJudgeRecordedEvidence is what assay diff does with capsules.
func TestOtherPoliciesJudgeRecordedEvidence(t *testing.T) {
	t.Parallel()
	r := open(t, setup{record: true})
	r.decide(t, r.image("app"))
	c, _ := r.last(t)
	by := func(policies string) recording.Judged {
		documents, err := cip.Parse([]byte(policies))
		if err != nil {
			t.Fatal(err)
		}
		return judge(t, c, &recording.Policies{Source: rego.Source{Policies: documents.Policies}, Roots: trust.Roots{}})
	}
	if judged := by(strings.Replace(signed, "acme", "evil", 1)); judged.Decision.Allowed || len(judged.NotRecorded) > 0 {
		t.Errorf("another identity: got %+v, want a denial by what was recorded", judged)
	}
	if judged := by(strings.Replace(signed, "signatureFormat: any", "signatureFormat: legacy", 1)); !judged.Decision.Allowed || len(judged.NotRecorded) > 0 {
		t.Errorf("one of two formats: got %+v, want an admission by what was recorded", judged)
	}
	for _, asks := range []string{
		"      attestations: [{name: slsa, predicateType: https://slsa.dev/provenance/v1}]\n",
		"      source: [{oci: registry.example/signatures}]\n",
		"      source: [{signaturePullSecrets: [{name: registry}]}]\n",
	} {
		if judged := by(signed + asks); judged.Decision.Allowed || len(judged.NotRecorded) == 0 {
			t.Errorf("%sgot %+v, want it not recorded and not admitted", asks, judged)
		}
	}
}

// TestOtherPoliciesReadLabelsThatWereNotRecorded: of a cluster whose own policies read none nothing is known,
// and where there was no cluster the policy that wants one fails.
func TestOtherPoliciesReadLabelsThatWereNotRecorded(t *testing.T) {
	t.Parallel()
	labels := rego.NewNamespaces(map[string]map[string]string{"prod": {"tier": "web"}})
	reading, err := cip.Parse([]byte(signed + "  policy: {type: rego, data: \"package sigstore\\nisCompliant { input.assay.namespaceLabels.tier == \\\"web\\\" }\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		namespaces func() *rego.Namespaces
		want       []string
	}{
		"a cluster":  {func() *rego.Namespaces { return labels }, []string{"namespace prod"}},
		"no cluster": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, setup{record: true, namespaces: tt.namespaces})
			r.decide(t, r.image("app"))
			c, _ := r.last(t)
			same(t, c)
			judged := judge(t, c, &recording.Policies{Source: rego.Source{Policies: reading.Policies}, Roots: trust.Roots{}})
			if judged.Decision.Allowed || !slices.Equal(judged.NotRecorded, tt.want) {
				t.Errorf("got %v, %v, not recorded %q, want it not admitted and not recorded %q", judged.Decision.Reasons, judged.Err, judged.NotRecorded, tt.want)
			}
		})
	}
}

// TestCapsuleThatContradictsItself answers nothing that it has two answers to, unless
// it says which question each was for.
func TestCapsuleThatContradictsItself(t *testing.T) {
	t.Parallel()
	r := open(t, setup{record: true})
	r.decide(t, r.image("app"))
	c, _ := r.last(t)
	for _, e := range slices.Clone(c.Records.Exchanges) {
		if e.Name == "signatures" || e.Name == "bundles" {
			e.Answer = json.RawMessage(`{"digest":"","layers":[]}`)
			c.Records.Exchanges = append(c.Records.Exchanges, e)
		}
	}
	same(t, c)
	c.Records.Questions = nil
	if judged := judge(t, c, nil); judged.Decision.Allowed || len(judged.NotRecorded) != 2 {
		t.Errorf("got %+v, want neither of two answers taken", judged)
	}
}

// FuzzJudge writes anything into a capsule that hashes right: it is judged or refused, and
// nothing panics over it. What it admits is for the policies in it to say.
func FuzzJudge(f *testing.F) {
	r := open(f, setup{record: true})
	r.decide(f, r.image("bare"))
	c, _ := r.last(f)
	records, _ := json.Marshal(c.Records)
	policies, _ := json.Marshal(c.Policies)
	roots, _ := json.Marshal(c.Trust)
	f.Add(string(records), string(policies), string(roots), string(c.Review))
	j, err := recording.NewJudge()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, records, policies, roots, review string) {
		edited := &capsule.Capsule{Settings: c.Settings, Outcome: c.Outcome, Blobs: c.Blobs, Review: json.RawMessage(review)}
		if json.Unmarshal([]byte(records), &edited.Records) != nil || json.Unmarshal([]byte(policies), &edited.Policies) != nil ||
			json.Unmarshal([]byte(roots), &edited.Trust) != nil {
			return
		}
		if _, err := j.Judge(t.Context(), edited, nil); err != nil && strings.Contains(err.Error(), "panicked") {
			t.Error(err)
		}
	})
}
