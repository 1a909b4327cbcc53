package sigstore

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// withCA is an authority of the identities under certificates or a key of its own.
func withCA(a cip.Authority, data []byte) cip.Authority {
	keyless := *a.Keyless
	keyless.CACert, a.Keyless = &cip.KeyRef{Data: string(data)}, &keyless
	return a
}

// chainOf is the certificate authority of the scene, as its TrustRoot has it.
func (s *scene) chainOf(t testing.TB) []byte {
	t.Helper()
	parsed, err := cip.Parse(s.TrustRoot("world"))
	if err != nil {
		t.Fatal(err)
	}
	return parsed.TrustRoots[0].Spec.SigstoreKeys.CertificateAuthorities[0].CertChain
}

// keyOfIssuer is the public key of the first certificate of a chain.
func keyOfIssuer(t testing.TB, chain []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(chain)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return publicPEM(t, certificate.PublicKey)
}

func publicPEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// TestCACertReplacesTheAuthoritiesOnly has a root whose own authorities are another
// Sigstore's, and whose logs are those of the evidence: KLS-2 works here, where
// upstream accepts the field and honours it nowhere.
func TestCACertReplacesTheAuthoritiesOnly(t *testing.T) {
	t.Parallel()
	inTime := clock().Add(time.Minute)
	elsewhere := keyless()
	elsewhere.Keyless = &cip.KeylessRef{Identities: []cip.Identity{{Issuer: testIssuer, Subject: "https://github.com/acme/other"}}}
	for _, row := range []demandRow{
		{"KLS-2: sound", from(keyless()), release, today(), "", nil},
		{"KLS-2: without entry", from(keyless()), release + "log: none", today(), TLog, nil},
		{"KLS-2: entry of a stranger", from(keyless()), release + "fault: wrong-log", today(), TLog, nil},
		{"KLS-2: without SCT", from(keyless()), release + "fault: missing-sct", today(), UntrustedRoot, nil},
		{"KLS-2: SCT of a stranger", from(keyless()), release + "fault: wrong-ct-log", today(), UntrustedRoot, nil},
		{"KLS-2: KLS-6 without SCT", from(withoutSCT(keyless())), release + "fault: missing-sct", today(), "", []string{noSCT}},
		{"KLS-2: another identity", from(elsewhere), release, today(), IdentityMismatch, nil},
		{"KLS-2: logged after expiry", from(keyless()), release + "fault: expired", today(), Expired, nil},
		{"KLS-2: trustRootRef, valid now", from(withTrustRoot(keyless())), release + "log: none", inTime, "", []string{noLog}},
		{"KLS-2: trustRootRef, expired", from(withTrustRoot(keyless())), release + "log: none", today(), Expired, nil},
		{"KLS-2: trustRootRef has the SCTs", from(withTrustRoot(keyless())), release + "log: none, fault: missing-sct", inTime, UntrustedRoot, nil},
		{"KLS-2: a timestamp instead of a log", from(withTimestamp(keyless())), release + "log: none, timestamp: true", today(), "", []string{noLog}},
		{"KLS-2: TSA-2 without timestamp", from(withTimestamp(keyless())), release + "log: none", inTime, Timestamp, nil},
		{"KLS-2: a log of its own", from(withLog(withTrustRoot(keyless()))), release, today(), "", nil},
	} {
		for _, format := range []string{FormatLegacy, FormatBundle} {
			for _, attestation := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s attestation=%t", row.name, format, attestation), func(t *testing.T) {
					t.Parallel()
					kind := "signatures: [{"
					if attestation {
						kind = "attestations: [{predicateType: " + testType + ", "
					}
					s := open(t, kind+strings.TrimSuffix(row.evidence, ", ")+", format: "+format+"}]")
					chain := s.chainOf(t)
					for what, data := range map[string][]byte{"certificates": chain, "key": keyOfIssuer(t, chain)} {
						c, refusal := NewCheck(withCA(row.authority(t, s), data), s.logsOnly(t), Options{Now: row.now})
						if refusal != nil {
							t.Fatal(refusal)
						}
						verify := c.Signatures
						if attestation {
							verify = c.Attestations
						}
						got, refusal := verify(s.digest, []Evidence{{format, s.evidence(t, format, attestation)}})
						if code := codeOf(refusal); code != row.want {
							t.Fatalf("%s: got %v, want code %q", what, refusal, row.want)
						}
						if row.want == "" && (fmt.Sprint(got[0].Weaker) != fmt.Sprint(row.weaker) || got[0].Subject != testSubject) {
							t.Errorf("%s: got %+v, want %q weaker, of %s", what, got[0], row.weaker, testSubject)
						}
					}
				})
			}
		}
	}
}

