package sigstore

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/assay-dev/assay/builtins/sigstore/statement"
	"github.com/assay-dev/assay/rego/cip"
)

// The tests of this file are named after holes that verifiers have had: T1 to T9
// of the list of CVEs that a verifier must have a test for.

func TestT1OnlyAttestationsOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, format := range []string{FormatLegacy, FormatBundle} {
		s := open(t, `attestations: [{signer: release, predicateType: b, format: `+format+`},
			{signer: release, predicateType: a, format: `+format+`}, {signer: laptop, predicateType: custom, format: `+format+`}]`)
		found, refusal := s.check(t, keyless()).Attestations(s.digest, []Evidence{{format, s.evidence(t, format, true)}})
		if refusal != nil || len(found) != 2 {
			t.Fatalf("%s: got %d, %v, want 2", format, len(found), refusal)
		}
		_, refusal = OfType(found, "https://cosign.sigstore.dev/attestation/v1", "custom")
		want := &Refusal{Code: NotFound, Message: `no matching attestations with type custom, checked the following predicateTypes: "a,b"`}
		if refusal == nil || refusal.Error() != want.Error() {
			t.Errorf("%s: got %v, want %v", format, refusal, want)
		}
		for _, near := range []string{"A", "a ", "", "a/"} {
			if _, refusal := OfType(found, near, near); codeOf(refusal) != NotFound {
				t.Errorf("%s: %q: got %v, want %s", format, near, refusal, NotFound)
			}
		}
		if of, refusal := OfType(found, "a", "a"); refusal != nil || len(of) != 1 || of[0].PredicateType != "a" {
			t.Errorf("%s: got %v, %v, want the one of type a", format, of, refusal)
		}
	}
}

// The annotation says one type, what is signed says another.
func TestT1AnnotationLiesAboutTheType(t *testing.T) {
	t.Parallel()
	s := open(t, "attestations: [{signer: release, predicateType: a}]")
	l := annotated(s.legacy(t, "att")[0], "predicateType", "b")
	found, refusal := s.check(t, keyless()).Attestations(s.digest, []Evidence{{FormatLegacy, []Layer{l}}})
	if refusal != nil || found[0].PredicateType != "a" {
		t.Errorf("got %v, %v, want type a", found, refusal)
	}
}

