package sigstore

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/assay-dev/assay/builtins/sigstore/miss"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world"
)

// TestMissesOfFaults: what differs is told of every fault, in both formats.
func TestMissesOfFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[world.Fault]struct {
		signing   string
		authority cip.Authority
		what      miss.What
		got, want string // in part
	}{
		world.Expired:          {"", keyless(), miss.Validity, "a certificate valid from ", "one valid at "},
		world.MissingSCT:       {"", keyless(), miss.SCT, "none", "one in the certificate"},
		world.WrongCTLog:       {"", keyless(), miss.SCT, "one that does not verify", "one of a certificate log that the trust root knows"},
		world.NoEntry:          {"", keyless(), miss.Log, "no entry", "one in log "},
		world.WrongLog:         {"", keyless(), miss.Log, "an entry in log ", "one in log "},
		world.SETTampered:      {"", keyless(), miss.Log, "an entry that does not verify in log ", "one of this signature"},
		world.OtherRoot:        {"", keyless(), miss.Root, "a certificate issued by ", "one issued under "},
		world.OtherImage:       {"", keyless(), miss.Digest, "sha256:", "sha256:"},
		world.UnknownTimestamp: {", timestamp: true", withTimestamp(keyless()), miss.Timestamp, "one that does not verify", "one issued under "},
	} {
		for _, format := range []string{FormatLegacy, FormatBundle} {
			t.Run(string(fault)+" "+format, func(t *testing.T) {
				t.Parallel()
				s := open(t, fmt.Sprintf("signatures: [{signer: release, fault: %s, format: %s%s}]", fault, format, want.signing))
				_, refusal := s.check(t, want.authority).Signatures(s.digest, []Evidence{{format, s.evidence(t, format, false)}})
				if refusal == nil || len(refusal.Misses) != 1 || len(refusal.Misses[0].Differs) != 1 {
					t.Fatalf("got %+v, want one miss with one difference", refusal)
				}
				m := refusal.Misses[0]
				d := m.Differs[0]
				if m.Code != string(refusal.Code) || m.Format != format || d.What != want.what ||
					!strings.HasPrefix(d.Got, want.got) || !strings.HasPrefix(d.Want, want.want) {
					t.Errorf("got %+v, want %s %s: got %q…, want %q…", m, refusal.Code, want.what, want.got, want.want)
				}
			})
		}
	}
}

func TestMissesOfAttestationsAboutAnotherImage(t *testing.T) {
	t.Parallel()
	for _, format := range []string{FormatLegacy, FormatBundle} {
		s := open(t, "attestations: [{signer: release, predicateType: a, fault: other-image, format: "+format+"}]")
		_, refusal := s.check(t, keyless()).Attestations(s.digest, []Evidence{{format, s.evidence(t, format, true)}})
		if refusal == nil || len(refusal.Misses) != 1 || refusal.Misses[0].Differs[0].What != miss.Digest ||
			refusal.Misses[0].Differs[0].Want != s.digest || !strings.HasPrefix(refusal.Misses[0].Differs[0].Got, "sha256:") {
			t.Errorf("%s: got %+v, want the digests", format, refusal)
		}
	}
}

// TestNearestMissStandsFirst: the one that got furthest, and of identities the one
// that differs least.
func TestNearestMissStandsFirst(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release, fault: no-log}, {signer: laptop}, {signer: release}]")
	a := keyless()
	a.Keyless.Identities = []cip.Identity{
		{Issuer: "https://accounts.example.com", Subject: "jane@example.com"},
		{Issuer: testIssuer, Subject: "https://github.com/other"},
		{Issuer: testIssuer, SubjectRegExp: `^https://github\.com/acme/app/.*@refs/heads/main$`},
	}
	_, refusal := s.check(t, a).Signatures(s.digest, []Evidence{{FormatLegacy, s.legacy(t, "sig")}})
	if refusal == nil {
		t.Fatal("got no refusal")
	}
	var got [][]miss.Difference
	for _, m := range refusal.Misses {
		got = append(got, m.Differs)
	}
	want := [][]miss.Difference{
		{{What: miss.Subject, Got: testSubject, Want: `one that matches ^https://github\.com/acme/app/.*@refs/heads/main$`}},
		{{What: miss.Issuer, Got: "https://github.com/login/oauth", Want: "https://accounts.example.com"}},
		refusal.Misses[2].Differs,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	if code := refusal.Misses[2].Code; code != string(TLog) {
		t.Errorf("got %s last, want %s", code, TLog)
	}
}

// TestMissesAreFew, whoever may push to the repository.
func TestMissesAreFew(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: laptop, copies: 30}]")
	_, refusal := s.check(t, keyless()).Signatures(s.digest, []Evidence{{FormatLegacy, s.legacy(t, "sig")}})
	if refusal == nil || len(refusal.Misses) != miss.Most {
		t.Errorf("got %+v, want %d misses", refusal, miss.Most)
	}
}

