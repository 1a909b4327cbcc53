package sigstore

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/cosign/v2/pkg/cosign"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world"
)

// MSG-21, MSG-22: TestCodesOfFaults pins the code and the text of every fault that evidence can
// have, in both formats: bundleCode reads sigstore-go's texts.
func TestCodesOfFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[world.Fault]struct {
		signing      string
		authority    cip.Authority
		code         Code
		legacy, text string // "-" where the format has no such fault
	}{
		world.Expired:            {"", keyless(), Expired, "certificate expired before signatures were entered in log", "integrated time outside certificate validity"},
		world.MissingSCT:         {"", keyless(), UntrustedRoot, "certificate does not include required embedded SCT", "only able to verify 0 SCT entries"},
		world.WrongCTLog:         {"", keyless(), UntrustedRoot, "only able to verify 0 SCT entries", "only able to verify 0 SCT entries"},
		world.NoEntry:            {"", keyless(), TLog, "offline verification failed", "not enough verified log entries from transparency log: 0 < 1"},
		world.WrongLog:           {"", keyless(), TLog, "rekor log public key not found for payload", "not enough verified log entries"},
		world.SETTampered:        {"", keyless(), TLog, "unable to verify SET", "not enough verified log entries"},
		world.OtherRoot:          {"", keyless(), UntrustedRoot, "cert verification failed: leaf certificate verification failed", "failed to verify leaf certificate"},
		world.PayloadTampered:    {"", keyless(), TLog, "matching bundle to payload", "payload hash"},
		world.SignatureTampered:  {"", keyless(), Malformed, "invalid signature", "failed to verify signature"},
		world.OtherImage:         {"", keyless(), DigestMismatch, "invalid or missing digest in claim", "does not match any digest in statement"},
		world.OtherEntry:         {"", keyless(), TLog, "signature in bundle does not match", "transparency log signature does not match"},
		world.CertificateMissing: {"", keyless(), Malformed, "", "bundle: "},
		world.WrongPayloadType:   {"", keyless(), Malformed, "-", "payload"},
		world.BlankCertificate:   {"", keyless(), Malformed, `got " ", want a PEM certificate`, "-"},
		world.EntryNotAString:    {"", keyless(), Malformed, "Payload.body: got map[string]interface {}, want a base64 string", "-"},
		world.UnknownTimestamp:   {", timestamp: true", withTimestamp(keyless()), Timestamp, "threshold not met for verified signed timestamps: 0 < 1", "threshold not met"},
	} {
		for format, text := range map[string]string{FormatLegacy: want.legacy, FormatBundle: want.text} {
			if text == "-" {
				continue
			}
			t.Run(string(fault)+" "+format, func(t *testing.T) {
				t.Parallel()
				s := open(t, fmt.Sprintf("signatures: [{signer: release, fault: %s, format: %s%s}]", fault, format, want.signing))
				_, refusal := s.check(t, want.authority).Signatures(s.digest, []Evidence{{format, s.evidence(t, format, false)}})
				code := want.code
				if format == FormatLegacy && (fault == world.CertificateMissing || fault == world.SignatureTampered) {
					code = TLog // the comparison with the entry comes first, and fails
				}
				if codeOf(refusal) != code || !strings.Contains(refusal.Message, text) {
					t.Errorf("got %v, want %s: … %s …", refusal, code, text)
				}
			})
		}
	}
	if got, want := len(world.Faults()), 16; got != want {
		t.Errorf("got %d faults, want %d: give the new ones a row", got, want)
	}
}

func TestCodesOfWhoSigned(t *testing.T) {
	t.Parallel()
	s := open(t, `signatures: [{signer: laptop}, {signer: other-key}, {signer: laptop, format: bundle}, {signer: other-key, format: bundle}]`)
	legacy, bundles := s.legacy(t, "sig"), s.bundles(t)
	for _, test := range []struct {
		name      string
		layer     Layer
		format    string
		authority cip.Authority
		code      Code
		text      string
	}{
		{"another identity", legacy[0], FormatLegacy, keyless(), IdentityMismatch, "none of the expected identities matched what was in the certificate, got subjects [jane@example.com]"},
		{"another identity", bundles[0], FormatBundle, keyless(), IdentityMismatch, "no matching CertificateIdentity found"},
		{"a key for an identity", legacy[1], FormatLegacy, keyless(), TLog, "error verifying bundle"},
		{"a key for an identity", bundles[1], FormatBundle, keyless(), TLog, "transparency log certificate does not match"},
		{"an identity for a key", legacy[0], FormatLegacy, s.keyed(t, "deploy-key"), Malformed, "invalid signature"},
		{"an identity for a key", bundles[0], FormatBundle, s.keyed(t, "deploy-key"), Malformed, "expected key signature, not certificate"},
		{"another key", legacy[1], FormatLegacy, s.keyed(t, "deploy-key"), Malformed, "invalid signature"},
		{"another key", bundles[1], FormatBundle, s.keyed(t, "deploy-key"), Malformed, "failed to verify signature"},
		{"not a bundle", Layer{Content: []byte("{}")}, FormatBundle, keyless(), Malformed, "bundle: "},
	} {
		_, refusal := s.one(t, s.check(t, test.authority), test.layer, test.format, false)
		if codeOf(refusal) != test.code || !strings.Contains(refusal.Message, test.text) {
			t.Errorf("%s %s: got %v, want %s: … %s …", test.format, test.name, refusal, test.code, test.text)
		}
	}
}