// stranger payloads, signed by the right key.
func strangePayloads() map[string]string {
	about := subjectOf(testDigest)
	return map[string]string{
		"empty":                       "",
		"not JSON":                    "statement",
		"null":                        "null",
		"an array":                    "[]",
		"cut off":                     statementOf(about, "")[:60],
		"more after the end":          statementOf(about, "") + "{}",
		"predicateType twice":         statementOf(about, `,"predicateType":"https://spdx.dev/Document"`),
		"predicateType in other case": statementOf(about, `,"PredicateType":"https://spdx.dev/Document"`),
		"_type twice":                 statementOf(about, `,"_type":"https://in-toto.io/Statement/v1"`),
		"_TYPE":                       statementOf(about, `,"_TYPE":"https://in-toto.io/Statement/v1"`),
		"subject twice":               statementOf(about, `,"subject":[]`),
		"subject in other case":       statementOf(about, `,"Subject":[]`),
		"subject with a long s":       statementOf(about, `,"ſubject":[]`),
		"subject escaped":             statementOf(about, `,"\u0073ubject":[]`),
		"predicate twice":             statementOf(about, `,"predicate":{"a":1}`),
		"digest twice":                statementOf(`[{"digest":{"sha256":"`+testDigest[7:]+`"},"digest":{}}]`, ""),
		"digest in other case":        statementOf(`[{"digest":{"sha256":"`+testDigest[7:]+`"},"Digest":{}}]`, ""),
		"sha256 twice":                statementOf(`[{"digest":{"sha256":"00","sha256":"`+testDigest[7:]+`"}}]`, ""),
		"_type of another version":    strings.Replace(statementOf(about, ""), "Statement/v1", "Statement/v99", 1),
		"other _type":                 strings.Replace(statementOf(about, ""), "in-toto.io/Statement", "in-toto.io/Link", 1),
		"no _type":                    `{"predicateType":"a","subject":` + about + `}`,
		"_type is a number":           `{"_type":1,"predicateType":"a","subject":` + about + `}`,
		"no predicateType":            `{"_type":"https://in-toto.io/Statement/v1","subject":` + about + `}`,
		"empty predicateType":         `{"_type":"https://in-toto.io/Statement/v1","predicateType":"","subject":` + about + `}`,
		"no subject":                  `{"_type":"https://in-toto.io/Statement/v1","predicateType":"a"}`,
		"subject is an object":        `{"_type":"https://in-toto.io/Statement/v1","predicateType":"a","subject":{}}`,
		"nested ten thousand deep":    statementOf(about, `,"x":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)),
	}
}

func TestT2MalformedStatements(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	c := f.check(t)
	for name, payload := range strangePayloads() {
		for _, e := range f.attestation(t, statement.PayloadType, payload) {
			if _, refusal := c.Attestations(testDigest, []Evidence{e}); codeOf(refusal) != Malformed {
				t.Errorf("%s %s: got %v, want %s", e.Format, name, refusal, Malformed)
			}
		}
	}
	sound := f.attestation(t, statement.PayloadType, statementOf(subjectOf(testDigest), `,"unknown":1`))
	if found, refusal := c.Attestations(testDigest, sound); refusal != nil || len(found) != 2 {
		t.Errorf("got %d, %v, want both formats of the sound statement", len(found), refusal)
	}
}

func TestT2PayloadTypeIsNotInToto(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	for _, payloadType := range []string{"", "text/plain", "application/vnd.in-toto+json; x", "application/vnd.in-toto.bundle"} {
		for _, e := range f.attestation(t, payloadType, statementOf(subjectOf(testDigest), "")) {
			_, refusal := f.check(t).Attestations(testDigest, []Evidence{e})
			if codeOf(refusal) != Malformed {
				t.Errorf("%s %q: got %v, want %s", e.Format, payloadType, refusal, Malformed)
			}
		}
	}
}

func TestT2MalformedClaims(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	other := strings.Replace(testDigest, "1", "2", 1)
	for name, test := range map[string]struct {
		payload string
		want    Code
	}{
		"sound":              {claim(testDigest), ""},
		"empty":              {"", Malformed},
		"null":               {"null", Malformed},
		"no critical":        {"{}", Malformed},
		"no digest":          {`{"critical":{"image":{}}}`, Malformed},
		"empty digest":       {claim(""), DigestMismatch},
		"digest of another":  {claim(other), DigestMismatch},
		"digest without alg": {claim(testDigest[7:]), DigestMismatch},
		"critical twice":     {strings.Replace(claim(other), `{"critical"`, claim(testDigest)[:len(claim(testDigest))-len(`,"optional":null}`)]+`,"critical"`, 1), Malformed},
		"image twice":        {`{"critical":{"image":{"docker-manifest-digest":"x"},"image":{"docker-manifest-digest":"` + testDigest + `"}}}`, Malformed},
		"digest twice":       {`{"critical":{"image":{"docker-manifest-digest":"x","docker-manifest-digest":"` + testDigest + `"}}}`, Malformed},
		"digest, other case": {`{"critical":{"image":{"Docker-Manifest-Digest":"` + testDigest + `"}}}`, Malformed},
		"more after the end": {claim(testDigest) + "{}", Malformed},
	} {
		_, refusal := f.check(t).Signatures(testDigest, []Evidence{{FormatLegacy, []Layer{f.payload(t, test.payload)}}})
		if codeOf(refusal) != test.want {
			t.Errorf("%s: got %v, want %q", name, refusal, test.want)
		}
	}
}

func TestT3T4LogEntryOfAnotherSignature(t *testing.T) {
	t.Parallel()
	for _, format := range []string{FormatLegacy, FormatBundle} {
		s := open(t, `signatures: [{signer: release, fault: other-entry, format: `+format+`}, {signer: deploy-key, fault: other-entry, format: `+format+`}],
			attestations: [{signer: release, predicateType: a, fault: other-entry}]`)
		layers := s.evidence(t, format, false)
		for i, a := range []cip.Authority{keyless(), withLog(s.keyed(t, "deploy-key"))} {
			if _, refusal := s.one(t, s.check(t, a), layers[i], format, false); codeOf(refusal) != TLog {
				t.Errorf("%s %s: got %v, want %s", format, a.Name, refusal, TLog)
			}
		}
		if _, refusal := s.one(t, s.check(t, keyless()), s.legacy(t, "att")[0], FormatLegacy, true); codeOf(refusal) != TLog {
			t.Errorf("attestation: got %v, want %s", refusal, TLog)
		}
	}
}

// T3: two good signatures of the same signer, each with the other's entry.
func TestT3EntriesSwapped(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release}, {signer: release}, {signer: laptop}]")
	layers := s.legacy(t, "sig")
	for i := range layers {
		swapped := annotated(layers[i], annotationBundle, layers[(i+1)%len(layers)].Annotations[annotationBundle])
		if _, refusal := s.one(t, s.check(t, keyless()), swapped, FormatLegacy, false); codeOf(refusal) != TLog {
			t.Errorf("%d: got %v, want %s", i, refusal, TLog)
		}
	}
}

func TestT6ExpiredIntermediate(t *testing.T) {
	t.Parallel()
	ends := clock().Add(time.Hour)
	for _, curve := range curves() {
		a := newAuthority(t, curve, ends)
		signer, leaf := a.leaf(t, clock().Add(100*time.Hour))
		roots := a.roots(t, nil)
		for now, want := range map[time.Time]Code{
			clock(): "", ends: "", ends.Add(time.Second): UntrustedRoot, clock().Add(50 * time.Hour): UntrustedRoot,
			clock().Add(-2 * time.Hour): Expired, clock().Add(200 * time.Hour): Expired,
		} {
			c, refusal := NewCheck(withoutSCT(withTrustRoot(keyless())), roots, Options{Now: now})
			if refusal != nil {
				t.Fatal(refusal)
			}
			for format, l := range signed(t, signer, leaf) {
				_, refusal := c.Signatures(testDigest, []Evidence{{format, []Layer{l}}})
				got := codeOf(refusal)
				if got == Expired && want == UntrustedRoot && format == FormatBundle {
					got = UntrustedRoot // sigstore-go does not say which of the chain has expired
				}
				if got != want {
					t.Errorf("%s at %v: got %v, want %q", format, now, refusal, want)
				}
			}
		}
	}
}

// ATT-6: a subject is the image by its digest; its name says nothing.
func TestT9DigestsOfSubjects(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	hex := testDigest[len("sha256:"):]
	for subjects, want := range map[string]Code{
		`[]`:                                    DigestMismatch,
		`[{}]`:                                  DigestMismatch,
		`[{"name":"app"}]`:                      DigestMismatch,
		`[{"digest":{}}]`:                       DigestMismatch,
		`[{"digest":{"sha256":""}}]`:            DigestMismatch,
		`[{"digest":{"sha512":"` + hex + `"}}]`: DigestMismatch,
		`[{"digest":{"SHA256":"` + hex + `"}}]`: DigestMismatch,
		`[{"digest":{"":"` + hex + `"}}]`:       DigestMismatch,
		`[{"digest":{"sha256":"` + testDigest + `"}}]`:                     DigestMismatch,
		`[{"digest":{"sha256":"` + hex[:63] + `"}}]`:                       DigestMismatch,
		`[{"digest":{"sha256":"` + hex + `00"}}]`:                          DigestMismatch,
		`[{"digest":{"sha256":null}}]`:                                     DigestMismatch,
		`[{"digest":{"sha256":1}}]`:                                        Malformed,
		`[{"digest":{"sha256":"00"}},{"digest":{"sha256":"` + hex + `"}}]`: "",
		`[{"digest":{"sha512":"00","sha256":"` + hex + `"}}]`:              "",
	} {
		for _, e := range f.attestation(t, statement.PayloadType, statementOf(subjects, "")) {
			_, refusal := f.check(t).Attestations(testDigest, []Evidence{e})
			if got := codeOf(refusal); got != want && (want != DigestMismatch || got != Malformed) {
				t.Errorf("%s %s: got %v, want %q", e.Format, subjects, refusal, want)
			}
		}
	}
}

func TestT9DigestsOfOtherAlgorithms(t *testing.T) {
	t.Parallel()
	said := &statement.Statement{Subjects: []map[string]string{{"sha256": "aa", "sha512": "bb", "md5": ""}}}
	for digest, want := range map[v1.Hash]bool{
		{Algorithm: "sha256", Hex: "aa"}: true, {Algorithm: "sha512", Hex: "bb"}: true, {Algorithm: "sha512", Hex: "aa"}: false,
		{Algorithm: "sha256", Hex: "bb"}: false, {Algorithm: "md5"}: false, {Algorithm: "sha1"}: false, {}: false,
	} {
		if got := said.Names(digest); got != want {
			t.Errorf("%+v: got %t, want %t", digest, got, want)
		}
	}
}

func TestT9DigestOfTheImage(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	evidence := []Evidence{{FormatLegacy, []Layer{f.payload(t, claim(testDigest))}}}
	for _, digest := range []string{"", "sha256:", "sha512:" + strings.Repeat("1", 128), "md5:11", testDigest[7:], strings.ToUpper(testDigest),
		testDigest + "0", testDigest[:70], " " + testDigest} {
		if _, refusal := f.check(t).Signatures(digest, evidence); codeOf(refusal) != DigestMismatch {
			t.Errorf("%q: got %v, want %s", digest, refusal, DigestMismatch)
		}
	}
}

// An attestation of a trusted signer is not a signature, nor is a signature an
// attestation of anything else.
func TestAttestationBundleIsNoSignature(t *testing.T) {
	t.Parallel()
	s := open(t, "attestations: [{signer: release, predicateType: a, format: bundle}, {signer: release, predicateType: a}]")
	c := s.check(t, keyless())
	if found, refusal := c.Signatures(s.digest, []Evidence{{FormatBundle, s.bundles(t)}}); codeOf(refusal) != NoSignatures {
		t.Errorf("bundle: got %v, %v, want %s", found, refusal, NoSignatures)
	}
	if found, refusal := c.Signatures(s.digest, []Evidence{{FormatLegacy, s.legacy(t, "att")}}); codeOf(refusal) != Malformed {
		t.Errorf("layer: got %v, %v, want %s", found, refusal, Malformed)
	}
}

func TestSignatureBundleIsNoAttestation(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release, format: bundle}, {signer: release}]")
	c := s.check(t, keyless())
	found, refusal := c.Attestations(s.digest, []Evidence{{FormatBundle, s.bundles(t)}})
	if refusal != nil {
		t.Fatal(refusal)
	}
	if _, refusal := OfType(found, testType, testType); codeOf(refusal) != NotFound {
		t.Errorf("bundle: got %v, want %s", refusal, NotFound)
	}
	if found, refusal := c.Attestations(s.digest, []Evidence{{FormatLegacy, s.legacy(t, "sig")}}); codeOf(refusal) != Malformed {
		t.Errorf("layer: got %v, %v, want %s", found, refusal, Malformed)
	}
	f := newForger(t)
	manifest := []byte("the manifest itself")
	digest, message := "sha256:"+hexOf(manifest), []Evidence{{FormatBundle, []Layer{f.message(t, manifest)}}}
	if _, refusal := f.check(t).Signatures(digest, message); refusal != nil {
		t.Errorf("message: %v", refusal)
	}
	if found, refusal := f.check(t).Attestations(digest, message); codeOf(refusal) != NoSignatures {
		t.Errorf("message: got %v, %v, want %s", found, refusal, NoSignatures)
	}
}

// A policy names the formats that it reads; the other is not a second chance.
func TestFormatThatThePolicyDoesNotName(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release}, {signer: release, format: bundle}]")
	evidence := []Evidence{{FormatLegacy, s.legacy(t, "sig")}, {FormatBundle, s.bundles(t)}, {"other", s.legacy(t, "sig")}}
	for format, want := range map[cip.SignatureFormat][]string{
		"": {FormatLegacy}, cip.FormatLegacy: {FormatLegacy}, cip.FormatBundle: {FormatBundle}, cip.FormatAny: {FormatLegacy, FormatBundle},
	} {
		a := keyless()
		a.SignatureFormat = format
		found, refusal := s.check(t, a).Signatures(s.digest, evidence)
		var got []string
		for _, s := range found {
			got = append(got, s.Format)
		}
		if refusal != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", format, got, refusal, want)
		}
		if _, refusal := s.check(t, a).Signatures(s.digest, evidence[2:]); codeOf(refusal) != Unsupported {
			t.Errorf("%q: got %v, want %s", format, refusal, Unsupported)
		}
	}
}

// document edits the JSON of a layer or a root.
func document(t testing.TB, data []byte, edit func(map[string]any)) []byte {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	edit(out)
	encoded, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// TestNameThatIsShownIsTheOneThatMatched: of a certificate with two names, the
// facts never show one that the policy did not ask for.
func TestNameThatIsShownIsTheOneThatMatched(t *testing.T) {
	t.Parallel()
	const trusted = "trusted@acme.example"
	a := newAuthority(t, curves()[0], clock().Add(100*time.Hour))
	signer, leaf := a.leaf(t, clock().Add(100*time.Hour), trusted)
	layer := signed(t, signer, leaf)[FormatLegacy]
	for _, want := range []string{trusted, testSubject} {
		authority := withoutSCT(withTrustRoot(keyless()))
		authority.Keyless.Identities = []cip.Identity{{Issuer: testIssuer, Subject: want}}
		c, refusal := NewCheck(authority, a.roots(t, nil), Options{Now: clock()})
		if refusal != nil {
			t.Fatal(refusal)
		}
		found, refusal := c.Signatures(testDigest, []Evidence{{FormatLegacy, []Layer{layer}}})
		if refusal != nil || found[0].Subject != want {
			t.Errorf("got %v, %v, want the subject %s", found, refusal, want)
		}
	}
}
