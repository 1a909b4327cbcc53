package sigstore

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Identity is whom a certificate is about.
type Identity struct {
	// Issuer is the OpenID Connect issuer, extensions .1.1 and .1.8.
	Issuer string
	// Subject is an e-mail address, a URI, or a user name as name!domain; its
	// form chooses the kind of subject alternative name.
	Subject string
	// Extensions are Fulcio's further extensions by the names of [ExtensionNames].
	Extensions map[string]string
}

// ValidateSubject says whether [CA.Issue] can certify the subject, but for the
// finer points of X.509.
func ValidateSubject(subject string) error { return setSubject(&x509.Certificate{}, subject) }

// setSubject writes the subject alternative name into the template.
func setSubject(template *x509.Certificate, subject string) error {
	// RFC 5280, section 4.2.1.6: addresses and URIs are IA5String.
	if strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII }) {
		return fmt.Errorf("got %q, want printable ASCII", subject)
	}
	switch {
	case strings.Contains(subject, "://"):
		uri, err := url.Parse(subject)
		if err != nil {
			return err
		}
		template.URIs = []*url.URL{uri}
	case strings.Contains(subject, "@"):
		template.EmailAddresses = []string{subject}
	case strings.Contains(subject, "!"):
		name, err := otherName(subject)
		if err != nil {
			return fmt.Errorf("encode subject: %w", err)
		}
		template.ExtraExtensions = append(template.ExtraExtensions, name)
	default:
		return fmt.Errorf("got %q, want an e-mail address, a URI or name!domain", subject)
	}
	return nil
}

// fulcioArc is Fulcio's arc for what stands in its certificates.
func fulcioArc(number int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, number}
}

const (
	issuerExtension   = 1
	otherNameType     = 7
	issuerExtensionV2 = 8
)

// otherName is the extension for a name that X.509 has no kind for. RFC 5280,
// section 4.2.1.6:
//
//	otherName [0] OtherName
//	OtherName ::= SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY }
func otherName(name string) (pkix.Extension, error) {
	context0 := cryptobyteasn1.Tag(0).ContextSpecific().Constructed()
	var names cryptobyte.Builder
	names.AddASN1(cryptobyteasn1.SEQUENCE, func(names *cryptobyte.Builder) {
		names.AddASN1(context0, func(other *cryptobyte.Builder) {
			other.AddASN1ObjectIdentifier(fulcioArc(otherNameType))
			other.AddASN1(context0, func(value *cryptobyte.Builder) {
				value.AddASN1(cryptobyteasn1.UTF8String, func(text *cryptobyte.Builder) { text.AddBytes([]byte(name)) })
			})
		})
	})
	value, err := names.Bytes()
	// Critical, because the certificate has no other subject (section 4.1.2.6).
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: value}, err
}

// ExtensionNames are the names that Identity.Extensions may have, in order.
func ExtensionNames() []string { return slices.Sorted(maps.Keys(extensionNumbers())) }

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

// certificateExtensions are the identity's extensions in the order of their numbers.
func (i Identity) certificateExtensions() ([]pkix.Extension, error) {
	values := map[int]string{issuerExtension: i.Issuer, issuerExtensionV2: i.Issuer}
	numbers := extensionNumbers()
	for name, value := range i.Extensions {
		number, ok := numbers[name]
		if !ok {
			return nil, fmt.Errorf("extensions: got %q, want one of %q", name, ExtensionNames())
		}
		values[number] = value
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
		extensions = append(extensions, pkix.Extension{Id: fulcioArc(number), Value: value})
	}
	return extensions, nil
}
