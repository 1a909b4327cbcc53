// Package pubkey reads the keys and certificates that resources hold: PEM, and
// public. A private key is an error, and no error repeats what it was given.
package pubkey

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

var errPEM = errors.New("error during PEM decoding")

// errPEMKey is upstream's text for what is no key at all.
var errPEMKey = errors.New("PEM decoding failed")

// Parse reads what the data of a key may hold, and returns that alone: the
// first PEM block where it is a public key, or a chain of certificates (unlike
// upstream, which refuses the certificates of ca-cert too) where it is one.
// Anything else, a private key foremost, is an error that repeats none of it.
func Parse(data []byte) (string, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return "", errPEMKey
	}
	if block.Type == "CERTIFICATE" {
		return parseChain(data)
	}
	if err := Check(data); err != nil {
		return "", err
	}
	// Written anew: what stands before and after the block is not wanted.
	return string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})), nil
}

// MostCertificates bounds a chain in the place of a key; three are common.
const MostCertificates = 16

func parseChain(data []byte) (string, error) {
	certificates, err := Certificates(data)
	if err != nil {
		return "", err
	}
	if len(certificates) > MostCertificates {
		return "", fmt.Errorf("got %d certificates, want at most %d", len(certificates), MostCertificates)
	}
	var out bytes.Buffer
	for _, certificate := range certificates {
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

// Check looks at the first PEM block only, as whoever uses the key will.
func Check(data []byte) error {
	block, _ := pem.Decode(data)
	if block == nil {
		return errPEM
	}
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		_, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		_, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		err = fmt.Errorf("got a PEM block of type %s, want PUBLIC KEY", blockType(block))
	}
	return err
}

// blockLabel is what the labels of PEM look like; others may be a secret.
var blockLabel = regexp.MustCompile(`^[A-Z0-9 ]{1,64}$`)

func blockType(block *pem.Block) string {
	if !blockLabel.MatchString(block.Type) {
		return "unknown"
	}
	return strconv.Quote(block.Type)
}

// Certificates reads PEM certificates and nothing else.
func Certificates(data []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for data = bytes.TrimSpace(data); len(data) > 0; {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errPEM
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("got a PEM block of type %s, want CERTIFICATE", blockType(block))
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}
