package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Description says what a world contains. It is what the YAML decodes into;
// Go code may fill it directly, [New] checks it either way.
type Description struct {
	// Clock is when everything in the world happens: certificates are issued,
	// entries logged and timestamps made at this instant. The default is
	// 2026-06-01T12:00:00Z. It is never the machine's clock, so that a world
	// means the same on every day.
	Clock time.Time `json:"clock"`
	// Referrers says how the registry answers for bundles.
	Referrers Referrers `json:"referrers"`
	// Registry is the name of the registry in which images lie that name none,
	// such as ghcr.io. Images in a registry with a name are had through
	// [World.Transport]. Without a name they lie at host:port of the loopback
	// interface, where whoever asks finds them.
	Registry string `json:"registry"`
	// Signers by the name under which signatures and attestations know them.
	Signers map[string]Signer `json:"signers"`
	// Images by the name under which ${…} and [World.Image] know them.
	Images map[string]Image `json:"images"`
}

// Referrers is the way from an image to the bundles attached to it.
type Referrers string

// The ways; the empty value is ReferrersAPI.
const (
	// ReferrersAPI is the endpoint of OCI distribution 1.1.
	ReferrersAPI Referrers = "api"
	// ReferrersTag is the fallback of OCI distribution 1.1 for registries
	// without the endpoint: an index under the tag sha256-HEX.
	ReferrersTag Referrers = "tag"
)

// Signer is who signs: a keyless identity (Issuer and Subject) or a Key.
type Signer struct {
	// Issuer is the OpenID Connect issuer, extensions .1.1 and .1.8.
	Issuer string `json:"issuer"`
	// Subject is an e-mail address, a URI, or a user name as name!domain; its form
	// chooses the kind of SAN.
	Subject string `json:"subject"`
	// Extensions are Fulcio's further certificate extensions by the names of
	// Fulcio's documentation: githubWorkflowRepository, sourceRepositoryURI, …
	Extensions map[string]string `json:"extensions"`
	// Key makes a signer without certificate.
	Key KeyAlgorithm `json:"key"`
}

// KeyAlgorithm names the kind of a key signer's key.
type KeyAlgorithm string

// ECDSAP256 is the only kind: what cosign generate-key-pair makes.
const ECDSAP256 KeyAlgorithm = "ecdsa-p256"

// Image is one image and its evidence.
type Image struct {
	// Registry is the name of the registry; the default is Description.Registry.
	Registry string `json:"registry"`
	// Repository is the path without the registry; the default is the name of
	// the image.
	Repository string `json:"repository"`
	// Tag is the tag, "latest" by default.
	Tag string `json:"tag"`
	// Platforms such as linux/amd64 make the image an index with one manifest
	// each. Without, it is a single linux/amd64 manifest.
	Platforms []string `json:"platforms"`
	// Config is what a runtime, and a policy, reads in the image.
	Config Config `json:"config"`
	// Files are the content of the layer, by path.
	Files map[string]string `json:"files"`
	// Signatures in the order in which a registry lists them.
	Signatures []Signature `json:"signatures"`
	// Attestations in the order in which a registry lists them.
	Attestations []Attestation `json:"attestations"`
	// EvidenceFrom names another image whose evidence, byte for byte, is
	// attached to this one as well: the thief's way to a signed image.
	EvidenceFrom string `json:"evidenceFrom"`
	// EvidenceIn is where the evidence lies, beside the image by default.
	EvidenceIn Place `json:"evidenceIn"`
}

// Place is what a policy calls the source of an authority.
type Place struct {
	// Registry is the name of the registry; the default is the image's.
	Registry string `json:"registry"`
	// Repository is the path without the registry; the default is the image's.
	Repository string `json:"repository"`
	// TagPrefix is put before the tags of legacy evidence.
	TagPrefix string `json:"tagPrefix"`
}

// Config is the part of an image's configuration that policies ask for.
type Config struct {
	User       string            `json:"user"`
	Created    time.Time         `json:"created"` // the world's clock by default
	Env        []string          `json:"env"`
	Entrypoint []string          `json:"entrypoint"`
	Cmd        []string          `json:"cmd"`
	Labels     map[string]string `json:"labels"`
}

// Signature is a statement that the signer signed the image.
type Signature struct {
	Signing
	// Content is what a bundle holds.
	Content Content `json:"content"`
}

// Content is what a bundle holds besides its proofs.
type Content string

// The contents; the empty value is Envelope.
const (
	// Envelope is a statement about the image, as cosign 3 signs images.
	Envelope Content = "envelope"
	// Message is a signature over the image's manifest, as cosign signs files.
	Message Content = "message"
)

// Attestation is a predicate that the signer signed about the image.
type Attestation struct {
	Signing
	// PredicateType is the URI of the predicate's type.
	PredicateType string `json:"predicateType"`
	// Predicate is any document; {} by default.
	Predicate json.RawMessage `json:"predicate"`
	// Entry is the kind of the Rekor entry of a legacy attestation.
	Entry Entry `json:"entry"`
}

// Signing is how evidence is made, common to signatures and attestations.
type Signing struct {
	// Signer names one of Description.Signers.
	Signer string `json:"signer"`
	// Format is how the evidence lies in the registry.
	Format Format `json:"format"`
	// Log is where the signature was logged.
	Log Log `json:"log"`
	// Timestamp adds an RFC 3161 timestamp.
	Timestamp bool `json:"timestamp"`
	// Fault breaks exactly one thing.
	Fault Fault `json:"fault"`
	// Copies repeats the evidence: 3 is three equal layers or referrers. 0 is 1.
	Copies int `json:"copies"`
}

// Format is how evidence lies in the registry.
type Format string

// The formats; the empty value is Legacy.
const (
	// Legacy is a layer below the tag sha256-HEX.sig or .att, facts in annotations.
	Legacy Format = "legacy"
	// Bundle is a Sigstore bundle v0.3 in a referrer, as cosign 3 writes it.
	Bundle Format = "bundle"
)

// Log is a transparency log.
type Log string

// The logs; the empty value is Rekor.
const (
	// Rekor is a Rekor v1 log: signed entry timestamp, inclusion proof, time.
	Rekor Log = "rekor"
	// Rekor2 is a Rekor v2 log: inclusion proof and no time, so a certificate
	// needs a Timestamp beside it. Bundles only.
	Rekor2 Log = "rekor2"
	// NoLog leaves the signature unlogged.
	NoLog Log = "none"
)

// Entry is the kind of a Rekor v1 entry for an attestation.
type Entry string

// The kinds; the empty value is DSSE.
const (
	// DSSE is dsse 0.0.1.
	DSSE Entry = "dsse"
	// Intoto is intoto 0.0.2.
	Intoto Entry = "intoto"
)

// defaultClock is the instant of a world that names none.
func defaultClock() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// Parse decodes a world's YAML. Unknown and repeated fields, names that lead
// nowhere and combinations without meaning are errors that name their path.
func Parse(data []byte) (*Description, error) {
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	d := &Description{}
	strict, err := kjson.UnmarshalStrict(asJSON, d)
	if err := errors.Join(append(strict, err)...); err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	if err := d.validate(); err != nil {
		return nil, err
	}
	return d, nil
}
