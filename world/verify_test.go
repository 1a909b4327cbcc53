package world_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sigstore/cosign/v2/pkg/cosign"

	"github.com/assay-dev/assay/world"
)

// refusal is evidence, as YAML, and why a verifier refuses it: "" is acceptance.
type refusal struct{ evidence, reason string }

func legacySignatureCases() map[string]refusal {
	return map[string]refusal{
		"sound":               {"signer: release", ""},
		"with a timestamp":    {"signer: release, timestamp: true", ""},
		"other signer":        {"signer: laptop", "none of the expected identities matched"},
		"expired":             {"signer: release, fault: expired", "expired before signatures were entered in log"},
		"missing-sct":         {"signer: release, fault: missing-sct", "does not include required embedded SCT"},
		"wrong-ct-log":        {"signer: release, fault: wrong-ct-log", "only able to verify 0 SCT entries"},
		"no-log":              {"signer: release, fault: no-log", "offline verification failed"},
		"log none":            {"signer: release, log: none", "offline verification failed"},
		"wrong-log":           {"signer: release, fault: wrong-log", "rekor log public key not found"},
		"set-tampered":        {"signer: release, fault: set-tampered", "unable to verify SET"},
		"other-root":          {"signer: release, fault: other-root", "leaf certificate verification failed"},
		"payload-tampered":    {"signer: release, fault: payload-tampered", "matching bundle to payload"},
		"signature-tampered":  {"signer: release, fault: signature-tampered", "invalid signature"},
		"other-image":         {"signer: release, fault: other-image", "invalid or missing digest in claim"},
		"other-entry":         {"signer: release, fault: other-entry", "signature in bundle does not match"},
		"certificate-missing": {"signer: release, fault: certificate-missing", "empty key"},
		"blank-certificate":   {"signer: release, fault: blank-certificate", "panic"},
		"bundle-not-a-string": {"signer: release, fault: bundle-not-a-string", "panic"},
		"timestamp-unknown":   {"signer: release, timestamp: true, fault: timestamp-unknown", "panic"},
	}
}

func TestLegacySignature(t *testing.T) {
	t.Parallel()
	for name, test := range legacySignatureCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, withImage("signatures", "{"+test.evidence+"}"))
			opts := keyless()
			opts.UseSignedTimestamps = strings.Contains(test.evidence, "timestamp: true")
			checkRefusal(t, verifyLegacy(t, w, "app", legacy(t, w, "app", "sig")[0], opts), test.reason)
		})
	}
}

func legacyAttestationCases() map[string]refusal {
	return map[string]refusal{
		"sound":               {"signer: release", ""},
		"sound as intoto":     {"signer: release, entry: intoto", ""},
		"with a timestamp":    {"signer: release, timestamp: true", ""},
		"expired":             {"signer: release, fault: expired", "expired before signatures were entered in log"},
		"missing-sct":         {"signer: release, fault: missing-sct", "does not include required embedded SCT"},
		"wrong-ct-log":        {"signer: release, fault: wrong-ct-log", "only able to verify 0 SCT entries"},
		"no-log":              {"signer: release, fault: no-log", "offline verification failed"},
		"wrong-log":           {"signer: release, fault: wrong-log", "rekor log public key not found"},
		"set-tampered":        {"signer: release, fault: set-tampered", "unable to verify SET"},
		"other-root":          {"signer: release, fault: other-root", "leaf certificate verification failed"},
		"payload-tampered":    {"signer: release, fault: payload-tampered", "matching bundle to payload"},
		"signature-tampered":  {"signer: release, fault: signature-tampered", "accepted signatures do not match threshold"},
		"other-image":         {"signer: release, fault: other-image", "no matching subject digest found"},
		"other-entry":         {"signer: release, fault: other-entry", "matching bundle to payload"},
		"certificate-missing": {"signer: release, fault: certificate-missing", "empty key"},
		"wrong-payload-type":  {"signer: release, fault: wrong-payload-type", "invalid payloadType"},
		"blank-certificate":   {"signer: release, fault: blank-certificate", "panic"},
		"bundle-not-a-string": {"signer: release, fault: bundle-not-a-string", "panic"},
	}
}

func TestLegacyAttestation(t *testing.T) {
	t.Parallel()
	for name, test := range legacyAttestationCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, withImage("attestations", "{predicateType: https://example.com/p/v1, "+test.evidence+"}"))
			opts := keyless()
			opts.UseSignedTimestamps = strings.Contains(test.evidence, "timestamp: true")
			checkRefusal(t, verifyLegacy(t, w, "app", legacy(t, w, "app", "att")[0], opts), test.reason)
		})
	}
}

