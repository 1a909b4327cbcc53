package sigstore

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world"
)

const (
	testIssuer  = "https://token.actions.githubusercontent.com"
	testSubject = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"
	testType    = "https://slsa.dev/provenance/v1"
)

// signers stand at the top of every world of these tests.
const signers = `
signers:
  release:
    issuer: ` + testIssuer + `
    subject: ` + testSubject + `
    extensions: {githubWorkflowRepository: acme/app}
  laptop: {issuer: https://github.com/login/oauth, subject: jane@example.com}
  deploy-key: {key: ecdsa-p256}
  other-key: {key: ecdsa-p256}
`

// clock is the instant of all worlds.
func clock() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// today is a day after all worlds: every certificate in them has expired.
func today() time.Time { return clock().Add(24 * time.Hour) }

// scene is a world with one image, app.
type scene struct {
	*world.World
	digest string
}

// open makes the world; images is the YAML of image app, such as
// "signatures: [{signer: release}]".
func open(t testing.TB, image string) *scene {
	t.Helper()
	description, err := world.Parse([]byte(signers + "images:\n  other: {}\n  app: {" + image + "}\n"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(description)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	_, digest, _ := w.Image("app")
	return &scene{World: w, digest: digest}
}

func (s *scene) get(t testing.TB, path string, into any) []byte {
	t.Helper()
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/v2/app/"+path, nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("%s: got status %d", path, answer.Code)
	}
	if into != nil {
		if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil {
			t.Fatal(err)
		}
	}
	return answer.Body.Bytes()
}

type listed struct {
	Digest      string
	Annotations map[string]string
}

// legacy are the layers of the image's .sig or .att manifest.
func (s *scene) legacy(t testing.TB, suffix string) []Layer {
	t.Helper()
	var manifest struct{ Layers []listed }
	s.get(t, "manifests/"+strings.Replace(s.digest, ":", "-", 1)+"."+suffix, &manifest)
	var out []Layer
	for _, l := range manifest.Layers {
		out = append(out, Layer{Annotations: l.Annotations, Content: s.get(t, "blobs/"+l.Digest, nil)})
	}
	return out
}

// bundles are the bundles that refer to the image.
func (s *scene) bundles(t testing.TB) []Layer {
	t.Helper()
	var index struct{ Manifests []listed }
	s.get(t, "referrers/"+s.digest, &index)
	var out []Layer
	for _, m := range index.Manifests {
		var manifest struct{ Layers []listed }
		s.get(t, "manifests/"+m.Digest, &manifest)
		out = append(out, Layer{Content: s.get(t, "blobs/"+manifest.Layers[0].Digest, nil)})
	}
	return out
}

// evidence is all of one format: of signatures, or of attestations.
func (s *scene) evidence(t testing.TB, format string, attestations bool) []Layer {
	t.Helper()
	switch {
	case format == FormatBundle:
		return s.bundles(t)
	case attestations:
		return s.legacy(t, "att")
	}
	return s.legacy(t, "sig")
}

// roots has the world's root as the default and as the TrustRoot "world".
func (s *scene) roots(t testing.TB) trust.Roots {
	t.Helper()
	data, err := s.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := trust.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return trust.Roots{Default: parsed, Named: map[string]*trust.Root{"world": parsed}}
}

func (s *scene) check(t testing.TB, a cip.Authority, options ...Options) *Check {
	t.Helper()
	o := Options{Now: today()}
	if len(options) > 0 {
		o = options[0]
	}
	c, refusal := NewCheck(a, s.roots(t), o)
	if refusal != nil {
		t.Fatal(refusal)
	}
	return c
}

// keyed is an authority of the signer's key.
func (s *scene) keyed(t testing.TB, signer string) cip.Authority {
	t.Helper()
	pem, ok := s.PublicKey(signer)
	if !ok {
		t.Fatalf("no key of %s", signer)
	}
	return cip.Authority{Name: "keyed", Key: &cip.KeyRef{Data: string(pem)}, SignatureFormat: cip.FormatAny}
}

// keyless is an authority of the identity release.
func keyless() cip.Authority {
	return cip.Authority{
		Name: "keyless", SignatureFormat: cip.FormatAny,
		Keyless: &cip.KeylessRef{Identities: []cip.Identity{{Issuer: testIssuer, Subject: testSubject}}},
	}
}

func withLog(a cip.Authority) cip.Authority {
	a.CTLog = &cip.TLog{URL: "https://rekor.example"}
	return a
}

func withTimestamp(a cip.Authority) cip.Authority {
	a.RFC3161Timestamp = &cip.RFC3161Timestamp{TrustRootRef: "world"}
	return a
}

func withTrustRoot(a cip.Authority) cip.Authority {
	keyless := *a.Keyless
	keyless.TrustRootRef, a.Keyless = "world", &keyless
	return a
}

func withoutSCT(a cip.Authority) cip.Authority {
	ignore, keyless := true, *a.Keyless
	keyless.InsecureIgnoreSCT, a.Keyless = &ignore, &keyless
	return a
}

// one verifies one layer about the scene's image.
func (s *scene) one(t testing.TB, c *Check, layer Layer, format string, attestation bool) (*Signature, *Refusal) {
	t.Helper()
	hash, err := v1.NewHash(s.digest)
	if err != nil {
		t.Fatal(err)
	}
	return c.guarded(layer, hash, format, attestation)
}

// codeOf is the refusal's code, "" for none.
func codeOf(r *Refusal) Code {
	if r == nil {
		return ""
	}
	return r.Code
}
