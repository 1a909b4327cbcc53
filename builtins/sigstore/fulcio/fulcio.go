// Package fulcio reads what Fulcio writes into certificates. It reads no clock and
// verifies nothing: whoever makes a certificate writes into it what they like.
package fulcio

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// Certificate is what a certificate says. Text is empty where it says nothing.
type Certificate struct {
	// Subject is the subject alternative name where there is one, as Fulcio writes
	// it: which of several is meant would be anybody's guess.
	Subject string `json:"subject"`
	// Subjects are all of them.
	Subjects []string `json:"subjects"`
	// Issuer is who vouched for the subject to Fulcio: extension .1.8 or .1.1.
	Issuer string `json:"issuer"`
	// CertificateIssuer is the distinguished name of who signed.
	CertificateIssuer string `json:"certificate_issuer"`
	// Extensions are Fulcio's others, by the names of its OID table.
	Extensions map[string]string `json:"extensions"`
	NotBefore  time.Time         `json:"not_before"`
	NotAfter   time.Time         `json:"not_after"`
}

// Parse reads one certificate, in PEM or as base64 of DER.
func Parse(text string) (Certificate, error) {
	der, err := single(text)
	if err != nil {
		return Certificate{}, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return Certificate{}, fmt.Errorf("got no certificate: %w", err)
	}
	all, err := certificate.ParseExtensions(parsed.Extensions)
	if err != nil {
		return Certificate{}, fmt.Errorf("extensions: %w", err)
	}
	extensions, err := Extensions(all)
	if err != nil {
		return Certificate{}, err
	}
	out := Certificate{
		Subjects: cryptoutils.GetSubjectAlternateNames(parsed), Issuer: all.Issuer, CertificateIssuer: parsed.Issuer.String(), Extensions: extensions,
		NotBefore: parsed.NotBefore.UTC(), NotAfter: parsed.NotAfter.UTC(),
	}
	if len(out.Subjects) == 1 {
		out.Subject = out.Subjects[0]
	}
	return out, nil
}

// single is the DER of the one certificate in a text.
func single(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "-----BEGIN ") {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(der) == 0 {
			return nil, errors.New("got text that is neither PEM nor base64, want a certificate")
		}
		return der, nil
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errors.New("got PEM that cannot be read, want a certificate")
	case block.Type != "CERTIFICATE":
		return nil, errors.New("got PEM of another type, want CERTIFICATE") // which may be a secret
	case len(rest) > 0:
		return nil, errors.New("got more behind the first certificate, want one")
	}
	return block.Bytes, nil
}

// Extensions are Fulcio's by name, but for the issuer.
func Extensions(of certificate.Extensions) (map[string]string, error) {
	of.Issuer = ""
	text, err := json.Marshal(of)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("extensions: %w", err)
	}
	return out, nil
}
