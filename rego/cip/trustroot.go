package cip

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"time"

	"github.com/assay-dev/assay/rego/cip/pubkey"
)

// TrustRoot says which certificate authorities, logs and timestamp authorities
// are believed.
type TrustRoot struct {
	Name string        `json:"name"`
	Spec TrustRootSpec `json:"spec"`
}

// TrustRootSpec is exactly one of [TrustRootSpec.Repository],
// [TrustRootSpec.Remote] and [TrustRootSpec.SigstoreKeys].
//
// The comments of its fields, like those of [Spec], are the reference that users
// read.
type TrustRootSpec struct {
	// Repository is a TUF repository that came along.
	Repository *Repository `json:"repository,omitempty"`
	// Remote is a TUF repository behind a URL. For the default root there are
	// "--tuf-mirror" and "--tuf-root".
	Remote *Remote `json:"remote,omitempty"`
	// SigstoreKeys are the keys and certificates themselves; at least one
	// certificate or timestamp authority.
	SigstoreKeys *SigstoreKeys `json:"sigstoreKeys,omitempty"`
}

// Repository is a TUF repository that came along.
type Repository struct {
	// Root is the "root.json" that is trusted to begin with. Required.
	Root []byte `json:"root"`
	// MirrorFS is a gzipped tar archive of the repository. Required.
	MirrorFS []byte `json:"mirrorFS"`
	// Targets is the directory of targets. Default: "targets".
	Targets string `json:"targets"`
	// TrustedRootTarget is the target to use. Default: "trusted_root.json".
	TrustedRootTarget string `json:"trustedRootTarget"`
}

// Remote is a TUF repository behind a URL.
type Remote struct {
	// Root is the "root.json" that is trusted to begin with. Required.
	Root []byte `json:"root"`
	// Mirror is where the repository is. Required.
	Mirror URL `json:"mirror"`
	// Targets is the directory of targets. Default: "targets".
	Targets string `json:"targets"`
	// TrustedRootTarget is the target to use. Default: "trusted_root.json".
	TrustedRootTarget string `json:"trustedRootTarget"`
}

// SigstoreKeys are the keys and certificates themselves. There is at least one
// certificate authority or timestamp authority.
type SigstoreKeys struct {
	// CertificateAuthorities are Fulcios.
	CertificateAuthorities []CertificateAuthority `json:"certificateAuthorities,omitempty"`
	// TLogs are Rekors.
	TLogs []TransparencyLog `json:"tLogs,omitempty"`
	// CTLogs are certificate transparency logs.
	CTLogs []TransparencyLog `json:"ctLogs,omitempty"`
	// TimestampAuthorities are RFC 3161 authorities, and all of them count. The
	// chain has the root last and at most one certificate that is no CA.
	TimestampAuthorities []CertificateAuthority `json:"timestampAuthorities,omitempty"`
}

// CertificateAuthority is a Fulcio or a timestamp authority.
type CertificateAuthority struct {
	// Subject is for people.
	Subject DistinguishedName `json:"subject"`
	// URI is for people, and never contacted. Required.
	URI URL `json:"uri"`
	// CertChain is PEM certificates. Self-signed ones are roots, the others
	// intermediates; without a self-signed one the last is the root. Required.
	CertChain []byte `json:"certChain"`
	// ValidFor is when it was in use. policy-controller does not know the field.
	// Default: no limits.
	ValidFor *Validity `json:"validFor,omitempty"`
}

// DistinguishedName names a certificate authority.
type DistinguishedName struct {
	// Organization is for people. Required.
	Organization string `json:"organization"`
	// CommonName is for people. Required.
	CommonName string `json:"commonName"`
}

// TransparencyLog is a Rekor or a certificate transparency log.
type TransparencyLog struct {
	// BaseURL is for people, and never contacted. Required.
	BaseURL URL `json:"baseURL"`
	// HashAlgorithm is that of the Merkle tree: "sha-256", no other. Required.
	HashAlgorithm string `json:"hashAlgorithm"`
	// PublicKey is a PEM public key. Required.
	PublicKey []byte `json:"publicKey"`
	// ValidFor is when it was in use. policy-controller does not know the field.
	// Default: no limits.
	ValidFor *Validity `json:"validFor,omitempty"`
}

// Validity is when a key was in use, both ends included.
type Validity struct {
	// Start is included. Default: open.
	Start *time.Time `json:"start,omitempty"`
	// End is included. Default: open.
	End *time.Time `json:"end,omitempty"`
}

func (s *TrustRootSpec) setDefaults() {
	if r := s.Repository; r != nil {
		setTargetDefaults(&r.Targets, &r.TrustedRootTarget)
	}
	if r := s.Remote; r != nil {
		setTargetDefaults(&r.Targets, &r.TrustedRootTarget)
	}
}

