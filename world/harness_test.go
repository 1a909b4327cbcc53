package world_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/assay-dev/assay/world"
)

const (
	issuer  = "https://token.actions.githubusercontent.com"
	subject = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"
	signers = `
signers:
  release:
    issuer: ` + issuer + `
    subject: ` + subject + `
  laptop: {issuer: https://github.com/login/oauth, subject: jane@example.com}
  deploy: {key: ecdsa-p256}
`
)

// open makes the world of the YAML and closes it with the test.
func open(t testing.TB, yaml string) *world.World {
	t.Helper()
	description, err := world.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(description)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// withImage is a world with one image that carries what the line of YAML says.
func withImage(kind, evidence string) string {
	return signers + "images: {app: {" + kind + ": [" + evidence + "]}}"
}

func trustedMaterial(t *testing.T, w *world.World) *root.TrustedRoot {
	t.Helper()
	data, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	return trusted
}

// imageHash is the reference by digest, and the digest, of an image.
func imageHash(t *testing.T, w *world.World, image string) (name.Digest, v1.Hash) {
	t.Helper()
	ref, digest, ok := w.Image(image)
	if !ok {
		t.Fatalf("no image %s", image)
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		t.Fatal(err)
	}
	return tag.Context().Digest(digest), hash
}

// legacy reads the signatures or attestations below a tag with that suffix.
func legacy(t *testing.T, w *world.World, image, suffix string) []oci.Signature {
	t.Helper()
	digest, hash := imageHash(t, w, image)
	signatures, err := ociremote.Signatures(digest.Context().Tag("sha256-" + hash.Hex + "." + suffix))
	if err != nil {
		t.Fatal(err)
	}
	list, err := signatures.Get()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// verifyLegacy asks cosign about one legacy signature or attestation. A panic of
// cosign is an error that says so.
func verifyLegacy(t *testing.T, w *world.World, image string, s oci.Signature, opts cosign.CheckOpts) (err error) {
	t.Helper()
	_, hash := imageHash(t, w, image)
	mediaType, err := s.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	opts.TrustedMaterial, opts.Offline = trustedMaterial(t, w), true
	if strings.Contains(string(mediaType), "dsse") {
		opts.ClaimVerifier = cosign.IntotoSubjectClaimVerifier
		_, err = cosign.VerifyBlobAttestation(t.Context(), s, hash, &opts)
	} else {
		opts.ClaimVerifier = cosign.SimpleClaimVerifier
		_, err = cosign.VerifyImageSignature(t.Context(), s, hash, &opts)
	}
	return err
}

func keyless() cosign.CheckOpts {
	return cosign.CheckOpts{Identities: []cosign.Identity{{Issuer: issuer, Subject: subject}}}
}

// bundles reads the bundles that refer to an image, by the API or the fallback tag.
func bundles(t *testing.T, w *world.World, image string) [][]byte {
	t.Helper()
	digest, _ := imageHash(t, w, image)
	index, err := remote.Referrers(digest)
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, d := range list.Manifests {
		if want := "application/vnd.dev.sigstore.bundle.v0.3+json"; d.ArtifactType != want {
			t.Errorf("artifact type of %s: got %q, want %q", d.Digest, d.ArtifactType, want)
		}
		referrer, err := remote.Image(digest.Context().Digest(d.Digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		m, err := referrer.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, blob(t, w, digest.Context().RepositoryStr(), m.Layers[0].Digest.String()))
	}
	return all
}

func blob(t *testing.T, w *world.World, repository, digest string) []byte {
	t.Helper()
	answer, err := http.Get("http://" + w.Registry() + "/v2/" + repository + "/blobs/" + digest)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var data bytes.Buffer
	if _, err := data.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// verifyBundle asks sigstore-go about one bundle.
func verifyBundle(t *testing.T, w *world.World, image string, data []byte, key string) (*verify.VerificationResult, error) {
	t.Helper()
	var b bundle.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	_, hash := imageHash(t, w, image)
	digest, err := hex.DecodeString(hash.Hex)
	if err != nil {
		t.Fatal(err)
	}
	material := root.TrustedMaterialCollection{trustedMaterial(t, w)}
	options := []verify.VerifierOption{verify.WithTransparencyLog(1)}
	policy := []verify.PolicyOption{}
	if key != "" {
		options = append(options, verify.WithNoObserverTimestamps())
		policy = append(policy, verify.WithKey())
		material = append(material, root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
			return root.NewExpiringKey(keyVerifier(t, w, key), time.Time{}, time.Time{}), nil
		}))
	} else {
		options = append(options, verify.WithSignedCertificateTimestamps(1), verify.WithObserverTimestamps(1))
		identity, err := verify.NewShortCertificateIdentity(issuer, "", subject, "")
		if err != nil {
			t.Fatal(err)
		}
		policy = append(policy, verify.WithCertificateIdentity(identity))
	}
	verifier, err := verify.NewVerifier(material, options...)
	if err != nil {
		t.Fatal(err)
	}
	return verifier.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest("sha256", digest), policy...))
}

func keyVerifier(t *testing.T, w *world.World, signer string) signature.Verifier {
	t.Helper()
	data, ok := w.PublicKey(signer)
	if !ok {
		t.Fatalf("no key of %s", signer)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// checkRefusal wants the error to be there and to say why; without a reason, none.
func checkRefusal(t *testing.T, err error, reason string) {
	t.Helper()
	switch {
	case reason == "" && err != nil:
		t.Errorf("got %v, want acceptance", err)
	case reason != "" && err == nil:
		t.Errorf("got acceptance, want a refusal: %s", reason)
	case reason != "" && !strings.Contains(err.Error(), reason):
		t.Errorf("got %v, want a refusal: %s", err, reason)
	}
}
