package pubkey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego/cip/pubkey"
)

// minted are a public key and a certificate of it.
func minted(t testing.TB) (key, certificate string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	key = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<31, 0)}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private); err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestParse(t *testing.T) {
	t.Parallel()
	key, certificate := minted(t)
	block := func(label string) string { return "-----BEGIN " + label + "-----\nAAAA\n-----END " + label + "-----\n" }
	private := block("PRIVATE KEY")
	for _, tt := range []struct{ name, data, want, wantErr string }{
		{"public key", key, key, ""},
		{"public key without a line end", strings.TrimSpace(key), key, ""},
		{"public key with lines of Windows", strings.ReplaceAll(key, "\n", "\r\n"), key, ""},
		{"KEY-1: only the first block counts", key + private + "and more", key, ""},
		{"text before the block", "a note\n" + key, key, ""},
		{"certificate", certificate, certificate, ""},
		{"chain", certificate + "\n" + certificate, certificate + certificate, ""},
		{"nothing", "", "", "PEM decoding failed"},
		{"no PEM", "hunter2", "", "PEM decoding failed"},
		{"not UTF-8", "\xff\xfe", "", "PEM decoding failed"},
		{"private key", private, "", `got a PEM block of type "PRIVATE KEY", want PUBLIC KEY`},
		{"encrypted private key of cosign", block("ENCRYPTED SIGSTORE PRIVATE KEY"), "", `got a PEM block of type "ENCRYPTED SIGSTORE PRIVATE KEY", want PUBLIC KEY`},
		{"label that is none", block("hunter2"), "", "got a PEM block of type unknown, want PUBLIC KEY"},
		{"certificate and private key", certificate + private, "", `got a PEM block of type "PRIVATE KEY", want CERTIFICATE`},
		{"certificate and text", certificate + "hunter2", "", "error during PEM decoding"},
		{"certificate without one in it", block("CERTIFICATE"), "", "x509: malformed certificate"},
		{"public key without one in it", block("PUBLIC KEY"), "", "asn1: "},
		{"seventeen certificates", strings.Repeat(certificate, 17), "", "got 17 certificates, want at most 16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := pubkey.Parse([]byte(tt.data))
			if tt.wantErr == "" {
				if err != nil || got != tt.want {
					t.Errorf("got %q, %v, want %q", got, err, tt.want)
				}
				return
			}
			if got != "" || err == nil || !strings.HasPrefix(err.Error(), tt.wantErr) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %q and error %v, want %q", got, err, tt.wantErr)
			}
		})
	}
}

// FuzzParse holds what is accepted to be public, and to be read alike again.
func FuzzParse(f *testing.F) {
	key, _ := minted(f)
	f.Add([]byte(key))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN RSA PUBLIC KEY-----\nMAYCAQMCAQM=\n-----END RSA PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := pubkey.Parse(data)
		if err != nil {
			return
		}
		for rest := []byte(got); len(bytes.TrimSpace(rest)) > 0; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil || strings.Contains(block.Type, "PRIVATE") {
				t.Fatalf("got %q, want public PEM alone", got)
			}
		}
		if again, err := pubkey.Parse([]byte(got)); err != nil || again != got {
			t.Fatalf("read again: got %q, %v, want %q", again, err, got)
		}
	})
}
