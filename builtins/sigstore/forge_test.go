package sigstore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/assay-dev/assay/builtins/sigstore/statement"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// testDigest is an image that nobody has.
const testDigest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// forger signs whatever it is told to: content that no honest tool writes.
type forger struct{ key *ecdsa.PrivateKey }

func newForger(t testing.TB) forger {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return forger{key}
}

func (f forger) sign(t testing.TB, data []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(data)
	signature, err := ecdsa.SignASN1(rand.Reader, f.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// check trusts the forger's key, without a log.
func (f forger) check(t testing.TB) *Check {
	t.Helper()
	pem, err := cryptoutils.MarshalPublicKeyToPEM(f.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	a := cip.Authority{Key: &cip.KeyRef{Data: string(pem)}, SignatureFormat: cip.FormatAny}
	c, refusal := NewCheck(a, trust.Roots{}, Options{Now: today()})
	if refusal != nil {
		t.Fatal(refusal)
	}
	return c
}

// payload is a signature layer over the payload.
func (f forger) payload(t testing.TB, payload string) Layer {
	t.Helper()
	return Layer{
		Annotations: map[string]string{annotationSignature: base64.StdEncoding.EncodeToString(f.sign(t, []byte(payload)))},
		Content:     []byte(payload),
	}
}

func (f forger) envelope(t testing.TB, payloadType, payload string) []byte {
	t.Helper()
	encoded, err := json.Marshal(dsse.Envelope{
		PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString([]byte(payload)),
		Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(f.sign(t, dsse.PAE(payloadType, []byte(payload))))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// attestation is the payload in an envelope, as a layer and as a bundle.
func (f forger) attestation(t testing.TB, payloadType, payload string) []Evidence {
	t.Helper()
	envelope := f.envelope(t, payloadType, payload)
	return []Evidence{
		{FormatLegacy, []Layer{{Content: envelope}}},
		{FormatBundle, []Layer{bundleOf(`"dsseEnvelope": ` + string(envelope))}},
	}
}

// message is a bundle that signs an artifact by its digest alone.
func (f forger) message(t testing.TB, artifact []byte) Layer {
	t.Helper()
	sum := sha256.Sum256(artifact)
	return bundleOf(fmt.Sprintf(`"messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": %q}, "signature": %q}`,
		base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(f.sign(t, artifact))))
}

func bundleOf(content string) Layer {
	return Layer{Content: []byte(`{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": {"publicKey": {"hint": "forger"}}, ` + content + `}`)}
}

// claim is a simple signing payload about the digest.
func claim(digest string) string {
	return `{"critical":{"identity":{"docker-reference":"app"},"image":{"docker-manifest-digest":"` + digest +
		`"},"type":"cosign container image signature"},"optional":null}`
}

// statementOf is a statement about the digests, with the fields given last.
func statementOf(subjects, rest string) string {
	return `{"_type":"https://in-toto.io/Statement/v1","predicateType":"` + testType + `","subject":` + subjects + `,"predicate":{}` + rest + `}`
}

func subjectOf(digest string) string {
	return `[{"name":"app","digest":{"sha256":"` + digest[len("sha256:"):] + `"}}]`
}

// authority is a certificate authority whose certificates end when they are told to.
type authority struct {
	forger
	root, intermediate *x509.Certificate
	rootKey            *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, curve elliptic.Curve, intermediateEnds time.Time) authority {
	t.Helper()
	rootKey, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{forger: forger{key}, rootKey: rootKey}
	a.root = issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, NotAfter: clock().Add(1000 * time.Hour), IsCA: true,
		KeyUsage: x509.KeyUsageCertSign}, nil, rootKey, rootKey)
	a.intermediate = issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "intermediate"}, NotAfter: intermediateEnds, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}, a.root, key, rootKey)
	return a
}

// leaf is a signer with a certificate for the identity release.
func (a authority) leaf(t testing.TB, ends time.Time, emails ...string) (forger, *x509.Certificate) {
	t.Helper()
	signer := newForger(t)
	subject, err := url.Parse(testSubject)
	if err != nil {
		t.Fatal(err)
	}
	return signer, issue(t, &x509.Certificate{
		NotAfter: ends, URIs: []*url.URL{subject}, EmailAddresses: emails, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(testIssuer)}},
	}, a.intermediate, signer.key, a.key)
}

func issue(t testing.TB, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.BasicConstraintsValid = serial, true
	if template.NotBefore.IsZero() {
		template.NotBefore = clock().Add(-time.Hour)
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func certificatePEM(certificates ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// trust is the authority as the TrustRoot "world".
func (a authority) roots(t testing.TB, validFor *cip.Validity) trust.Roots {
	t.Helper()
	parsed, err := trust.FromKeys(&cip.SigstoreKeys{
		CertificateAuthorities: []cip.CertificateAuthority{{CertChain: certificatePEM(a.intermediate, a.root), ValidFor: validFor}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return trust.Roots{Named: map[string]*trust.Root{"world": parsed}}
}

// signed is the image's signature with the certificate, as a layer and as a bundle.
func signed(t testing.TB, signer forger, certificate *x509.Certificate) map[string]Layer {
	t.Helper()
	legacy := signer.payload(t, claim(testDigest))
	legacy.Annotations[annotationCertificate] = string(certificatePEM(certificate))
	said := strings.Replace(statementOf(subjectOf(testDigest), ""), testType, signPredicateType, 1)
	envelope := signer.envelope(t, statement.PayloadType, said)
	return map[string]Layer{FormatLegacy: legacy, FormatBundle: {Content: fmt.Appendf(nil,
		`{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {"certificate": {"rawBytes": %q}}, "dsseEnvelope": %s}`,
		base64.StdEncoding.EncodeToString(certificate.Raw), envelope)}}
}

func hexOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// curves are those of private authorities and of the public good one.
func curves() []elliptic.Curve { return []elliptic.Curve{elliptic.P256(), elliptic.P384()} }

func parseDigest(digest string) (v1.Hash, error) { return v1.NewHash(digest) }

func envelopePayload(content []byte) ([]byte, error) {
	envelope := &dsse.Envelope{}
	if err := json.Unmarshal(content, envelope); err != nil {
		return nil, err
	}
	return envelope.DecodeB64Payload()
}
