package sigstore

import (
	"encoding/json"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/assay-dev/assay/builtins/sigstore/statement"
	"github.com/assay-dev/assay/rego/cip"
)

// fuzzed are checks of every demand, none of which anything of a fuzzer's can
// satisfy: it has no key that they trust. Seeds come from another world, so they
// are well-formed and untrusted.
func fuzzed(f *testing.F) (checks []*Check, strangers *scene) {
	f.Helper()
	s := open(f, "")
	strangers = open(f, `signatures: [{signer: release, timestamp: true}, {signer: deploy-key}, {signer: release, format: bundle, timestamp: true},
		{signer: release, format: bundle, log: rekor2, timestamp: true}, {signer: deploy-key, format: bundle}],
		attestations: [{signer: release, predicateType: a}, {signer: release, predicateType: a, entry: intoto}, {signer: deploy-key, predicateType: a, log: none}]`)
	key := s.keyed(f, "deploy-key")
	for _, a := range []cip.Authority{
		keyless(), withLog(withTimestamp(keyless())), withoutSCT(withTrustRoot(keyless())), key, withLog(key), withTimestamp(key),
	} {
		checks = append(checks, s.check(f, a))
	}
	return checks, strangers
}

func refuseAll(t *testing.T, checks []*Check, layer Layer, format string, attestation bool) {
	t.Helper()
	hash, err := v1.NewHash(testDigest)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range checks {
		if found, refusal := c.guarded(layer, hash, format, attestation); refusal == nil || found != nil {
			t.Errorf("check %d: got %v, want a refusal", i, found)
		}
	}
}

func FuzzLegacyLayer(f *testing.F) {
	checks, strangers := fuzzed(f)
	for attestation, layers := range map[bool][]Layer{false: strangers.legacy(f, "sig"), true: strangers.legacy(f, "att")} {
		for _, l := range layers {
			a := l.Annotations
			f.Add(l.Content, a[annotationSignature], a[annotationCertificate], a[annotationBundle], a[annotationTimestamp], attestation)
		}
	}
	f.Add([]byte("{}"), "AA==", " ", "{}", "{}", false)
	f.Fuzz(func(t *testing.T, content []byte, signature, certificate, entry, timestamp string, attestation bool) {
		annotations := map[string]string{}
		for name, value := range map[string]string{
			annotationSignature: signature, annotationCertificate: certificate, annotationBundle: entry, annotationTimestamp: timestamp,
		} {
			if value != "" {
				annotations[name] = value
			}
		}
		refuseAll(t, checks, Layer{Annotations: annotations, Content: content}, FormatLegacy, attestation)
	})
}

func FuzzBundle(f *testing.F) {
	checks, strangers := fuzzed(f)
	for _, l := range strangers.bundles(f) {
		f.Add(l.Content)
	}
	f.Add(newForger(f).message(f, []byte("x")).Content)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		refuseAll(t, checks, Layer{Content: content}, FormatBundle, true)
	})
}

// FuzzStatement holds what is read against encoding/json: where a statement is
// accepted, it is read in the one way in which everybody else reads it.
func FuzzStatement(f *testing.F) {
	f.Add([]byte(statementOf(subjectOf(testDigest), "")))
	for _, payload := range strangePayloads() {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := statement.FromEnvelope(&dsse.Envelope{PayloadType: statement.PayloadType, Payload: string(payload)})
		if err == nil && len(got.Raw) == 0 {
			t.Error("read a statement of nothing")
		}
		got, err = statement.Parse(payload)
		if err != nil {
			return
		}
		var want struct {
			Type          string `json:"_type"`
			PredicateType string `json:"predicateType"`
			Subject       []struct{ Digest map[string]string }
		}
		if err := json.Unmarshal(payload, &want); err != nil {
			t.Fatalf("accepted what is no JSON: %v", err)
		}
		if got.PredicateType != want.PredicateType || len(got.Subjects) != len(want.Subject) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for i, subject := range got.Subjects {
			for algorithm, hex := range want.Subject[i].Digest {
				if subject[algorithm] != hex {
					t.Errorf("subject %d: got %q, want %q", i, subject[algorithm], hex)
				}
			}
		}
	})
}