func setTargetDefaults(targets, trustedRootTarget *string) {
	*targets = cmp.Or(*targets, "targets")
	*trustedRootTarget = cmp.Or(*trustedRootTarget, "trusted_root.json")
}

func (v *validation) trustRoot(s *TrustRootSpec) {
	kinds := count(s.Repository != nil, s.Remote != nil, s.SigstoreKeys != nil)
	v.exactlyOne(kinds, "spec.remote", "spec.repository", "spec.sigstoreKeys")
	switch {
	case kinds != 1:
	case s.Repository != nil:
		v.repository("spec.repository", s.Repository)
	case s.Remote != nil:
		v.required("spec.remote", map[string]string{"mirror": string(s.Remote.Mirror)})
		v.root("spec.remote.root", s.Remote.Root)
	default:
		v.sigstoreKeys("spec.sigstoreKeys", s.SigstoreKeys)
	}
}

func (v *validation) repository(path string, r *Repository) {
	v.root(path+".root", r.Root)
	if len(r.MirrorFS) == 0 {
		v.missing(path + ".repository") // upstream's name for mirrorFS
		return
	}
	if _, err := gzip.NewReader(bytes.NewReader(r.MirrorFS)); err != nil {
		v.invalid("failed to construct a TUF client", path+".mirrorFS", "failed to uncompress: "+err.Error())
	}
}

func (v *validation) root(path string, data []byte) {
	if len(data) == 0 {
		v.missing(path)
		return
	}
	var root struct {
		Signatures any `json:"signatures"`
	}
	if err := json.Unmarshal(data, &root); err != nil {
		v.invalid("failed to unmarshal", path, err.Error())
	} else if root.Signatures == nil {
		v.invalid("missing signatures in root.json", path, "no signatures")
	}
}

// sigstoreKeys reports the errors of all elements, and so unlike upstream, which
// keeps those of the last element only.
func (v *validation) sigstoreKeys(path string, k *SigstoreKeys) {
	if len(k.CertificateAuthorities) == 0 && len(k.TimestampAuthorities) == 0 {
		v.exactlyOne(0, path+".certificateAuthority", path+".timestampAuthorities")
	}
	for i, ca := range k.CertificateAuthorities {
		v.certificateAuthority(at(path+".certificateAuthorities", i), ca)
	}
	for i, tsa := range k.TimestampAuthorities {
		path := at(path+".timestampAuthorities", i)
		if leaves := v.certificateAuthority(path, tsa); leaves > 1 {
			v.invalid("certificate chain must contain at most one TSA certificate", path+".certChain", "")
		}
	}
	for i, log := range k.CTLogs {
		v.log(at(path+".ctLogs", i), log)
	}
	for i, log := range k.TLogs {
		v.log(at(path+".tLogs", i), log)
	}
}

// certificateAuthority returns how many certificates of the chain are no CA.
func (v *validation) certificateAuthority(path string, ca CertificateAuthority) (leaves int) {
	v.required(path, map[string]string{
		"subject.organization": ca.Subject.Organization,
		"subject.commonName":   ca.Subject.CommonName,
		"uri":                  string(ca.URI),
		"certchain":            string(ca.CertChain), // upstream's spelling
	})
	v.validity(path+".validFor", ca.ValidFor)
	certificates, err := pubkey.Certificates(ca.CertChain)
	if err != nil {
		v.invalid("error splitting the certificates", path+".certChain", err.Error())
	}
	for _, certificate := range certificates {
		if !certificate.IsCA {
			leaves++
		}
	}
	return leaves
}

func (v *validation) log(path string, l TransparencyLog) {
	v.required(path, map[string]string{
		"baseURL":       string(l.BaseURL),
		"hashAlgorithm": l.HashAlgorithm,
		"publicKey":     string(l.PublicKey),
	})
	v.validity(path+".validFor", l.ValidFor)
	// Ours: upstream stores sha-384 and sha-512 too, and others as unspecified.
	// Verification here is by SHA-256.
	if l.HashAlgorithm != "" && l.HashAlgorithm != "sha-256" {
		v.invalid(l.HashAlgorithm, path+".hashAlgorithm", "only [sha-256] is supported")
	}
	if len(l.PublicKey) > 0 {
		if err := pubkey.Check(l.PublicKey); err != nil { // ours: upstream finds out later
			v.invalid("not a public key", path+".publicKey", err.Error())
		}
	}
}

func (v *validation) validity(path string, w *Validity) {
	if w != nil && w.Start != nil && w.End != nil && w.End.Before(*w.Start) {
		v.invalid(w.End.Format(time.RFC3339), path+".end", "the end is before the start")
	}
}
