package cip_test

import (
	"fmt"
	"testing"
)

// TestValidateCertificates: unlike upstream, where VAL-6 and VAL-11 refuse them.
func TestValidateCertificates(t *testing.T) {
	t.Parallel()
	certificate := string(certificatePEM(t, true))
	const caCert = "{keyless: {ca-cert: {data: %q}, identities: [{issuer: i, subject: s}]}}"
	check(t, []refusal{
		{"VAL-6: key.data may be a certificate", fmt.Sprintf("{key: {data: %q}}", certificate), ""},
		{"VAL-6: key.data may be a chain", fmt.Sprintf("{key: {data: %q}}", certificate+certificate), ""},
		{"VAL-6: a certificate with more behind it", fmt.Sprintf("{key: {data: %q}}", certificate+"x"),
			"invalid value: " + certificate + "x: ….key.data"},
		{"VAL-11: ca-cert.data may be a certificate", fmt.Sprintf(caCert, certificate), ""},
		{"VAL-11: ca-cert.data may be a chain", fmt.Sprintf(caCert, certificate+certificate), ""},
		{"VAL-11: ca-cert.data that is neither", fmt.Sprintf(caCert, "x"), "invalid value: x: ….keyless.ca-cert.data"},
	}, withAuthority)
}