// TestMissesOfOtherTypes: what was verified is a near miss of another type.
func TestMissesOfOtherTypes(t *testing.T) {
	t.Parallel()
	got := otherTypes([]Signature{{Format: FormatBundle, Digest: "sha256:1", PredicateType: "a\x1b[2J"}}, "b")
	want := []miss.Miss{{
		Digest: "sha256:1", Format: FormatBundle, Code: "not_found", Message: "verified, of another predicate type",
		Differs: []miss.Difference{{What: miss.PredicateType, Got: `a\u001b[2J`, Want: "b"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("misses (-want +got):\n%s", diff)
	}
}

// TestMissesOfTheTypeComeFirst: of what was refused the one that claims to be of the
// type is nearer than what was verified and is of another.
func TestMissesOfTheTypeComeFirst(t *testing.T) {
	t.Parallel()
	for _, format := range []string{FormatLegacy, FormatBundle} {
		s := open(t, fmt.Sprintf(`attestations: [{signer: release, predicateType: a, format: %[1]s},
			{signer: laptop, predicateType: b, format: %[1]s}, {signer: laptop, predicateType: c, format: %[1]s}]`, format))
		found, missed, refusal := s.check(t, keyless()).AttestationsAndMisses(s.digest, []Evidence{{format, s.evidence(t, format, true)}})
		if refusal != nil || len(found) != 1 || len(missed) != 2 {
			t.Fatalf("%s: got %v, %v, %v", format, found, missed, refusal)
		}
		var got []miss.What
		for _, m := range NotOfType(found, missed, "b") {
			got = append(got, m.Differs[0].What)
		}
		if diff := cmp.Diff([]miss.What{miss.Issuer, miss.PredicateType, miss.Issuer}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

// TestMissesOfHugeClaimsAreCut: what a stranger says that an attestation is, is kept as
// long as the verdict beside it. A claim that is cut is found by its beginning.
func TestMissesOfHugeClaimsAreCut(t *testing.T) {
	t.Parallel()
	huge := "a\x1b" + strings.Repeat("b", 1<<20)
	envelope, err := json.Marshal(map[string]any{"payloadType": "application/vnd.in-toto+json", "payload": []byte(
		`{"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "a", "digest": {"sha256": "00"}}], "predicateType": "a\u001b` +
			huge[2:] + `", "predicate": {}}`)})
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, "signatures: [{signer: release}]").check(t, keyless())
	r := refused{Layer{Content: envelope}, FormatLegacy, true, digestHash(t), &Refusal{Code: DigestMismatch}}
	missed := c.missed([]refused{r})
	if want := miss.Printable(huge); len(missed) != 1 || missed[0].Claims != want {
		t.Fatalf("got %.200v, want a miss that claims %.20q", missed, want)
	}
	if got := NotOfType(nil, missed, huge); got[0].Rank <= NotFound.rank() {
		t.Errorf("got rank %d, want that of the type", got[0].Rank)
	}
	if got := NotOfType(nil, missed, "a"); got[0].Rank >= NotFound.rank() {
		t.Errorf("got rank %d, want that of another type", got[0].Rank)
	}
}

// TestMissesOfCrashingContentAreTold without what differs.
func TestMissesOfCrashingContentAreTold(t *testing.T) {
	t.Parallel()
	c := open(t, "signatures: [{signer: release}]").check(t, keyless())
	for _, code := range []Code{IdentityMismatch, Expired, UntrustedRoot, TLog, Timestamp, DigestMismatch, Malformed, Unsupported, "timeout"} {
		for _, format := range []string{FormatLegacy, FormatBundle, "other"} {
			for _, content := range []string{"", "{}", `{"payload": 1}`, `{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}`} {
				r := refused{Layer{Content: []byte(content)}, format, true, digestHash(t), &Refusal{Code: code}}
				if got := c.missed([]refused{r}); len(got) != 1 || got[0].Code != string(code) {
					t.Errorf("%s %s %q: got %+v, want one miss", code, format, content, got)
				}
			}
		}
	}
}

// TestMissesOfHostileCertificatesAreEscaped: a name may hold any ASCII.
func TestMissesOfHostileCertificatesAreEscaped(t *testing.T) {
	t.Parallel()
	p := piece{leaf: &x509.Certificate{EmailAddresses: []string{"a\x1b[2J\nadmitted\r" + strings.Repeat("x", 1<<20)}}}
	differs, _ := miss.Want([]miss.Identity{{Issuer: testIssuer, Subject: testSubject}}).Nearest(p.names(), p.issuer())
	if len(differs) != 2 || !strings.HasPrefix(differs[1].Got, `a\u001b[2J\u000aadmitted\u000dxxx`) || len(differs[1].Got) > 1<<10+8 {
		t.Errorf("got %.200q", differs)
	}
}

// TestAttestationsAreNearMissesOfSignatures, and the other way round.
func TestAttestationsAreNearMissesOfSignatures(t *testing.T) {
	t.Parallel()
	s := open(t, "attestations: [{signer: release, predicateType: a, format: bundle}]")
	_, refusal := s.check(t, keyless()).Signatures(s.digest, []Evidence{{FormatBundle, s.bundles(t)}})
	if codeOf(refusal) != NoSignatures || len(refusal.Misses) != 1 || refusal.Misses[0].Differs[0] != (miss.Difference{
		What: miss.PredicateType, Got: "a", Want: signPredicateType,
	}) {
		t.Errorf("got %+v, want the attestation", refusal)
	}
}

func digestHash(t *testing.T) v1.Hash {
	t.Helper()
	hash, err := v1.NewHash("sha256:" + strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}
