package sigstore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/assay-dev/assay/builtins/sigstore/statement"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// signingKey signs with a hash, as cosign does with such a key: RSA in PKCS #1 v1.5,
// Ed25519 over the message itself.
type signingKey struct {
	crypto.Signer
	hash crypto.Hash
}

func (k signingKey) sign(t testing.TB, message []byte) []byte {
	t.Helper()
	digest, options := message, crypto.SignerOpts(crypto.Hash(0))
	if _, ok := k.Public().(ed25519.PublicKey); !ok {
		h := k.hash.New()
		h.Write(message)
		digest, options = h.Sum(nil), k.hash
	}
	out, err := k.Sign(rand.Reader, digest, options)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// evidence is the image's signature and an attestation of it in each format.
func (k signingKey) evidence(t testing.TB) map[string]Evidence {
	t.Helper()
	payload := claim(testDigest)
	envelope := func(kind string) string {
		said := strings.Replace(statementOf(subjectOf(testDigest), ""), testType, kind, 1)
		text, err := json.Marshal(dsse.Envelope{
			PayloadType: statement.PayloadType, Payload: base64.StdEncoding.EncodeToString([]byte(said)),
			Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(k.sign(t, dsse.PAE(statement.PayloadType, []byte(said))))}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return map[string]Evidence{
		"signature": {FormatLegacy, []Layer{{Content: []byte(payload), Annotations: map[string]string{
			annotationSignature: base64.StdEncoding.EncodeToString(k.sign(t, []byte(payload))),
		}}}},
		"attestation":        {FormatLegacy, []Layer{{Content: []byte(envelope(testType))}}},
		"signature bundle":   {FormatBundle, []Layer{bundleOf(`"dsseEnvelope": ` + envelope(signPredicateType))}},
		"attestation bundle": {FormatBundle, []Layer{bundleOf(`"dsseEnvelope": ` + envelope(testType))}},
	}
}

// keyKinds are two keys of each kind that people have.
func keyKinds(t testing.TB) map[string][2]crypto.Signer {
	t.Helper()
	out := map[string][2]crypto.Signer{}
	make2 := func(name string, generate func() (crypto.Signer, error)) {
		var pair [2]crypto.Signer
		for i := range pair {
			var err error
			if pair[i], err = generate(); err != nil {
				t.Fatal(err)
			}
		}
		out[name] = pair
	}
	make2("RSA 2048", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	large, err := rsa.GenerateKey(rand.Reader, 4096) // takes a second
	if err != nil {
		t.Fatal(err)
	}
	out["RSA 4096"] = [2]crypto.Signer{large, out["RSA 2048"][0]}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		make2(curve.Params().Name, func() (crypto.Signer, error) { return ecdsa.GenerateKey(curve, rand.Reader) })
	}
	make2("Ed25519", func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	})
	return out
}

func hashes() map[string]crypto.Hash {
	return map[string]crypto.Hash{"sha224": crypto.SHA224, "SHA256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}
}

// TestKeyKinds: KEY-1 and KEY-4 for every kind of key, hash, format and document.
func TestKeyKinds(t *testing.T) {
	t.Parallel()
	for kind, pair := range keyKinds(t) {
		for algorithm, hash := range hashes() {
			t.Run(fmt.Sprintf("KEY-4: %s with %s", kind, algorithm), func(t *testing.T) {
				t.Parallel()
				if strings.HasPrefix(kind, "RSA") && hash == crypto.SHA224 {
					// As upstream: its library verifies no RSA signature with SHA-224.
					refusedKey(t, pair[0].Public(), algorithm, "invalid hash function specified")
					return
				}
				evidence := signingKey{pair[0], hash}.evidence(t)
				check := func(key crypto.PublicKey, algorithm string) *Check {
					c, refusal := NewCheck(cip.Authority{
						Key: &cip.KeyRef{Data: string(publicPEM(t, key)), HashAlgorithm: algorithm}, SignatureFormat: cip.FormatAny,
					}, trust.Roots{}, Options{Now: today()})
					if refusal != nil {
						t.Fatal(refusal)
					}
					return c
				}
				// Another algorithm than the one that signed; Ed25519 knows none.
				other := "sha512"
				if hash == crypto.SHA512 {
					other = "sha256"
				}
				for what, e := range evidence {
					verify := func(c *Check) *Refusal {
						ask := c.Signatures
						if strings.HasPrefix(what, "attestation") {
							ask = c.Attestations
						}
						_, refusal := ask(testDigest, []Evidence{e})
						return refusal
					}
					if refusal := verify(check(pair[0].Public(), algorithm)); refusal != nil {
						t.Errorf("%s: got %v, want it verified", what, refusal)
					}
					if refusal := verify(check(pair[1].Public(), algorithm)); codeOf(refusal) != Malformed {
						t.Errorf("%s of another key: got %v, want %s", what, refusal, Malformed)
					}
					if refusal := verify(check(pair[0].Public(), other)); kind != "Ed25519" && codeOf(refusal) != Malformed {
						t.Errorf("%s with %s: got %v, want %s", what, other, refusal, Malformed)
					}
				}
			})
		}
	}
}

func refusedKey(t testing.TB, key crypto.PublicKey, algorithm, want string) {
	t.Helper()
	_, refusal := NewCheck(cip.Authority{Key: &cip.KeyRef{Data: string(publicPEM(t, key)), HashAlgorithm: algorithm}}, trust.Roots{}, Options{Now: today()})
	if codeOf(refusal) != Unsupported || !strings.Contains(refusal.Message, want) {
		t.Errorf("got %v, want %s: %s", refusal, Unsupported, want)
	}
}

// TestKeyForms: what key.data may be beside one public key.
func TestKeyForms(t *testing.T) {
	t.Parallel()
	f, other := newForger(t), newForger(t)
	pkcs1, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPEM := "-----BEGIN RSA PUBLIC KEY-----\n" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&pkcs1.PublicKey)) + "\n-----END RSA PUBLIC KEY-----\n"
	for name, test := range map[string]struct {
		signer signingKey
		data   string
		want   Code
	}{
		"KEY-1: one public key":                  {signingKey{f.key, crypto.SHA256}, string(publicPEM(t, f.key.Public())), ""},
		"KEY-1: text before it":                  {signingKey{f.key, crypto.SHA256}, "my key\n" + string(publicPEM(t, f.key.Public())), ""},
		"KEY-1: the first block of two":          {signingKey{f.key, crypto.SHA256}, string(publicPEM(t, f.key.Public())) + string(publicPEM(t, other.key.Public())), ""},
		"KEY-1: the second block does not count": {signingKey{other.key, crypto.SHA256}, string(publicPEM(t, f.key.Public())) + string(publicPEM(t, other.key.Public())), Malformed},
		"KEY-1: RSA PUBLIC KEY":                  {signingKey{pkcs1, crypto.SHA256}, rsaPEM, ""},
		// One authority has one key here: KEY-7 has nothing to choose.
		"KEY-7: two keys are not two chances": {signingKey{other.key, crypto.SHA256}, string(publicPEM(t, f.key.Public())) + string(publicPEM(t, other.key.Public())), Malformed},
	} {
		for what, e := range test.signer.evidence(t) {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				c, refusal := NewCheck(cip.Authority{Key: &cip.KeyRef{Data: test.data}, SignatureFormat: cip.FormatAny}, trust.Roots{}, Options{Now: today()})
				if refusal != nil {
					t.Fatal(refusal)
				}
				ask := c.Signatures
				if strings.HasPrefix(what, "attestation") {
					ask = c.Attestations
				}
				if _, refusal := ask(testDigest, []Evidence{e}); codeOf(refusal) != test.want {
					t.Errorf("got %v, want code %q", refusal, test.want)
				}
			})
		}
	}
}

