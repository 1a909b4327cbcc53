// Package world mints images, signers, signatures and attestations from a few
// lines of YAML: a real registry on a loopback port and a Sigstore of its own,
// both in memory. Tests, the demo and policy authors try policies on it without
// a network and without an account.
//
//	signers:
//	  release:
//	    issuer: https://token.actions.githubusercontent.com
//	    subject: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
//	    extensions: {githubWorkflowRepository: acme/app}
//	  deploy-key: {key: ecdsa-p256}
//	images:
//	  app:
//	    repository: acme/app
//	    tag: v1
//	    config: {user: "65532"}
//	    signatures:
//	      - {signer: release}
//	      - {signer: release, format: bundle, log: rekor2, timestamp: true}
//	      - {signer: release, fault: missing-sct}
//	    attestations:
//	      - {signer: release, predicateType: https://slsa.dev/provenance/v1, predicate: {}}
//
// [Parse] reads that, [New] makes it. The cryptography is real: certificates of
// an authority with root and intermediate, with Fulcio's extensions and the
// promise of a certificate log in them; entries of a Rekor v1 log (signed entry
// timestamp, inclusion proof, checkpoint) or a Rekor v2 log (proof and
// checkpoint); RFC 3161 timestamps. Package sigstore, below this one, makes them.
// [World.TrustedRoot] is what a verifier needs to know of it, [World.TrustRoot]
// what a policy can name. A [Fault] breaks exactly one thing and leaves the rest
// sound.
//
// The digests of images depend on the YAML alone. Keys, and with them all
// evidence, are new in every world. Everything happens at Description.Clock.
//
// Policies match names such as ghcr.io/acme/app. A world whose description names
// registries has its images there, for who asks through [World.Transport]: in the
// process, and no other host is reached. Where every image has a registry with a
// name, no port is opened.
//
// The package refuses what it does not know and what would test nothing, such
// as a missing SCT on the signature of a key. It never opens a connection, and
// listens on the loopback interface only.
package world

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/assay-dev/assay/world/sigstore"
)

// World is a description come true. Its methods may be called concurrently.
type World struct {
	host        *host
	images      map[string]minted
	keys        map[string]*sigstore.Signer
	sigstore    *sigstore.Sigstore // its own, and not that of strangers
	trustedRoot []byte
	clock       time.Time

	signing sync.Mutex // of mint, after the world was made
	mint    mint
}

// minted is an image in the registry.
type minted struct {
	repository string // with the registry
	tag        string
	subject    descriptor
	evidence   []evidence
}

// New makes everything that the description says and starts the registry.
// Close it when done. The description is not changed.
func New(d *Description) (*World, error) {
	if d == nil {
		return nil, fmt.Errorf("world: got no description")
	}
	if err := d.validate(); err != nil {
		return nil, err
	}
	w, err := build(d.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	return w, nil
}

// withDefaults is a copy with every default written out.
func (d Description) withDefaults() *Description {
	if d.Clock.IsZero() {
		d.Clock = defaultClock()
	}
	d.Clock = d.Clock.UTC()
	d.Registry = canonical(d.Registry)
	images := make(map[string]Image, len(d.Images))
	for name, image := range d.Images {
		images[name] = image.withDefaults(name, d.Registry)
	}
	d.Images = images
	return &d
}

// withDefaults leaves Registry empty in an image at the loopback port.
func (i Image) withDefaults(name, registry string) Image {
	i.Registry = canonical(cmp.Or(i.Registry, registry))
	i.EvidenceIn.Registry = canonical(cmp.Or(i.EvidenceIn.Registry, i.Registry))
	if i.Repository == "" {
		i.Repository = name
	}
	if i.Tag == "" {
		i.Tag = "latest"
	}
	return i
}

func build(d *Description) (_ *World, err error) {
	m, err := newMint(d)
	if err != nil {
		return nil, err
	}
	w := &World{images: map[string]minted{}, keys: m.keys, sigstore: m.own, clock: d.Clock, mint: m}
	if w.trustedRoot, err = m.own.TrustedRoot(); err != nil {
		return nil, err
	}
	if w.host, err = newHost(d); err != nil {
		return nil, err
	}
	if err := w.stock(d, m); err != nil {
		_ = w.host.close()
		return nil, err
	}
	w.host.serve()
	return w, nil
}

// stock fills the registry: first every image and what is signed about it, then
// all evidence, because one image can show that of another.
func (w *World) stock(d *Description, m mint) error {
	names := slices.Sorted(maps.Keys(d.Images))
	for _, name := range names {
		image := d.Images[name]
		s := &shelf{registry: w.host.registry(image.Registry), repository: image.Repository}
		subject, err := s.pushImage(name, image, d.Clock)
		if err != nil {
			return fmt.Errorf("images.%s: %w", name, err)
		}
		repository := cmp.Or(image.Registry, w.host.name) + "/" + image.Repository
		all, err := m.evidence(image, repository, subject)
		if err != nil {
			return fmt.Errorf("images.%s.%w", name, err)
		}
		w.images[name] = minted{repository: repository, tag: image.Tag, subject: subject, evidence: all}
	}
	for _, name := range names {
		image, made := d.Images[name], w.images[name]
		all := slices.Concat(made.evidence, w.images[image.EvidenceFrom].evidence)
		s := &shelf{
			registry: w.host.registry(image.EvidenceIn.Registry), repository: cmp.Or(image.EvidenceIn.Repository, image.Repository),
		}
		if err := s.pushLegacy(image.EvidenceIn.TagPrefix, made.subject, all); err != nil {
			return fmt.Errorf("images.%s: %w", name, err)
		}
		if err := s.pushBundles(made.subject, all, d.Clock, d.Referrers); err != nil {
			return fmt.Errorf("images.%s: %w", name, err)
		}
	}
	return nil
}

// Close stops the registry. Requests in flight are cut.
func (w *World) Close() error { return w.host.close() }

// Registry is the name of the description, or else the registry's host:port.
func (w *World) Registry() string { return w.host.name }

// Image is the reference (registry/repository:tag) and the digest
// (sha256:…) of an image by its name in the description.
func (w *World) Image(name string) (ref, digest string, ok bool) {
	i, ok := w.images[name]
	if !ok {
		return "", "", false
	}
	return i.repository + ":" + i.tag, i.subject.Digest, true
}

// TrustedRoot is the world's trusted_root.json.
func (w *World) TrustedRoot() ([]byte, error) { return slices.Clone(w.trustedRoot), nil }

// TrustRoot is the same trust as the YAML of a TrustRoot resource
// (policy.sigstore.dev/v1alpha1, spec.sigstoreKeys) of that name, for policies
// with a trustRootRef.
func (w *World) TrustRoot(name string) []byte { return w.sigstore.TrustRoot(name) }

// PublicKey is the PEM of a key signer's public key by the signer's name. It is
// not ok for a keyless signer.
func (w *World) PublicKey(signer string) (pem []byte, ok bool) {
	key, ok := w.keys[signer]
	if !ok {
		return nil, false
	}
	return key.PublicKey(), true
}

// Now is when everything in the world happened: Description.Clock, or its default.
func (w *World) Now() time.Time { return w.clock }
