package sigstore

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// TestConformancePrivatePKI judges a real signature of a private hierarchy: RSA, no
// issuer extension, two names, the intermediate in the annotation. The verdicts are
// those that cosign gave with --ca-roots, --insecure-ignore-tlog and -sct.
func TestConformancePrivatePKI(t *testing.T) {
	data := conformanceData(t)
	image := readLayout(t, filepath.Join(data, "images"), "containers-image-pki-chain")
	root := readFile(t, data, "trust/keys/containers-image-pki-root.pem")
	intermediate := readFile(t, data, "trust/keys/containers-image-pki-intermediate.pem")
	subject := func(name, issuer string) cip.Authority {
		return withoutSCT(withTrustRoot(cip.Authority{Keyless: &cip.KeylessRef{Identities: []cip.Identity{{Subject: name, IssuerRegExp: issuer}}}}))
	}
	for name, test := range map[string]struct {
		authority cip.Authority
		ca        []byte
		want      Code
		message   string
	}{
		"KLS-2: root and intermediate":                 {subject("qiwan@redhat.com", ".*"), append(bytes.Clone(root), intermediate...), "", ""},
		"KLS-2: the root, the intermediate came along": {subject("qiwan@redhat.com", ".*"), root, "", ""},
		"KLS-2: the key of the intermediate":           {subject("qiwan@redhat.com", ".*"), keyOfIssuer(t, intermediate), "", ""},
		"KLS-2: the other name":                        {subject("myhost.example.com", ".*"), root, "", ""},
		"KLS-2: no issuer is the empty one":            {subject("qiwan@redhat.com", "^$"), root, "", ""},
		"KLS-2: an issuer that is not there":           {subject("qiwan@redhat.com", ".+"), root, IdentityMismatch, "with issuer "},
		"KLS-2: wrong subject": {subject("mallory@redhat.com", ".*"), root, IdentityMismatch, "no matching signatures: none of the expected identities " +
			"matched what was in the certificate, got subjects [myhost.example.com, qiwan@redhat.com] with issuer "},
		"KLS-2: another authority": {subject("qiwan@redhat.com", ".*"), open(t, "").chainOf(t), UntrustedRoot, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, refusal := NewCheck(withCA(test.authority, test.ca), trust.Roots{Named: map[string]*trust.Root{"world": empty(t)}}, Options{Now: measuredAt()})
			if refusal != nil {
				t.Fatal(refusal)
			}
			got, refusal := c.Signatures("sha256:253c890b744fe3efa923b68e3a1be07bd007eb44ba29da1e7deb1d4c53b3e212", []Evidence{{FormatLegacy, image.signatures}})
			if codeOf(refusal) != test.want || (refusal != nil && !strings.Contains(refusal.Message, test.message)) {
				t.Fatalf("got %+v, %v, want code %q, %q", got, refusal, test.want, test.message)
			}
		})
	}
}