// logsOnly are the roots of the scene with the authorities of another one.
func (s *scene) logsOnly(t testing.TB) trust.Roots {
	t.Helper()
	stranger, err := open(t, "").TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	var other map[string]any
	if err := json.Unmarshal(stranger, &other); err != nil {
		t.Fatal(err)
	}
	own, err := s.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := trust.Parse(document(t, own, func(root map[string]any) {
		root["certificateAuthorities"] = other["certificateAuthorities"]
	}))
	if err != nil {
		t.Fatal(err)
	}
	return trust.Roots{Default: parsed, Named: map[string]*trust.Root{"world": parsed}}
}

// TestCACertOfAStranger: the trust root's own authority is no second chance.
func TestCACertOfAStranger(t *testing.T) {
	t.Parallel()
	stranger := open(t, "").chainOf(t)
	for _, format := range []string{FormatLegacy, FormatBundle} {
		s := open(t, "signatures: [{signer: release, format: "+format+"}]")
		for what, data := range map[string][]byte{"certificates": stranger, "key": keyOfIssuer(t, stranger)} {
			t.Run("KLS-2: "+what+" "+format, func(t *testing.T) {
				_, refusal := s.check(t, withCA(keyless(), data)).Signatures(s.digest, []Evidence{{format, s.evidence(t, format, false)}})
				if codeOf(refusal) != UntrustedRoot {
					t.Errorf("got %v, want %s", refusal, UntrustedRoot)
				}
			})
		}
	}
}

// pki judges by the authority's certificates at the clock, with neither log nor SCT.
func pki(t testing.TB, data []byte, now time.Time) *Check {
	t.Helper()
	c, refusal := NewCheck(withCA(withoutSCT(withTrustRoot(keyless())), data), trust.Roots{Named: map[string]*trust.Root{"world": empty(t)}}, Options{Now: now})
	if refusal != nil {
		t.Fatal(refusal)
	}
	return c
}

