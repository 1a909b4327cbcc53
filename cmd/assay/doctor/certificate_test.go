package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
)

// issuer is a CA.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func (i issuer) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.certificate.Raw})
}

// minted makes a certificate of an issuer, or a CA where there is none.
func minted(t *testing.T, by *issuer, end time.Time, names ...string) issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(names)) + 1), Subject: pkix.Name{CommonName: "minted"}, DNSNames: names,
		NotBefore: noon().Add(-time.Hour), NotAfter: end, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	parent, signer := template, key
	if by == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	} else {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{certificate, key}
}

func data(t *testing.T, leaf issuer) map[string][]byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(leaf.key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"tls.crt": leaf.pem(), "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
}

const host = "webhook.cosign-system.svc"

// TestCertificates: what is served, and what API servers are told to trust.
func TestCertificates(t *testing.T) {
	t.Parallel()
	year, week := noon().Add(365*24*time.Hour), noon().Add(7*24*time.Hour)
	ours, other := minted(t, nil, year), minted(t, nil, year)
	leaf := minted(t, &ours, week, host)
	trusting := func(bundle []byte) []hook {
		h := *installed(t).hookOf("/validate")
		h.ClientConfig.CABundle = bundle
		return []hook{h}
	}
	for _, tt := range []struct {
		name   string
		data   map[string][]byte
		bundle []byte
		now    time.Time
		status finding.Status
		want   string
	}{
		{"all is well", data(t, leaf), ours.pem(), noon(), "", ""},
		{"two CAs while one is replaced", data(t, leaf), slices.Concat(other.pem(), ours.pem()), noon(), "", ""},
		{"nothing yet", nil, ours.pem(), noon(), finding.Failure, "tls.crt: got none yet"},
		{"garbage", map[string][]byte{"tls.crt": []byte("a"), "tls.key": []byte("b")}, ours.pem(), noon(), finding.Failure, "failed to find any PEM data"},
		{"the key of another", map[string][]byte{"tls.crt": leaf.pem(), "tls.key": data(t, other)["tls.key"]}, ours.pem(), noon(), finding.Failure, "private key does not match"},
		{"nothing is trusted", data(t, leaf), nil, noon(), finding.Failure, "caBundle: got none"},
		{"garbage is trusted", data(t, leaf), []byte("a"), noon(), finding.Failure, "caBundle: got no certificate in PEM"},
		{"another CA is trusted", data(t, leaf), other.pem(), noon(), finding.Failure, "does not lead to it: x509"},
		{"nobody renews it", data(t, leaf), ours.pem(), week.Add(-time.Hour), finding.Warning, "nobody renews it, and it expires 2026-06-08T12:00:00Z"},
		{"it has expired", data(t, leaf), ours.pem(), week.Add(time.Hour), finding.Failure, "expired"},
		{"it is for another name", data(t, minted(t, &ours, week, "webhook.old.svc")), ours.pem(), noon(), finding.Failure, "webhook.old.svc"},
		{"it is of the future", data(t, leaf), ours.pem(), noon().Add(-2 * time.Hour), finding.Failure, "not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := served{object: "Secret cosign-system/webhook-certs", name: host, data: tt.data}
			want(t, judgeCertificate(s, trusting(tt.bundle), tt.now), tt.status, tt.want)
		})
	}
}

// FuzzCertificate: whatever somebody puts into the Secret or into caBundle is a finding.
func FuzzCertificate(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), []byte("a"))
	h := *installed(f).hookOf("/validate")
	f.Fuzz(func(t *testing.T, certificate, key, bundle []byte) {
		s := served{object: "Secret a/b", name: host, data: map[string][]byte{"tls.crt": certificate, "tls.key": key}}
		h := h
		h.ClientConfig.CABundle = bundle
		if got := judgeCertificate(s, []hook{h}, noon()); finding.Worst(got) == nil {
			t.Errorf("got %+v of %q, want something wrong", got, certificate)
		}
		if pool, _, err := poolOf(bundle); (pool == nil) == (err == nil) {
			t.Errorf("got %v and %v, want one of them", pool, err)
		}
	})
}
