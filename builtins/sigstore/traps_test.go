package sigstore

import (
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

// The tests of this file are named after the traps that lie in the libraries:
// crashes by content, checks that pass when something is absent, state.

// annotated is the layer with one annotation changed.
func annotated(l Layer, name, value string) Layer {
	annotations := maps.Clone(l.Annotations)
	annotations[name] = value
	return Layer{Annotations: annotations, Content: l.Content}
}

func TestCrashLogEntryBodyIsNotAString(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release}, {signer: release, fault: bundle-not-a-string}]")
	c := s.check(t, keyless())
	layers := s.legacy(t, "sig")
	hostile := []Layer{layers[1]}
	for _, text := range []string{"", "{}", "null", "[]", "1", `"x"`, `{"Payload":null}`, `{"Payload":{}}`, `{"Payload":{"body":null}}`,
		`{"Payload":{"body":1}}`, `{"Payload":{"body":"?"}}`, `{"Payload":{"body":""}}`, `{"Payload":{"body":""},"SignedEntryTimestamp":"AA=="}`,
		`{"Payload":{"body":"e30="},"SignedEntryTimestamp":"AA=="}`, strings.Repeat("[", 100000)} {
		hostile = append(hostile, annotated(layers[0], annotationBundle, text))
	}
	for i, l := range hostile {
		if _, refusal := s.one(t, c, l, FormatLegacy, false); codeOf(refusal) != Malformed && codeOf(refusal) != TLog {
			t.Errorf("%d: got %v, want %s", i, refusal, Malformed)
		}
	}
}

func TestCrashCertificateAnnotationIsBlank(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release}, {signer: release, fault: blank-certificate}, {signer: deploy-key}]")
	layers := s.legacy(t, "sig")
	for _, c := range []*Check{s.check(t, keyless()), s.check(t, s.keyed(t, "deploy-key"))} {
		hostile := []Layer{layers[1]}
		for _, text := range []string{"", " ", "\n", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "x"} {
			hostile = append(hostile, annotated(layers[0], annotationCertificate, text), annotated(layers[2], annotationCertificate, text))
		}
		for i, l := range hostile {
			if _, refusal := s.one(t, c, l, FormatLegacy, false); codeOf(refusal) != Malformed {
				t.Errorf("%d: got %v, want %s", i, refusal, Malformed)
			}
		}
	}
}

func TestCrashTimestampDoesNotVerify(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release, timestamp: true}, {signer: release, timestamp: true, fault: timestamp-unknown}]")
	layers := s.legacy(t, "sig")
	hostile := []Layer{layers[1], annotated(layers[1], annotationTimestamp, layers[0].Annotations[annotationTimestamp])}
	for _, raw := range []string{"x", "0\x00", strings.Repeat("0", 5000)} {
		value := fmt.Sprintf(`{"SignedRFC3161Timestamp":%q}`, base64.StdEncoding.EncodeToString([]byte(raw)))
		hostile = append(hostile, annotated(layers[0], annotationTimestamp, value))
	}
	for _, a := range []cip.Authority{withTimestamp(keyless()), withLog(withTimestamp(keyless()))} {
		c := s.check(t, a)
		for i, l := range hostile {
			if _, refusal := s.one(t, c, l, FormatLegacy, false); codeOf(refusal) != Timestamp {
				t.Errorf("%d: got %v, want %s", i, refusal, Timestamp)
			}
		}
	}
	for _, text := range []string{"", "{}", "null", "[]", `{"SignedRFC3161Timestamp":1}`, `{"SignedRFC3161Timestamp":""}`} {
		l := annotated(layers[0], annotationTimestamp, text)
		if _, refusal := s.one(t, s.check(t, withTimestamp(keyless())), l, FormatLegacy, false); codeOf(refusal) != Malformed {
			t.Errorf("%q: got %v, want %s", text, refusal, Malformed)
		}
	}
}

func TestPanicsAreRefusals(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release}]")
	broken := *s.check(t, keyless())
	broken.trust = nil
	if _, refusal := s.one(t, &broken, s.legacy(t, "sig")[0], FormatLegacy, false); codeOf(refusal) != Malformed ||
		!strings.Contains(refusal.Message, "verification panicked") {
		t.Errorf("got %v, want a panic as %s", refusal, Malformed)
	}
}

func TestFailOpenNilClaimVerifier(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release, fault: other-image}], attestations: [{signer: release, predicateType: x, fault: other-image}]")
	for _, attestation := range []bool{false, true} {
		l := s.evidence(t, FormatLegacy, attestation)[0]
		if _, refusal := s.one(t, s.check(t, keyless()), l, FormatLegacy, attestation); codeOf(refusal) != DigestMismatch {
			t.Errorf("attestation %t: got %v, want %s", attestation, refusal, DigestMismatch)
		}
	}
}

// The time of the process is never asked: with a log the clock of the check does
// not count either, and minutes after signing is like years after.
func TestFailOpenTimestampFallsBackToNow(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release, log: none}]")
	l := s.legacy(t, "sig")[0]
	for _, now := range []time.Time{clock(), clock().Add(time.Minute), today(), time.Now()} {
		c := s.check(t, withTimestamp(keyless()), Options{Now: now})
		if _, refusal := s.one(t, c, l, FormatLegacy, false); codeOf(refusal) != Timestamp {
			t.Errorf("%v: got %v, want %s", now, refusal, Timestamp)
		}
	}
}

