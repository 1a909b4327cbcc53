package sigstore

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"net/url"

	trustrootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"sigs.k8s.io/yaml"
)

// TrustedRoot is the trusted_root.json of these authorities.
func (s *Sigstore) TrustedRoot() ([]byte, error) { return s.trustedRoot(s.timestamp) }

// StrangeTrustedRoot differs in the timestamp authority: it is not the one that runs.
func (s *Sigstore) StrangeTrustedRoot() ([]byte, error) {
	stranger, err := newTimestampAuthority("timestamps of nobody")
	if err != nil {
		return nil, err
	}
	return s.trustedRoot(stranger)
}

func (s *Sigstore) trustedRoot(timestamps *chain) ([]byte, error) {
	at, err := url.Parse(s.Rekor)
	if err != nil {
		return nil, err
	}
	id := s.log.id(at.Hostname())
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{
			URI: s.Fulcio, Root: s.authority.root, Intermediates: []*x509.Certificate{s.authority.below},
			ValidityPeriodStart: s.authority.root.NotBefore,
		}},
		nil,
		[]root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{
			URI: s.Timestamps, Root: timestamps.root, Leaf: timestamps.below,
			ValidityPeriodStart: timestamps.root.NotBefore,
		}},
		map[string]*root.TransparencyLog{hex.EncodeToString(id): {
			BaseURL: s.Rekor, ID: id, PublicKey: s.log.public, HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA512,
			ValidityPeriodStart: s.authority.root.NotBefore,
		}})
	if err != nil {
		return nil, err
	}
	return trusted.MarshalJSON()
}

// SigningConfig is the signing_config.json of cosign v3: everything is asked, and everything has to answer.
func (s *Sigstore) SigningConfig() ([]byte, error) {
	service := func(at string, version uint32) []root.Service {
		return []root.Service{{
			URL: at, MajorAPIVersion: version, ValidityPeriodStart: s.authority.root.NotBefore, Operator: "assay",
		}}
	}
	anyOf := root.ServiceConfiguration{Selector: trustrootpb.ServiceSelector_ANY}
	config, err := root.NewSigningConfig(root.SigningConfigMediaType02,
		service(s.Fulcio, 1), service(s.Issuer.URL, 1),
		service(s.Rekor, 2), anyOf, service(s.TimestampURL(), 1), anyOf)
	if err != nil {
		return nil, err
	}
	return config.MarshalJSON()
}

// TimestampURL is where timestamps are asked for.
func (s *Sigstore) TimestampURL() string { return s.Timestamps + "/api/v1/timestamp" }

type object = map[string]any

// TrustRoot is the same trust as an object of the cluster that brings its own keys.
func (s *Sigstore) TrustRoot(name string) ([]byte, error) { return s.trustRoot(name, s.timestamp) }

// StrangeTrustRoot differs in the timestamp authority: it is not the one that runs.
func (s *Sigstore) StrangeTrustRoot(name string) ([]byte, error) {
	stranger, err := newTimestampAuthority("timestamps of nobody")
	if err != nil {
		return nil, err
	}
	return s.trustRoot(name, stranger)
}

func (s *Sigstore) trustRoot(name string, timestamps *chain) ([]byte, error) {
	authority := func(at string, c *chain) []object {
		return []object{{
			"subject": object{"organization": c.root.Subject.Organization[0], "commonName": c.root.Subject.CommonName},
			"uri":     at, "certChain": c.certificates,
		}}
	}
	return yaml.Marshal(object{
		"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": object{"name": name},
		"spec": object{"sigstoreKeys": object{
			"certificateAuthorities": authority(s.Fulcio, s.authority),
			"tLogs":                  []object{{"baseURL": s.Rekor, "hashAlgorithm": "sha-256", "publicKey": s.log.encoded}},
			"timestampAuthorities":   authority(s.Timestamps, timestamps),
		}},
	})
}
