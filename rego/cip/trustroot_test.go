package cip_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

func withTrustRoot(spec string) []byte {
	return []byte("{apiVersion: policy.sigstore.dev/v1alpha1, kind: TrustRoot, metadata: {name: t}, spec: " + spec + "}")
}

func encode(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func keyPEM() []byte { return []byte(strings.ReplaceAll(publicKey, `\n`, "\n")) }

// certificatePEM mints one self-signed certificate.
func certificatePEM(t *testing.T, isCA bool) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "c"}, IsCA: isCA, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<31, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func authority(chain []byte) string {
	return "{subject: {organization: o, commonName: c}, uri: 'https://ca.example.com', certChain: " + encode(chain) + "}"
}

func log(key []byte) string {
	return "{baseURL: 'https://log.example.com', hashAlgorithm: sha-256, publicKey: " + encode(key) + "}"
}

func TestTrustRootRefuses(t *testing.T) {
	t.Parallel()
	root, bare := encode([]byte(`{"signatures": []}`)), encode([]byte(`{}`))
	ca, leaf := certificatePEM(t, true), certificatePEM(t, false)
	check(t, []refusal{
		{"TR-7: nothing", "{}", "expected exactly one, got neither: spec.remote, spec.repository, spec.sigstoreKeys"},
		{"TR-7: two", "{remote: {}, sigstoreKeys: {}}", "expected exactly one, got both: spec.remote, spec.repository, spec.sigstoreKeys"},
		{"TR-7: empty remote", "{remote: {}}", "missing field(s): spec.remote.mirror, spec.remote.root"},
		{"TR-7: root that is no JSON", "{remote: {mirror: 'https://m', root: " + encode([]byte("x")) + "}}",
			"invalid value: failed to unmarshal: spec.remote.root\ninvalid character 'x' looking for beginning of value"},
		{"TR-7: root without signatures", "{remote: {mirror: 'https://m', root: " + bare + "}}",
			"invalid value: missing signatures in root.json: spec.remote.root\nno signatures"},
		{"TR-7: empty repository", "{repository: {}}", "missing field(s): spec.repository.repository, spec.repository.root"},
		{"TR-7: mirrorFS that is no gzip", "{repository: {root: " + root + ", mirrorFS: " + encode([]byte("0123456789")) + "}}",
			"invalid value: failed to construct a TUF client: spec.repository.mirrorFS\nfailed to uncompress: gzip: invalid header"},
		{"TR-7: empty keys", "{sigstoreKeys: {}}",
			"expected exactly one, got neither: spec.sigstoreKeys.certificateAuthority, spec.sigstoreKeys.timestampAuthorities"},
		{"TR-8: every element is reported", "{sigstoreKeys: {certificateAuthorities: [{}, " + authority(ca) + ", {}], tLogs: [{}], ctLogs: [{}]}}",
			"missing field(s): spec.sigstoreKeys.certificateAuthorities[0].certchain, " +
				"spec.sigstoreKeys.certificateAuthorities[0].subject.commonName, " +
				"spec.sigstoreKeys.certificateAuthorities[0].subject.organization, " +
				"spec.sigstoreKeys.certificateAuthorities[0].uri, " +
				"spec.sigstoreKeys.certificateAuthorities[2].certchain, " +
				"spec.sigstoreKeys.certificateAuthorities[2].subject.commonName, " +
				"spec.sigstoreKeys.certificateAuthorities[2].subject.organization, " +
				"spec.sigstoreKeys.certificateAuthorities[2].uri, " +
				"spec.sigstoreKeys.ctLogs[0].baseURL, spec.sigstoreKeys.ctLogs[0].hashAlgorithm, spec.sigstoreKeys.ctLogs[0].publicKey, " +
				"spec.sigstoreKeys.tLogs[0].baseURL, spec.sigstoreKeys.tLogs[0].hashAlgorithm, spec.sigstoreKeys.tLogs[0].publicKey"},
		{"TR-7: chain that is no PEM", "{sigstoreKeys: {certificateAuthorities: [" + authority([]byte("x")) + "]}}",
			"invalid value: error splitting the certificates: spec.sigstoreKeys.certificateAuthorities[0].certChain\nerror during PEM decoding"},
		{"TR-7: chain with a key in it", "{sigstoreKeys: {timestampAuthorities: [" + authority(keyPEM()) + "]}}",
			"invalid value: error splitting the certificates: spec.sigstoreKeys.timestampAuthorities[0].certChain\n" +
				`got a PEM block of type "PUBLIC KEY", want CERTIFICATE`},
		{"TR-7: two leaves", "{sigstoreKeys: {timestampAuthorities: [" + authority(bytes.Repeat(leaf, 2)) + "]}}",
			"invalid value: certificate chain must contain at most one TSA certificate: spec.sigstoreKeys.timestampAuthorities[0].certChain"},
		{"TR-7: log key that is no PEM", "{sigstoreKeys: {certificateAuthorities: [" + authority(ca) + "], tLogs: [" + log([]byte("x")) + "]}}",
			"invalid value: not a public key: spec.sigstoreKeys.tLogs[0].publicKey\nerror during PEM decoding"},
		{"TR-7: log hash", "{sigstoreKeys: {certificateAuthorities: [" + authority(ca) + "], ctLogs: [" +
			strings.Replace(log(keyPEM()), "sha-256", "md5", 1) + "]}}",
			"invalid value: md5: spec.sigstoreKeys.ctLogs[0].hashAlgorithm\nonly [sha-256] is supported"},
		{"TR-7: log hashes that are not SHA-256", "{sigstoreKeys: {certificateAuthorities: [" + authority(ca) + "], tLogs: [" +
			strings.Replace(log(keyPEM()), "sha-256", "sha-512", 1) + "], ctLogs: [" + log(keyPEM()) + ", " +
			strings.Replace(log(keyPEM()), "sha-256", "sha-384", 1) + "]}}",
			"invalid value: sha-384: spec.sigstoreKeys.ctLogs[1].hashAlgorithm\nonly [sha-256] is supported\n" +
				"invalid value: sha-512: spec.sigstoreKeys.tLogs[0].hashAlgorithm\nonly [sha-256] is supported"},
		{"TR-7: validity that ends before it starts", "{sigstoreKeys: {certificateAuthorities: [" +
			strings.Replace(authority(ca), "{", "{validFor: {start: 2023-01-01T00:00:00Z, end: 2022-01-01T00:00:00Z}, ", 1) + "]}}",
			"invalid value: 2022-01-01T00:00:00Z: spec.sigstoreKeys.certificateAuthorities[0].validFor.end\nthe end is before the start"},
	}, withTrustRoot)
}

