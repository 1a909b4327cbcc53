package sigstore

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"sigs.k8s.io/yaml"
)

// Where the authorities say they are. Nothing listens there.
const (
	caURL     = "https://fulcio.world.example"
	ctLogURL  = "https://ctlog.world.example"
	rekorURL  = "https://" + rekorHost
	rekor2URL = "https://" + rekor2Host
	tsaURL    = "https://tsa.world.example"
)

// rekor2Since is a second after the others, because a trusted root's logs are
// sorted by start.
func (s *Sigstore) rekor2Since() time.Time { return s.since.Add(time.Second) }

// TrustedRoot is the trusted_root.json (protobuf-specs, TrustedRoot v0.1) of
// these authorities.
func (s *Sigstore) TrustedRoot() ([]byte, error) {
	log := func(url string, id []byte, key crypto.PublicKey, since time.Time) *root.TransparencyLog {
		return &root.TransparencyLog{
			BaseURL: url, ID: id, ValidityPeriodStart: since,
			PublicKey: key, HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256,
		}
	}
	byID := func(logs ...*root.TransparencyLog) map[string]*root.TransparencyLog {
		all := map[string]*root.TransparencyLog{}
		for _, l := range logs {
			all[hex.EncodeToString(l.ID)] = l
		}
		return all
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{
			URI: caURL, Root: s.CA.root,
			Intermediates: []*x509.Certificate{s.CA.intermediate}, ValidityPeriodStart: s.since,
		}},
		byID(log(ctLogURL, s.CTLog.id[:], s.CTLog.key.Public(), s.since)),
		[]root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{
			URI: tsaURL, Root: s.TSA.root, Leaf: s.TSA.leaf, ValidityPeriodStart: s.since,
		}},
		byID(
			log(rekorURL, s.Rekor.id[:], s.Rekor.key.Public(), s.since),
			log(rekor2URL, s.Rekor2.id[:], s.Rekor2.key.Public(), s.rekor2Since()),
		))
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	return trusted.MarshalJSON()
}

// trustRoot is the part of policy.sigstore.dev/v1alpha1 TrustRoot that holds keys.
type trustRoot struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       struct {
		SigstoreKeys struct {
			CertificateAuthorities []trustedCA  `json:"certificateAuthorities"`
			CTLogs                 []trustedLog `json:"ctLogs"`
			TLogs                  []trustedLog `json:"tLogs"`
			TimestampAuthorities   []trustedCA  `json:"timestampAuthorities"`
		} `json:"sigstoreKeys"`
	} `json:"spec"`
}

type trustedCA struct {
	Subject struct {
		Organization string `json:"organization"`
		CommonName   string `json:"commonName"`
	} `json:"subject"`
	URI       string   `json:"uri"`
	CertChain []byte   `json:"certChain"`
	ValidFor  validity `json:"validFor"`
}

type trustedLog struct {
	BaseURL       string   `json:"baseURL"`
	HashAlgorithm string   `json:"hashAlgorithm"`
	PublicKey     []byte   `json:"publicKey"`
	ValidFor      validity `json:"validFor"`
}

type validity struct {
	Start time.Time `json:"start"`
}

// TrustRoot is the same trust as TrustedRoot, as the YAML of a TrustRoot resource
// (policy.sigstore.dev/v1alpha1) of that name. The resource has no place for a
// log's ID: a reader works out that of a Rekor v2 log from its host and key.
func (s *Sigstore) TrustRoot(name string) []byte {
	r := trustRoot{
		APIVersion: "policy.sigstore.dev/v1alpha1", Kind: "TrustRoot",
		Metadata: map[string]string{"name": name},
	}
	keys := &r.Spec.SigstoreKeys
	keys.CertificateAuthorities = []trustedCA{s.trustedCA(caURL, s.CA.intermediate, s.CA.root)}
	keys.CTLogs = []trustedLog{newTrustedLog(ctLogURL, s.CTLog.publicKey, s.since)}
	keys.TLogs = []trustedLog{
		newTrustedLog(rekorURL, s.Rekor.publicKey, s.since),
		newTrustedLog(rekor2URL, s.Rekor2.publicKey, s.rekor2Since()),
	}
	keys.TimestampAuthorities = []trustedCA{s.trustedCA(tsaURL, s.TSA.leaf, s.TSA.root)}
	// It cannot go wrong: there is nothing in it but strings, bytes and times that
	// X.509 could say.
	data, _ := yaml.Marshal(r)
	return data
}

// trustedCA is an authority by its chain, whose last certificate is the root.
func (s *Sigstore) trustedCA(url string, below, root *x509.Certificate) trustedCA {
	ca := trustedCA{URI: url, ValidFor: validity{s.since}}
	ca.Subject.Organization, ca.Subject.CommonName = root.Subject.Organization[0], root.Subject.CommonName
	ca.CertChain = append(encodePEM("CERTIFICATE", below.Raw), encodePEM("CERTIFICATE", root.Raw)...)
	return ca
}

func newTrustedLog(url string, publicKey []byte, since time.Time) trustedLog {
	return trustedLog{
		BaseURL: url, HashAlgorithm: "sha-256", ValidFor: validity{since},
		PublicKey: encodePEM("PUBLIC KEY", publicKey),
	}
}
