package sigstore

import (
	"crypto/elliptic"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/assay-dev/assay/builtins/sigstore/statement"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// The evidence is that of the public good instance, whose authority has P-384
// keys, so these need the real material.

func benchmarkReal(b *testing.B, layer Layer, digest v1.Hash, format, issuer, subject, trusted string) {
	b.Helper()
	parsed, err := trust.Parse(readFile(b, conformanceData(b), trusted))
	if err != nil {
		b.Fatal(err)
	}
	a := bundleAuthority(issuer, subject)
	a.SignatureFormat = cip.SignatureFormat(format)
	c, refusal := NewCheck(a, trust.Roots{Default: parsed}, Options{Now: measuredAt()})
	if refusal != nil {
		b.Fatal(refusal)
	}
	whole := *c
	material := *c.trust
	material.authorities, whole.trust = parsed.Material().FulcioCertificateAuthorities(), &material
	for name, c := range map[string]*Check{"links verified before": c, "whole chain": &whole} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, refusal := c.guarded(layer, digest, format, true); refusal != nil {
					b.Fatal(refusal)
				}
			}
		})
	}
}

func BenchmarkLegacyKeyless(b *testing.B) {
	l := readLayout(b, filepath.Join(conformanceData(b), "images"), "slsa-provenance-v2.1.0")
	digest := v1.Hash{Algorithm: "sha256", Hex: subjectHex(b, l.attestations[0])}
	benchmarkReal(b, l.attestations[0], digest, FormatLegacy, testIssuer,
		"https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/v2.1.0",
		"trust/public-good/trusted_root.json")
}

func BenchmarkBundleKeyless(b *testing.B) {
	data := conformanceData(b)
	var cases map[string]otherBundle
	readInto(b, &cases, data, "bundles", "other", "expected.json")
	const name = "bcr-MODULE.bazel"
	c := cases[name]
	hex, _ := c.Subject[2].(string)
	layer := Layer{Content: readFile(b, data, "bundles", "other", name+".sigstore.json")}
	benchmarkReal(b, layer, v1.Hash{Algorithm: "sha256", Hex: hex}, FormatBundle, c.Issuer, c.Identity, c.TrustedRoot)
}

func BenchmarkNewCheck(b *testing.B) {
	s := open(b, "")
	roots, a := s.roots(b), withLog(keyless())
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := NewCheck(a, roots, Options{Now: today()}); refusal != nil {
			b.Fatal(refusal)
		}
	}
}

// subjectHex is the image that an attestation is about.
func subjectHex(b *testing.B, l Layer) string {
	b.Helper()
	payload, err := envelopePayload(l.Content)
	if err != nil {
		b.Fatal(err)
	}
	said, err := statement.Parse(payload)
	if err != nil {
		b.Fatal(err)
	}
	return said.Subjects[0]["sha256"]
}

// BenchmarkCACert verifies a signature up to a private authority: by its root and
// intermediate, by an intermediate that came along, and by the issuer's key.
func BenchmarkCACert(b *testing.B) {
	a := newAuthority(b, elliptic.P256(), today())
	signer, leaf := a.leaf(b, today())
	layer := signed(b, signer, leaf)[FormatLegacy]
	along := chained(b, signer, leaf, a.intermediate)[FormatLegacy]
	for name, test := range map[string]struct {
		ca    []byte
		layer Layer
	}{
		"certificates": {certificatePEM(a.intermediate, a.root), layer}, "along": {certificatePEM(a.root), along},
		"key": {publicPEM(b, a.intermediate.PublicKey), layer},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, refusal := pki(b, test.ca, clock()).Signatures(testDigest, []Evidence{{FormatLegacy, []Layer{test.layer}}}); refusal != nil {
					b.Fatal(refusal)
				}
			}
		})
	}
}

// BenchmarkOpenArchive reads a real TUF repository with its trusted root.
func BenchmarkOpenArchive(b *testing.B) {
	r := realRepository(b, conformanceData(b), "conforma-private-sigstore-2026-05")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := trust.OpenArchive(r, measuredAt()); err != nil {
			b.Fatal(err)
		}
	}
}
