package sigstore

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// imageCase is a row of images/expected.json: what cosign was asked and said.
type imageCase struct {
	Image, Digest, Command, Case, TrustedRoot, Verdict, Error string
	Args                                                      []string
}

func (c imageCase) flag(name string) string {
	if i := slices.Index(c.Args, name); i >= 0 && i+1 < len(c.Args) {
		return c.Args[i+1]
	}
	return ""
}

func (c imageCase) has(name string) bool { return slices.Contains(c.Args, name) }

// bySelf reports whether `assay verify` cannot be asked the question through one
// policy and one --trusted-root: extensions, annotations, PEM roots, and what
// takes a TrustRoot to say.
func (c imageCase) bySelf() bool {
	return slices.ContainsFunc(c.Args, func(arg string) bool {
		return strings.HasPrefix(arg, "--certificate-github-workflow") || strings.HasPrefix(arg, "--ca-") ||
			arg == "--timestamp-certificate-chain" || arg == "-a"
	}) || (!c.has("--key") && c.has("--insecure-ignore-tlog"))
}

// TestConformanceImages asks this package the measured questions that a
// ClusterImagePolicy alone cannot: the others run through the command.
func TestConformanceImages(t *testing.T) {
	data := conformanceData(t)
	var cases []imageCase
	readInto(t, &cases, data, "images", "expected.json")
	right, total := 0, 0
	for _, c := range cases {
		if !c.bySelf() {
			continue
		}
		total++
		got, cause := verdict(c.verify(t, data))
		if got == c.Verdict {
			right++
			continue
		}
		t.Errorf("%s %s: %s\n  args %q\n  got %s, want %s (%s): %s", c.Image, c.Command, c.Case, c.Args, got, c.Verdict, c.Error, cause)
	}
	t.Logf("images: %d of %d right", right, total)
}

func (c imageCase) verify(t *testing.T, data string) *Refusal {
	t.Helper()
	check, refusal := NewCheck(c.authority(t, data), c.roots(t, data), Options{Now: measuredAt()})
	if refusal != nil {
		return refusal
	}
	check.extensions = certificate.Extensions{
		GithubWorkflowTrigger:    c.flag("--certificate-github-workflow-trigger"),
		GithubWorkflowSHA:        c.flag("--certificate-github-workflow-sha"),
		GithubWorkflowName:       c.flag("--certificate-github-workflow-name"),
		GithubWorkflowRepository: c.flag("--certificate-github-workflow-repository"),
		GithubWorkflowRef:        c.flag("--certificate-github-workflow-ref"),
	}
	l := readLayout(t, filepath.Join(data, "images"), c.Image)
	evidence := []Evidence{{FormatBundle, l.bundles}}
	if c.Command == "verify" {
		evidence = append(evidence, Evidence{FormatLegacy, c.annotated(t, l.signatures)})
		_, refusal := check.Signatures(c.Digest, evidence)
		return refusal
	}
	found, refusal := check.Attestations(c.Digest, append(evidence, Evidence{FormatLegacy, l.attestations}))
	if refusal != nil {
		return refusal
	}
	_, refusal = OfType(found, cip.PredicateTypeURI(c.flag("--type")), c.flag("--type"))
	return refusal
}

// annotated keeps the layers whose signed payload has the annotation that -a
// asks for. That is the caller's to ask: to this package it is content.
func (c imageCase) annotated(t *testing.T, layers []Layer) []Layer {
	t.Helper()
	key, value, wanted := strings.Cut(c.flag("-a"), "=")
	if !wanted {
		return layers
	}
	return slices.DeleteFunc(layers, func(l Layer) bool {
		var payload struct{ Optional map[string]any }
		return json.Unmarshal(l.Content, &payload) != nil || payload.Optional[key] != value
	})
}

func (c imageCase) authority(t *testing.T, data string) cip.Authority {
	t.Helper()
	a := cip.Authority{Name: "measured", SignatureFormat: cip.FormatAny}
	if key := c.flag("--key"); key != "" {
		a.Key = &cip.KeyRef{Data: string(readFile(t, data, key))}
	} else {
		a.Keyless = &cip.KeylessRef{Identities: []cip.Identity{{
			Issuer: c.flag("--certificate-oidc-issuer"), IssuerRegExp: c.flag("--certificate-oidc-issuer-regexp"),
			Subject: c.flag("--certificate-identity"), SubjectRegExp: c.flag("--certificate-identity-regexp"),
		}}}
		if c.has("--insecure-ignore-tlog") {
			a = withTrustRoot(a)
		}
		if c.has("--insecure-ignore-sct") {
			a = withoutSCT(a)
		}
	}
	if c.has("--timestamp-certificate-chain") || c.has("--use-signed-timestamps") {
		a = withTimestamp(a)
	}
	if !c.has("--insecure-ignore-tlog") {
		a = withLog(a)
	}
	return a
}

// roots makes a TrustRoot of what the flags name, or takes the trusted root.
func (c imageCase) roots(t *testing.T, data string) trust.Roots {
	t.Helper()
	var parsed *trust.Root
	var err error
	if strings.HasSuffix(c.TrustedRoot, ".json") {
		parsed, err = trust.Parse(readFile(t, data, c.TrustedRoot))
	} else {
		keys := &cip.SigstoreKeys{}
		chain := []string{filepath.Join(data, "trust/generated/fulcio.pem")}
		if roots := c.flag("--ca-roots"); roots != "" {
			chain = []string{filepath.Join(data, c.flag("--ca-intermediates")), filepath.Join(data, roots)}
		}
		keys.CertificateAuthorities = []cip.CertificateAuthority{{CertChain: pemChain(t, chain...)}}
		if tsa := c.flag("--timestamp-certificate-chain"); tsa != "" {
			keys.TimestampAuthorities = []cip.CertificateAuthority{{CertChain: pemChain(t, filepath.Join(data, tsa))}}
		}
		parsed, err = trust.FromKeys(keys)
	}
	if err != nil {
		t.Fatal(err)
	}
	return trust.Roots{Default: parsed, Named: map[string]*trust.Root{"world": parsed}}
}