func bundleCases() map[string]refusal {
	const two = "log: rekor2, timestamp: true"
	return map[string]refusal{
		"sound":                        {"", ""},
		"with a timestamp":             {"timestamp: true", ""},
		"rekor2":                       {two, ""},
		"rekor2 without time":          {"log: rekor2", "threshold not met for verified signed & log entry integrated timestamps"},
		"expired":                      {"fault: expired", "integrated time outside certificate validity"},
		"expired, rekor2":              {two + ", fault: expired", "failed to verify leaf certificate"},
		"missing-sct":                  {"fault: missing-sct", "only able to verify 0 SCT entries"},
		"wrong-ct-log":                 {"fault: wrong-ct-log", "only able to verify 0 SCT entries"},
		"no-log":                       {"timestamp: true, fault: no-log", "not enough verified log entries"},
		"wrong-log":                    {"timestamp: true, fault: wrong-log", "not enough verified log entries"},
		"wrong-log, rekor2":            {two + ", fault: wrong-log", "not enough verified log entries"},
		"set-tampered":                 {"timestamp: true, fault: set-tampered", "not enough verified log entries"},
		"other-root":                   {"fault: other-root", "failed to verify leaf certificate"},
		"other-root, rekor2":           {two + ", fault: other-root", "failed to verify leaf certificate"},
		"payload-tampered":             {"fault: payload-tampered", "payload hash"},
		"payload-tampered, rekor2":     {two + ", fault: payload-tampered", "verifying inclusion"},
		"signature-tampered":           {"fault: signature-tampered", "could not verify envelope"},
		"signature-tampered, rekor2":   {two + ", fault: signature-tampered", "could not verify envelope"},
		"other-image":                  {"fault: other-image", "does not match any digest in statement"},
		"other-entry":                  {"fault: other-entry", "transparency log signature does not match"},
		"other-entry, rekor2":          {two + ", fault: other-entry", "verifying inclusion"},
		"certificate-missing":          {"fault: certificate-missing", "missing verification material"},
		"wrong-payload-type":           {"fault: wrong-payload-type", "payload type"},
		"timestamp-unknown":            {two + ", fault: timestamp-unknown", "threshold not met"},
		"timestamp-unknown but logged": {"timestamp: true, fault: timestamp-unknown", ""},
	}
}

func TestBundle(t *testing.T) {
	t.Parallel()
	for name, test := range bundleCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, withImage("signatures", "{signer: release, format: bundle, "+test.evidence+"}"))
			_, err := verifyBundle(t, w, "app", bundles(t, w, "app")[0], "")
			checkRefusal(t, err, test.reason)
		})
	}
}

func messageCases() map[string]refusal {
	const two = "log: rekor2, timestamp: true"
	return map[string]refusal{
		"sound":                    {"", ""},
		"rekor2":                   {two, ""},
		"expired":                  {"fault: expired", "integrated time outside certificate validity"},
		"missing-sct":              {"fault: missing-sct", "only able to verify 0 SCT entries"},
		"payload-tampered":         {"fault: payload-tampered", "does not match artifact"},
		"signature-tampered":       {"fault: signature-tampered", "invalid signature"},
		"other-image":              {"fault: other-image", "artifact does not match digest"},
		"other-entry":              {"fault: other-entry", "transparency log signature does not match"},
		"other-entry, rekor2":      {two + ", fault: other-entry", "verifying inclusion"},
		"certificate-missing":      {"fault: certificate-missing", "missing verification material"},
		"without time for its log": {"log: rekor2", "threshold not met"},
	}
}

func TestMessageBundle(t *testing.T) {
	t.Parallel()
	for name, test := range messageCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, withImage("signatures", "{signer: release, format: bundle, content: message, "+test.evidence+"}"))
			data := bundles(t, w, "app")[0]
			if !bytes.Contains(data, []byte(`"messageSignature"`)) {
				t.Errorf("got %s, want a message signature", data)
			}
			_, err := verifyBundle(t, w, "app", data, "")
			checkRefusal(t, err, test.reason)
		})
	}
}

