package world

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	// leafLifetime is Fulcio's own: ten minutes.
	leafLifetime = 10 * time.Minute
	// issuedBefore is how long before the clock a certificate is issued.
	issuedBefore = 5 * time.Second
	// expiredAge leaves fifty minutes between a leaf's end and the clock.
	expiredAge = time.Hour
	// authorityAge and authorityLifetime put the clock well inside the
	// validity of every authority.
	authorityAge      = 365 * 24 * time.Hour
	authorityLifetime = 10 * 365 * 24 * time.Hour
)

// fulcio is a certificate authority: a root, an intermediate that signs, and
// nothing between asking and getting.
type fulcio struct {
	root, intermediate *x509.Certificate
	key                *ecdsa.PrivateKey
}

func newFulcio(clock time.Time) (*fulcio, error) {
	root, rootKey, err := issueAuthority(clock, "world-root", nil, nil)
	if err != nil {
		return nil, err
	}
	intermediate, key, err := issueAuthority(clock, "world-intermediate", root, rootKey)
	if err != nil {
		return nil, err
	}
	return &fulcio{root: root, intermediate: intermediate, key: key}, nil
}

// issueAuthority makes a CA certificate, self-signed without a parent.
func issueAuthority(clock time.Time, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey,
) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"world"}, CommonName: name},
		NotBefore:             clock.Add(-authorityAge),
		NotAfter:              clock.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if parent == nil {
		parent, parentKey = template, key
	} else {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		template.MaxPathLenZero = true
	}
	certificate, err := sign(template, parent, key, parentKey)
	return certificate, key, err
}

// issue makes the leaf of a keyless signer. Without a ctLog it has no SCT.
func (f *fulcio) issue(s Signer, key *ecdsa.PrivateKey, at time.Time, log *ctLog) (*x509.Certificate, error) {
	template := &x509.Certificate{
		// Both signings of one leaf must share the serial number.
		NotBefore:   at,
		NotAfter:    at.Add(leafLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	serial, err := rand.Int(rand.Reader, serialLimit())
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	if template.EmailAddresses, template.URIs, err = subjectName(s.Subject); err != nil {
		return nil, err
	}
	if template.ExtraExtensions, err = s.certificateExtensions(); err != nil {
		return nil, err
	}
	leaf, err := sign(template, f.intermediate, key, f.key)
	if err != nil || log == nil {
		return leaf, err
	}
	// The log signs the certificate without the SCT; appended last, the SCT can
	// be taken away again without moving anything else (RFC 6962, section 3.2).
	sct, err := log.promise(leaf.RawTBSCertificate, f.intermediate, at)
	if err != nil {
		return nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, sct)
	return sign(template, f.intermediate, key, f.key)
}

func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, fmt.Errorf("create certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// subjectName is the subject alternative name for an e-mail address or a URI.
func subjectName(subject string) (emails []string, uris []*url.URL, err error) {
	// RFC 5280, section 4.2.1.6: both kinds are IA5String.
	if strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII }) {
		return nil, nil, fmt.Errorf("got %q, want printable ASCII", subject)
	}
	if strings.Contains(subject, "://") {
		uri, err := url.Parse(subject)
		if err != nil {
			return nil, nil, err
		}
		return nil, []*url.URL{uri}, nil
	}
	if strings.Contains(subject, "@") {
		return []string{subject}, nil, nil
	}
	return nil, nil, fmt.Errorf("got %q, want an e-mail address or a URI", subject)
}

// extensionNumbers are the last arcs of Fulcio's extensions below
// 1.3.6.1.4.1.57264.1, by the names of Fulcio's oid-info.md. 1 and 8 are the
// issuer, 7 is a kind of SAN and not an extension.
func extensionNumbers() map[string]int {
	return map[string]int{
		"githubWorkflowTrigger":               2,
		"githubWorkflowSHA":                   3,
		"githubWorkflowName":                  4,
		"githubWorkflowRepository":            5,
		"githubWorkflowRef":                   6,
		"buildSignerURI":                      9,
		"buildSignerDigest":                   10,
		"runnerEnvironment":                   11,
		"sourceRepositoryURI":                 12,
		"sourceRepositoryDigest":              13,
		"sourceRepositoryRef":                 14,
		"sourceRepositoryIdentifier":          15,
		"sourceRepositoryOwnerURI":            16,
		"sourceRepositoryOwnerIdentifier":     17,
		"buildConfigURI":                      18,
		"buildConfigDigest":                   19,
		"buildTrigger":                        20,
		"runInvocationURI":                    21,
		"sourceRepositoryVisibilityAtSigning": 22,
	}
}

const (
	issuerExtension   = 1
	issuerExtensionV2 = 8
)

// certificateExtensions are the signer's extensions in the order of their numbers.
func (s Signer) certificateExtensions() ([]pkix.Extension, error) {
	values := map[int]string{issuerExtension: s.Issuer, issuerExtensionV2: s.Issuer}
	numbers := extensionNumbers()
	for name, value := range s.Extensions {
		values[numbers[name]] = value
	}
	var extensions []pkix.Extension
	for _, number := range slices.Sorted(maps.Keys(values)) {
		value := []byte(values[number])
		// The extensions before 8 are raw text, from 8 on they are UTF8String.
		if number >= issuerExtensionV2 {
			der, err := asn1.MarshalWithParams(values[number], "utf8")
			if err != nil {
				return nil, fmt.Errorf("extension %d: %w", number, err)
			}
			value = der
		}
		id := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, number}
		extensions = append(extensions, pkix.Extension{Id: id, Value: value})
	}
	return extensions, nil
}