// empty is a root that trusts nobody.
func empty(t testing.TB) *trust.Root {
	t.Helper()
	parsed, err := trust.Parse([]byte(`{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestCACertChecksTheWholeChain in both formats.
func TestCACertChecksTheWholeChain(t *testing.T) {
	t.Parallel()
	hour := time.Hour
	a := newAuthority(t, elliptic.P256(), clock().Add(10*hour))
	signer, leaf := a.leaf(t, clock().Add(5*hour))
	tls := issue(t, &x509.Certificate{NotAfter: clock().Add(5 * hour), URIs: leaf.URIs, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		ExtraExtensions: leaf.Extensions[len(leaf.Extensions)-1:]}, a.intermediate, signer.key, a.key)
	plain := issue(t, &x509.Certificate{NotAfter: clock().Add(5 * hour), URIs: leaf.URIs,
		ExtraExtensions: leaf.Extensions[len(leaf.Extensions)-1:]}, a.intermediate, signer.key, a.key)
	// A leaf that issues: its certificate says that it may not.
	below := newForger(t)
	forged := issue(t, &x509.Certificate{NotAfter: clock().Add(5 * hour), URIs: leaf.URIs, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: leaf.Extensions[len(leaf.Extensions)-1:]}, leaf, below.key, signer.key)
	chain, key := certificatePEM(a.intermediate, a.root), publicPEM(t, a.intermediate.PublicKey)
	for name, test := range map[string]struct {
		signer forger
		leaf   *x509.Certificate
		ca     []byte
		now    time.Time
		want   Code
	}{
		"KLS-2: KLS-4 root and intermediate":            {signer, leaf, chain, clock(), ""},
		"KLS-2: in another order":                       {signer, leaf, certificatePEM(a.root, a.intermediate), clock(), ""},
		"KLS-2: an intermediate alone is trusted":       {signer, leaf, certificatePEM(a.intermediate), clock(), ""},
		"KLS-2: the root alone leads nowhere":           {signer, leaf, certificatePEM(a.root), clock(), UntrustedRoot},
		"KLS-2: the key of the issuer":                  {signer, leaf, key, clock(), ""},
		"KLS-2: the key of the root did not sign it":    {signer, leaf, publicPEM(t, a.root.PublicKey), clock(), UntrustedRoot},
		"KLS-2: the leaf has expired":                   {signer, leaf, chain, clock().Add(6 * hour), Expired},
		"KLS-2: the leaf has expired, by a key":         {signer, leaf, key, clock().Add(6 * hour), Expired},
		"KLS-2: the leaf is not valid yet":              {signer, leaf, chain, clock().Add(-2 * hour), Expired},
		"KLS-2: a certificate for servers":              {signer, tls, chain, clock(), UntrustedRoot},
		"KLS-2: a certificate for servers, by a key":    {signer, tls, key, clock(), UntrustedRoot},
		"KLS-2: a certificate that names no use":        {signer, plain, chain, clock(), ""},
		"KLS-2: a certificate that names no use, a key": {signer, plain, key, clock(), ""},
		"KLS-2: another one's certificate":              {newForger(t), leaf, chain, clock(), Malformed},
		"KLS-2: issued by a leaf":                       {below, forged, chain, clock(), UntrustedRoot},
	} {
		for format, layer := range signed(t, test.signer, test.leaf) {
			t.Run(name+" "+format, func(t *testing.T) {
				t.Parallel()
				c := pki(t, test.ca, test.now)
				got, refusal := c.Signatures(testDigest, []Evidence{{format, []Layer{layer}}})
				if codeOf(refusal) != test.want {
					t.Fatalf("got %v, want code %q", refusal, test.want)
				}
				if test.want == "" && !got[0].ValidUntil.Equal(test.leaf.NotAfter) {
					t.Errorf("got a verdict until %v, want %v", got[0].ValidUntil, test.leaf.NotAfter)
				}
			})
		}
	}
	// The intermediate ends before the leaf: the whole chain counts (T6).
	brief := newAuthority(t, elliptic.P256(), clock().Add(hour))
	signer, leaf = brief.leaf(t, clock().Add(5*hour))
	for format, layer := range signed(t, signer, leaf) {
		c := pki(t, certificatePEM(brief.intermediate, brief.root), clock().Add(2*hour))
		if _, refusal := c.Signatures(testDigest, []Evidence{{format, []Layer{layer}}}); refusal == nil {
			t.Errorf("KLS-2: T6 expired intermediate, %s: got a signer, want a refusal", format)
		}
	}
}

// chained is signed with certificates that came along: the chain annotation, or the
// chain of a bundle v0.1.
func chained(t testing.TB, signer forger, leaf *x509.Certificate, along ...*x509.Certificate) map[string]Layer {
	t.Helper()
	out := signed(t, signer, leaf)
	out[FormatLegacy].Annotations[annotationChain] = string(certificatePEM(along...))
	var list []string
	for _, c := range append([]*x509.Certificate{leaf}, along...) {
		list = append(list, fmt.Sprintf(`{"rawBytes": %q}`, base64.StdEncoding.EncodeToString(c.Raw)))
	}
	text := string(out[FormatBundle].Content)
	text = strings.Replace(text, "bundle.v0.3+json", "bundle+json;version=0.1", 1)
	text = strings.Replace(text, `"certificate": {"rawBytes": "`+base64.StdEncoding.EncodeToString(leaf.Raw)+`"}`,
		`"x509CertificateChain": {"certificates": [`+strings.Join(list, ", ")+`]}`, 1)
	out[FormatBundle] = Layer{Content: []byte(text)}
	return out
}

// TestIntermediatesThatCameAlong lead up to a ca-cert and are trusted for nothing.
func TestIntermediatesThatCameAlong(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t, elliptic.P256(), today()), newAuthority(t, elliptic.P256(), today())
	signer, leaf := a.leaf(t, today())
	strange, strangeLeaf := stranger.leaf(t, today())
	// An intermediate of a stranger under the name of ours.
	false1 := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "intermediate"}, NotAfter: today(), IsCA: true,
		KeyUsage: x509.KeyUsageCertSign}, stranger.root, stranger.key, stranger.rootKey)
	// One that our root issued, and that is no authority.
	noCA := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "intermediate"}, NotAfter: today()}, a.root, stranger.key, a.rootKey)
	var many []*x509.Certificate
	for range trust.MostAlong {
		many = append(many, false1)
	}
	ca := certificatePEM(a.root)
	for name, test := range map[string]struct {
		signer forger
		leaf   *x509.Certificate
		along  []*x509.Certificate
		want   Code
	}{
		"KLS-2: the intermediate":                      {signer, leaf, []*x509.Certificate{a.intermediate}, ""},
		"KLS-2: the intermediate and the root":         {signer, leaf, []*x509.Certificate{a.intermediate, a.root}, ""},
		"KLS-2: a root that came along is no root":     {strange, strangeLeaf, []*x509.Certificate{stranger.intermediate, stranger.root}, UntrustedRoot},
		"KLS-2: an intermediate that our root did not": {strange, strangeLeaf, []*x509.Certificate{false1}, UntrustedRoot},
		"KLS-2: an intermediate that is no authority":  {strange, strangeLeaf, []*x509.Certificate{noCA}, UntrustedRoot},
		"KLS-2: more than are looked at":               {signer, leaf, append(many, a.intermediate), UntrustedRoot},
	} {
		for format, layer := range chained(t, test.signer, test.leaf, test.along...) {
			t.Run(name+" "+format, func(t *testing.T) {
				t.Parallel()
				got, refusal := pki(t, ca, clock()).Signatures(testDigest, []Evidence{{format, []Layer{layer}}})
				if codeOf(refusal) != test.want {
					t.Fatalf("got %v, %v, want code %q", got, refusal, test.want)
				}
			})
		}
	}
	// A TrustRoot says itself who may issue (KLS-4).
	keys := &cip.SigstoreKeys{CertificateAuthorities: []cip.CertificateAuthority{{CertChain: ca}}}
	root, err := trust.FromKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	for format, layer := range chained(t, signer, leaf, a.intermediate) {
		c, refusal := NewCheck(withoutSCT(withTrustRoot(keyless())), trust.Roots{Named: map[string]*trust.Root{"world": root}}, Options{Now: clock()})
		if refusal != nil {
			t.Fatal(refusal)
		}
		if _, refusal := c.Signatures(testDigest, []Evidence{{format, []Layer{layer}}}); codeOf(refusal) != UntrustedRoot {
			t.Errorf("KLS-4: a chain beside a TrustRoot, %s: got %v, want %s", format, refusal, UntrustedRoot)
		}
	}
}

func TestCACertRefuses(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, elliptic.P256(), today())
	_, leaf := a.leaf(t, today())
	noSign := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "r"}, NotAfter: today(), IsCA: true, KeyUsage: x509.KeyUsageCRLSign}, nil, a.rootKey, a.rootKey)
	root := certificatePEM(a.root)
	for name, test := range map[string]struct{ data, want string }{
		"nothing":                   {"", "there is no certificate in keyless.ca-cert of authority keyless"},
		"no PEM":                    {"x", "keyless.ca-cert: got no PEM block"},
		"a leaf":                    {string(certificatePEM(leaf)), "certificate 0: got one that is no CA"},
		"a leaf beside a root":      {string(certificatePEM(a.root, leaf)), "certificate 1: got one that is no CA"},
		"a CA that may not sign":    {string(certificatePEM(noSign)), "may not sign certificates"},
		"something behind":          {string(root) + "x", "something that is not PEM"},
		"a key behind":              {string(root) + string(publicPEM(t, a.root.PublicKey)), `type "PUBLIC KEY"`},
		"a certificate that is not": {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 0: x509"},
		"a private key":             {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "keyless.ca-cert: "},
		"too many":                  {string(bytes.Repeat(root, 17)), "got more than 16"},
		"too large":                 {string(root) + strings.Repeat("\n", 1<<18), "want at most 262144"},
	} {
		t.Run("KLS-2: "+name, func(t *testing.T) {
			t.Parallel()
			c, refusal := NewCheck(withCA(keyless(), []byte(test.data)), trust.Roots{Default: empty(t)}, Options{Now: clock()})
			if c != nil || codeOf(refusal) != Unsupported || !strings.Contains(refusal.Message, test.want) {
				t.Errorf("got %v, want %s: %s", refusal, Unsupported, test.want)
			}
		})
	}
	t.Run("KLS-2: a trustRootRef beside it has to be there", func(t *testing.T) {
		t.Parallel()
		_, refusal := NewCheck(withCA(withoutSCT(withTrustRoot(keyless())), root), trust.Roots{}, Options{Now: clock()})
		if codeOf(refusal) != UntrustedRoot || refusal.Message != "trustRootRef world not found" {
			t.Errorf("got %v, want trustRootRef world not found", refusal)
		}
	})
	t.Run("KLS-2: no root at all is needed with neither SCT nor log", func(t *testing.T) {
		t.Parallel()
		a := withTimestamp(withCA(withoutSCT(keyless()), root))
		if got := fmt.Sprint(TrustRootRefs(a)); got != "[world]" {
			t.Errorf("got the roots %s, want that of the timestamp alone", got)
		}
		if _, refusal := NewCheck(a, trust.Roots{Named: map[string]*trust.Root{"world": empty(t)}}, Options{Now: clock()}); refusal != nil {
			t.Error(refusal)
		}
	})
}