func TestNearestMissIsReported(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: laptop}, {signer: release, fault: no-log, copies: 2}, {signer: release, fault: other-image}]")
	_, refusal := s.check(t, keyless()).Signatures(s.digest, []Evidence{{FormatLegacy, s.legacy(t, "sig")}})
	want := &Refusal{Code: IdentityMismatch, Message: "no matching signatures: none of the expected identities matched what was in the certificate, " +
		"got subjects [jane@example.com] with issuer https://github.com/login/oauth\n offline verification failed\n " +
		"invalid or missing digest in claim: sha256:"}
	if refusal == nil || refusal.Code != want.Code || !strings.HasPrefix(refusal.Message, want.Message) {
		t.Errorf("got %v, want %v", refusal, want)
	}
	if _, refusal := s.check(t, keyless()).Signatures(s.digest, nil); refusal == nil || refusal.Error() != "no_signatures: no signatures found" {
		t.Errorf("got %v", refusal)
	}
	if _, refusal := s.check(t, keyless()).Attestations(s.digest, nil); refusal == nil || refusal.Error() != "no_signatures: no matching attestations" {
		t.Errorf("got %v", refusal)
	}
}

func TestFactsOfASignature(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release, timestamp: true}, {signer: release, timestamp: true, format: bundle}]")
	c := s.check(t, withLog(withTimestamp(keyless())))
	for format, layers := range map[string][]Layer{FormatLegacy: s.legacy(t, "sig"), FormatBundle: s.bundles(t)} {
		got, refusal := c.Signatures(s.digest, []Evidence{{format, layers}})
		if refusal != nil {
			t.Fatal(refusal)
		}
		want := Signature{
			Subject: testSubject, Issuer: testIssuer, Format: format,
			Extensions: map[string]string{"githubWorkflowRepository": "acme/app"},
			Timestamps: []TimestampFact{{"https://tsa.world.example", clock()}},
			Log:        []LogFact{{LogID: got[0].Log[0].LogID, Index: got[0].Log[0].Index, IntegratedTime: clock()}},
		}
		if len(got[0].ID) != 64 || len(got[0].Log[0].LogID) != 64 || got[0].Log[0].Index <= 0 {
			t.Errorf("%s: got %+v, want names and the entry's place", format, got[0])
		}
		got[0].ID, got[0].Digest = "", ""
		for key := range got[0].Extensions {
			if want.Extensions[key] == "" {
				delete(got[0].Extensions, key) // the names of Fulcio's own, such as the SAN's type
			}
		}
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
}

// TestStricterThanCosign lists where we refuse what cosign accepts, on purpose.
func TestStricterThanCosign(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	c := f.check(t)
	twice := `{"critical":{"image":{"docker-manifest-digest":"x","docker-manifest-digest":"` + testDigest + `"}}}`
	for name, layer := range map[string]Layer{
		"a key of the payload twice":                f.payload(t, twice),
		"a log entry that is not read, not to read": annotated(f.payload(t, claim(testDigest)), annotationBundle, `{"Payload":{"body":""}}`),
	} {
		opts := cosign.CheckOpts{SigVerifier: c.key, IgnoreTlog: true}
		hash, err := parseDigest(testDigest)
		if err != nil {
			t.Fatal(err)
		}
		if err, panicked := askCosign(t, layer, hash, false, opts); err != nil {
			t.Errorf("%s: cosign says %v, %v", name, err, panicked)
		}
		if _, refusal := c.Signatures(testDigest, []Evidence{{FormatLegacy, []Layer{layer}}}); codeOf(refusal) != Malformed {
			t.Errorf("%s: got %v, want %s", name, refusal, Malformed)
		}
	}
}

// TestFunctionsThatAreNeverCalled reads our own code: these reach the network,
// the environment, log.Fatal or a goroutine in which a panic ends the process.
func TestFunctionsThatAreNeverCalled(t *testing.T) {
	t.Parallel()
	never := map[string]bool{}
	for _, name := range []string{
		"VerifyImageSignatures", "VerifyImageAttestations", "VerifyImageAttestation", "VerifyLocalImageSignatures", "GetBundles",
		"VerifyRFC3161Timestamp", "UseSignedTimestamps", "TrustedRoot", "GetRekorPubs", "GetCTLogPubs", "GetTSACerts",
		"ValidateAndUnpackCertWithChain", "WithAnnotations", "WithoutArtifactUnsafe", "WithoutIdentitiesUnsafe", "Now", "Getenv", "ReadFile",
	} {
		never[name] = true
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := file.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "tuf.go" {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if selector, ok := n.(*ast.SelectorExpr); ok && never[selector.Sel.Name] {
				if x, ok := selector.X.(*ast.Ident); ok && (x.Name == "options" || x.Name == "c") {
					return true // Options.Now, the check's own clock
				}
				t.Errorf("%s: calls %s", set.Position(n.Pos()), selector.Sel.Name)
			}
			return true
		})
	}
}
