package fulcio_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/sigstore/fulcio"
)

// made signs a certificate by its own key.
func made(t testing.TB, change func(*x509.Certificate)) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"sigstore.dev"}},
		NotBefore: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), NotAfter: time.Date(2026, 6, 1, 12, 10, 0, 0, time.UTC),
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func inPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// extension is one of Fulcio's, the newer of which are ASN.1.
func extension(t testing.TB, number int, text string) pkix.Extension {
	t.Helper()
	value := []byte(text)
	if number > 7 {
		var err error
		if value, err = asn1.MarshalWithParams(text, "utf8"); err != nil {
			t.Fatal(err)
		}
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, number}, Value: value}
}

func uris(t testing.TB, texts ...string) (out []*url.URL) {
	t.Helper()
	for _, text := range texts {
		parsed, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, parsed)
	}
	return out
}

func TestParse(t *testing.T) {
	t.Parallel()
	const workflow, issuer = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1", "https://token.actions.githubusercontent.com"
	der := made(t, func(c *x509.Certificate) {
		c.URIs = uris(t, workflow)
		c.ExtraExtensions = []pkix.Extension{
			extension(t, 1, issuer), extension(t, 5, "acme/app"), extension(t, 8, issuer), extension(t, 12, "https://github.com/acme/app"), extension(t, 20, "push"),
			extension(t, 99, "of the future"),
		}
	})
	want := fulcio.Certificate{
		Subject: workflow, Subjects: []string{workflow}, Issuer: issuer, CertificateIssuer: "O=sigstore.dev",
		Extensions: map[string]string{"githubWorkflowRepository": "acme/app", "sourceRepositoryURI": "https://github.com/acme/app", "buildTrigger": "push"},
		NotBefore:  time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), NotAfter: time.Date(2026, 6, 1, 12, 10, 0, 0, time.UTC),
	}
	for form, text := range map[string]string{
		"PEM": inPEM(der), "PEM between blanks": "\n " + inPEM(der) + "\n\n", "base64": base64.StdEncoding.EncodeToString(der),
	} {
		got, err := fulcio.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", form, diff)
		}
	}
	for subject, change := range map[string]func(*x509.Certificate){
		"dev@acme.example": func(c *x509.Certificate) { c.EmailAddresses = []string{"dev@acme.example"} },
		"acme.example":     func(c *x509.Certificate) { c.DNSNames = []string{"acme.example"} },
		"192.0.2.1":        func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("192.0.2.1")} },
		"":                 func(*x509.Certificate) {},
	} {
		got, err := fulcio.Parse(inPEM(made(t, change)))
		if err != nil || got.Subject != subject || strings.Join(got.Subjects, " ") != subject || got.Issuer != "" || len(got.Extensions) != 0 {
			t.Errorf("got %+v and error %v, want the subject %q alone", got, err, subject)
		}
	}
	for subjects, change := range map[string]func(*x509.Certificate){
		"https://a.example/x https://b.example/x": func(c *x509.Certificate) { c.URIs = uris(t, "https://a.example/x", "https://b.example/x") },
		"a@b.example https://a.example/x": func(c *x509.Certificate) {
			c.URIs, c.EmailAddresses = uris(t, "https://a.example/x"), []string{"a@b.example"}
		},
	} {
		got, err := fulcio.Parse(inPEM(made(t, change)))
		if err != nil || got.Subject != "" || strings.Join(got.Subjects, " ") != subjects {
			t.Errorf("got %+v and error %v, want the subjects %q and none of them chosen", got, err, subjects)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	plain := made(t, func(*x509.Certificate) {})
	for name, tt := range map[string]struct{ text, says string }{
		"nothing":                   {"", "neither PEM nor base64"},
		"text":                      {"not a certificate", "neither PEM nor base64"},
		"base64 of something else":  {"c29tZXRoaW5n", "got no certificate"},
		"PEM that ends early":       {inPEM(plain)[:100], "got PEM that cannot be read"},
		"a private key":             {"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "got PEM of another type"},
		"a certificate that is cut": {base64.StdEncoding.EncodeToString(plain[:len(plain)-1]), "got no certificate"},
		"bytes behind it":           {base64.StdEncoding.EncodeToString(append(bytes.Clone(plain), 0)), "got no certificate"},
		"two certificates":          {inPEM(plain) + inPEM(plain), "got more behind the first certificate"},
		"an extension that is not ASN.1": {inPEM(made(t, func(c *x509.Certificate) {
			broken := extension(t, 12, "x")
			broken.Value = []byte("x")
			c.ExtraExtensions = []pkix.Extension{broken}
		})), "extensions: "},
	} {
		got, err := fulcio.Parse(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: got %+v and error %v, want %q", name, got, err, tt.says)
		}
	}
}

// TestConformanceOfCertificates reads the certificates of real signatures.
func TestConformanceOfCertificates(t *testing.T) {
	t.Parallel()
	root := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if root == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set")
	}
	right, all := 0, 0
	err := filepath.WalkDir(filepath.Join(root, "images"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(path, "blobs") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(content, []byte("dev.sigstore.cosign/certificate")) {
			return err
		}
		var m struct {
			Layers []struct {
				Annotations map[string]string `json:"annotations"`
			} `json:"layers"`
		}
		if json.Unmarshal(content, &m) != nil {
			return nil
		}
		for _, layer := range m.Layers {
			text := layer.Annotations["dev.sigstore.cosign/certificate"]
			if text == "" {
				continue
			}
			all++
			got, err := fulcio.Parse(text)
			if err == nil && len(got.Subjects) == 0 {
				err = errors.New("got no subject")
			}
			if err != nil {
				t.Logf("%s: %v", path, err)
				continue
			}
			right++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d right", right, all)
	if right != all || all == 0 {
		t.Errorf("got %d of %d certificates, want all", right, all)
	}
}

// FuzzParse: no text breaks the reader, and what it reads has a form in JSON.
func FuzzParse(f *testing.F) {
	der := made(f, func(c *x509.Certificate) {
		c.EmailAddresses = []string{"dev@acme.example"}
		c.ExtraExtensions = []pkix.Extension{extension(f, 1, "https://issuer.example"), extension(f, 9, "x")}
	})
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, text := range []string{string(der), base64.StdEncoding.EncodeToString(der), inPEM(der)} {
			got, err := fulcio.Parse(text)
			if err != nil {
				continue
			}
			if _, err := json.Marshal(got); err != nil {
				t.Errorf("got %+v without a form in JSON: %v", got, err)
			}
		}
	})
}