func TestBundleAttestation(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"entry: dsse", "entry: intoto", "log: rekor2, timestamp: true"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			const predicateType = "https://example.com/p/v1"
			w := open(t, withImage("attestations",
				"{signer: release, format: bundle, predicateType: "+predicateType+", predicate: {a: [1, <b>]}, "+how+"}"))
			result, err := verifyBundle(t, w, "app", bundles(t, w, "app")[0], "")
			if err != nil {
				t.Fatal(err)
			}
			if got := result.Statement.GetPredicateType(); got != predicateType {
				t.Errorf("got %s, want %s", got, predicateType)
			}
			if got, want := fmt.Sprint(result.Statement.GetPredicate().AsMap()), "map[a:[1 <b>]]"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestKeySigner(t *testing.T) {
	t.Parallel()
	w := open(t, signers+`  intern: {key: ecdsa-p256}
images:
  app:
    signatures:
      - {signer: deploy}
      - {signer: deploy, log: none}
      - {signer: deploy, format: bundle}
      - {signer: deploy, format: bundle, log: rekor2}
      - {signer: deploy, format: bundle, content: message}
    attestations:
      - {signer: deploy, predicateType: https://example.com/p/v1}
`)
	for _, layer := range append(legacy(t, w, "app", "sig"), legacy(t, w, "app", "att")...) {
		logged, err := layer.Bundle()
		if err != nil {
			t.Fatal(err)
		}
		opts := cosign.CheckOpts{SigVerifier: keyVerifier(t, w, "deploy"), IgnoreTlog: logged == nil}
		checkRefusal(t, verifyLegacy(t, w, "app", layer, opts), "")
		opts.SigVerifier = keyVerifier(t, w, "intern")
		if err := verifyLegacy(t, w, "app", layer, opts); err == nil {
			t.Error("got acceptance under another key, want a refusal")
		}
	}
	all := bundles(t, w, "app")
	if got, want := len(all), 3; got != want {
		t.Fatalf("got %d bundles, want %d", got, want)
	}
	for _, data := range all {
		_, err := verifyBundle(t, w, "app", data, "deploy")
		checkRefusal(t, err, "")
		if _, err := verifyBundle(t, w, "app", data, "intern"); err == nil {
			t.Error("got acceptance under another key, want a refusal")
		}
	}
}

func TestCertificateExtensions(t *testing.T) {
	t.Parallel()
	w := open(t, `
signers:
  release:
    issuer: `+issuer+`
    subject: `+subject+`
    extensions: {githubWorkflowRepository: acme/app, sourceRepositoryURI: https://github.com/acme/app, sourceRepositoryVisibilityAtSigning: public}
images: {app: {signatures: [{signer: release, format: bundle}]}}
`)
	result, err := verifyBundle(t, w, "app", bundles(t, w, "app")[0], "")
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(result.Signature.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"issuer":"` + issuer + `"`, `"githubWorkflowRepository":"acme/app"`,
		`"sourceRepositoryURI":"https://github.com/acme/app"`, `"sourceRepositoryVisibilityAtSigning":"public"`,
	} {
		if !bytes.Contains(encoded, []byte(want)) {
			t.Errorf("got %s, want %s in it", encoded, want)
		}
	}
}

func TestEvidenceFromAnotherImageIsRefused(t *testing.T) {
	t.Parallel()
	w := open(t, signers+`
images:
  app:
    signatures: [{signer: release}, {signer: release, format: bundle}]
  thief: {evidenceFrom: app}
`)
	checkRefusal(t, verifyLegacy(t, w, "app", legacy(t, w, "app", "sig")[0], keyless()), "")
	err := verifyLegacy(t, w, "thief", legacy(t, w, "thief", "sig")[0], keyless())
	checkRefusal(t, err, "invalid or missing digest in claim")
	stolen := bundles(t, w, "thief")
	if got, want := stolen, bundles(t, w, "app"); len(got) != 1 || !bytes.Equal(got[0], want[0]) {
		t.Errorf("got %d bundles, want the one of app", len(got))
	}
	_, err = verifyBundle(t, w, "thief", stolen[0], "")
	checkRefusal(t, err, "does not match any digest in statement")
}

func TestEveryFaultIsRefusedSomewhere(t *testing.T) {
	t.Parallel()
	for _, fault := range world.Faults() {
		refused := false
		for _, cases := range []map[string]refusal{legacySignatureCases(), legacyAttestationCases(), bundleCases()} {
			for _, c := range cases {
				refused = refused || c.reason != "" && strings.HasSuffix(c.evidence, "fault: "+string(fault))
			}
		}
		if !refused {
			t.Errorf("no test shows that a verifier refuses %s", fault)
		}
	}
}