// TestKeyAsCertificate: ours. A certificate in key.data is its key, for as long as
// the certificate is valid.
func TestKeyAsCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, elliptic.P256(), today())
	signer, leaf := a.leaf(t, clock().Add(time.Hour))
	_, stranger := a.leaf(t, clock().Add(time.Hour))
	bundled := signingKey{signer.key, crypto.SHA256}.evidence(t)
	for name, test := range map[string]struct {
		data    []byte
		now     time.Time
		refused string
		want    Code
	}{
		"KEY-1: a certificate":                      {certificatePEM(leaf), clock(), "", ""},
		"KEY-1: a certificate with its chain":       {certificatePEM(leaf, a.intermediate, a.root), clock(), "", ""},
		"KEY-1: a certificate that has expired":     {certificatePEM(leaf), clock().Add(2 * time.Hour), "", Expired},
		"KEY-1: a certificate that is not yet":      {certificatePEM(leaf), clock().Add(-2 * time.Hour), "", Expired},
		"KEY-1: another one's certificate":          {certificatePEM(stranger), clock(), "", Malformed},
		"KEY-1: the chain the other way round":      {certificatePEM(a.root, a.intermediate, leaf), clock(), "certificate 0: got one that certificate 1 did not issue", ""},
		"KEY-1: a chain with a gap":                 {certificatePEM(leaf, a.root), clock(), "certificate 0: ", ""},
		"KEY-1: a certificate and something else":   {append(certificatePEM(leaf), publicPEM(t, leaf.PublicKey)...), clock(), `type "PUBLIC KEY"`, ""},
		"KEY-1: a chain of more than anybody keeps": {bytes.Repeat(certificatePEM(leaf), 17), clock(), "more than 16", ""},
	} {
		for what, e := range bundled {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				c, refusal := NewCheck(cip.Authority{Key: &cip.KeyRef{Data: string(test.data)}, SignatureFormat: cip.FormatAny}, trust.Roots{}, Options{Now: test.now})
				if test.refused != "" {
					if codeOf(refusal) != Unsupported || !strings.Contains(refusal.Message, test.refused) {
						t.Errorf("got %v, want %q", refusal, test.refused)
					}
					return
				}
				if refusal != nil {
					t.Fatal(refusal)
				}
				ask := c.Signatures
				if strings.HasPrefix(what, "attestation") {
					ask = c.Attestations
				}
				got, refusal := ask(testDigest, []Evidence{e})
				if codeOf(refusal) != test.want {
					t.Fatalf("got %v, want code %q", refusal, test.want)
				}
				if test.want == "" && !ValidUntil(got).Equal(leaf.NotAfter) {
					t.Errorf("got a verdict until %v, want %v", ValidUntil(got), leaf.NotAfter)
				}
			})
		}
	}
}