func TestTrustRootSigstoreKeys(t *testing.T) {
	t.Parallel()
	chain := append(certificatePEM(t, false), certificatePEM(t, true)...)
	validLog := strings.Replace(log(keyPEM()), "{", "{validFor: {start: 2022-01-01T00:00:00Z}, ", 1)
	docs, err := cip.Parse(withTrustRoot("{sigstoreKeys: {timestampAuthorities: [" + authority(chain) + "], tLogs: [" + validLog + "]}}"))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
	want := []cip.TrustRoot{{Name: "t", Spec: cip.TrustRootSpec{SigstoreKeys: &cip.SigstoreKeys{
		TimestampAuthorities: []cip.CertificateAuthority{{
			Subject: cip.DistinguishedName{Organization: "o", CommonName: "c"}, URI: "https://ca.example.com", CertChain: chain,
		}},
		TLogs: []cip.TransparencyLog{{
			BaseURL: "https://log.example.com", HashAlgorithm: "sha-256", PublicKey: keyPEM(), ValidFor: &cip.Validity{Start: &start},
		}},
	}}}}
	if diff := cmp.Diff(want, docs.TrustRoots); diff != "" {
		t.Errorf("trust roots (-want +got):\n%s", diff)
	}
}

func TestTrustRootDefaults(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	if err := gzip.NewWriter(&archive).Close(); err != nil {
		t.Fatal(err)
	}
	root := []byte(`{"signatures": []}`)
	for spec, want := range map[string]cip.TrustRootSpec{
		"{remote: {mirror: 'https://m', root: " + encode(root) + "}}": {Remote: &cip.Remote{
			Root: root, Mirror: "https://m", Targets: "targets", TrustedRootTarget: "trusted_root.json",
		}},
		"{repository: {targets: x, trustedRootTarget: y, root: " + encode(root) + ", mirrorFS: " + encode(archive.Bytes()) + "}}": {
			Repository: &cip.Repository{Root: root, MirrorFS: archive.Bytes(), Targets: "x", TrustedRootTarget: "y"},
		},
	} {
		docs, err := cip.Parse(withTrustRoot(spec))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, docs.TrustRoots[0].Spec); diff != "" {
			t.Errorf("%s (-want +got):\n%s", spec, diff)
		}
	}
}