func TestUnanchoredIdentities(t *testing.T) {
	t.Parallel()
	identities := func(issuer, subject string) cip.Authority {
		a := keyless()
		a.Keyless = &cip.KeylessRef{Identities: []cip.Identity{{IssuerRegExp: issuer, SubjectRegExp: subject}}}
		return a
	}
	for _, format := range []string{FormatLegacy, FormatBundle} {
		s := open(t, "signatures: [{signer: release, format: "+format+"}]")
		l := s.evidence(t, format, false)[0]
		for _, test := range []struct {
			issuer, subject    string
			anywhere, anchored Code
		}{
			{"actions.githubusercontent", "acme/app", "", IdentityMismatch},
			{"^https://token.actions", ".*", "", IdentityMismatch},
			{".*", ".*", "", ""},
			{"nobody|https://token.*", "https://github.com/acme/.*|nobody", "", ""},
			{"token|https", "acme|release", "", IdentityMismatch},
			{"(?i)HTTPS://TOKEN.*", ".*@refs/tags/v1", "", ""},
			{".*", "acme/apple", IdentityMismatch, IdentityMismatch},
		} {
			for anchored, want := range map[bool]Code{false: test.anywhere, true: test.anchored} {
				c := s.check(t, identities(test.issuer, test.subject), Options{Now: today(), AnchoredIdentities: anchored})
				if _, refusal := s.one(t, c, l, format, false); codeOf(refusal) != want {
					t.Errorf("%s %q %q anchored=%t: got %v, want %q", format, test.issuer, test.subject, anchored, refusal, want)
				}
			}
		}
		for _, expression := range []string{"a)|(.*", "(", `\Qa`} {
			if _, refusal := NewCheck(identities(".*", expression), s.roots(t), Options{Now: today(), AnchoredIdentities: true}); codeOf(refusal) != Unsupported {
				t.Errorf("%q: got %v, want %s", expression, refusal, Unsupported)
			}
		}
	}
}

// TestRaceAnnotationMapsAreNotWritten is for the race detector: cosign writes
// into the maps that it is given.
func TestRaceAnnotationMapsAreNotWritten(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release, timestamp: true}], attestations: [{signer: release, predicateType: x}]")
	c := s.check(t, withLog(withTimestamp(keyless())))
	plain := s.check(t, keyless())
	signatures, attestations := s.legacy(t, "sig"), s.legacy(t, "att")
	before := maps.Clone(signatures[0].Annotations)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if _, refusal := c.Signatures(s.digest, []Evidence{{FormatLegacy, signatures}}); refusal != nil {
				t.Error(refusal)
			}
			if _, refusal := plain.Attestations(s.digest, []Evidence{{FormatLegacy, attestations}}); refusal != nil {
				t.Error(refusal)
			}
		})
	}
	wait.Wait()
	if diff := cmp.Diff(before, signatures[0].Annotations); diff != "" {
		t.Error(diff)
	}
}

// TestEnvironmentChangesNothing is not parallel: it sets what cosign would read.
func TestEnvironmentChangesNothing(t *testing.T) {
	for _, name := range []string{
		"SIGSTORE_ROOT_FILE", "SIGSTORE_REKOR_PUBLIC_KEY", "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", "SIGSTORE_TSA_CERTIFICATE_FILE",
		"TUF_ROOT", "TUF_MIRROR", "TUF_ROOT_JSON", "COSIGN_REPOSITORY", "COSIGN_MAX_ATTACHMENT_SIZE", "COSIGN_EXPERIMENTAL", "DOCKER_CONFIG",
	} {
		t.Setenv(name, "/dev/null/garbage")
	}
	t.Setenv("HOME", "")
	s := open(t, `signatures: [{signer: release, timestamp: true}, {signer: release, format: bundle, timestamp: true},
		{signer: release, timestamp: true, fault: other-root}]`)
	c := s.check(t, withLog(withTimestamp(keyless())))
	for format, layers := range map[string][]Layer{FormatLegacy: s.legacy(t, "sig"), FormatBundle: s.bundles(t)} {
		if _, refusal := s.one(t, c, layers[0], format, false); refusal != nil {
			t.Errorf("%s: %v", format, refusal)
		}
	}
	if _, refusal := s.one(t, c, s.legacy(t, "sig")[1], FormatLegacy, false); codeOf(refusal) != UntrustedRoot {
		t.Errorf("got %v, want %s", refusal, UntrustedRoot)
	}
}

func TestMoreThanFiftySignaturesAreTooMany(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		bad  int
		want Code
	}{{0, ""}, {49, ""}, {50, TooLarge}, {1000, TooLarge}} {
		bad := fmt.Sprintf("{signer: release, fault: signature-tampered, copies: %d}, ", test.bad)
		if test.bad == 0 {
			bad = ""
		}
		s := open(t, "signatures: ["+bad+"{signer: release}]")
		layers := s.legacy(t, "sig")
		split := []Evidence{{FormatLegacy, layers[:len(layers)/2]}, {FormatLegacy, layers[len(layers)/2:]}}
		found, refusal := s.check(t, keyless()).Signatures(s.digest, split)
		if codeOf(refusal) != test.want || (test.want == "" && len(found) != 1) {
			t.Errorf("a good one after %d bad ones: got %v, want %q", test.bad, refusal, test.want)
		}
	}
}