// TestKeyAsCertificateAtTheTimeThatWasVouchedFor: log and timestamp say when.
func TestKeyAsCertificateAtTheTimeThatWasVouchedFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		authority func(cip.Authority) cip.Authority
		evidence  string
	}{
		"KEY-6: at the time of the log":       {withLog, keySign},
		"TSA-1: at the time of the timestamp": {withTimestamp, keySign + "log: none, timestamp: true, "},
	} {
		for _, format := range []string{FormatLegacy, FormatBundle} {
			t.Run(name+" "+format, func(t *testing.T) {
				t.Parallel()
				s := open(t, "signatures: [{"+test.evidence+"format: "+format+"}]")
				a := newAuthority(t, elliptic.P256(), today())
				for window, want := range map[[2]time.Duration]Code{
					{-time.Hour, time.Hour}:      "", // expired today, and valid then
					{-2 * time.Hour, -time.Hour}: Expired,
					{time.Hour, 48 * time.Hour}:  Expired, // valid today, and not yet then
				} {
					keyed := s.keyed(t, "deploy-key")
					leaf := certify(t, a, keyed.Key.Data, clock().Add(window[0]), clock().Add(window[1]))
					keyed.Key = &cip.KeyRef{Data: string(certificatePEM(leaf))}
					got, refusal := s.check(t, test.authority(keyed)).Signatures(s.digest, []Evidence{{format, s.evidence(t, format, false)}})
					if codeOf(refusal) != want || want == "" && !ValidUntil(got).IsZero() {
						t.Errorf("%v: got %v, %v, want code %q", window, got, refusal, want)
					}
				}
			})
		}
	}
}

// certify is a certificate of a key that somebody else has.
func certify(t testing.TB, a authority, key string, begins, ends time.Time) *x509.Certificate {
	t.Helper()
	verifier, _, err := publicKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	public, err := verifier.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: a.root.SerialNumber, NotBefore: begins, NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, a.intermediate, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
