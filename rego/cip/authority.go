package cip

// Authority is exactly one of [Authority.Key], [Authority.Keyless] and
// [Authority.Static].
//
// Its JSON has the names of the ClusterImagePolicy and crosses into Rego as is.
type Authority struct {
	// Name is for messages and policies; a warning says when two are equal.
	// Default: "authority-<index>".
	Name string `json:"name"`
	// Key is a public key that signed.
	Key *KeyRef `json:"key,omitempty"`
	// Keyless is a certificate that was issued to somebody who signed.
	Keyless *KeylessRef `json:"keyless,omitempty"`
	// Static is an answer without looking at any signature. It stands alone,
	// without the fields below but [Authority.SignatureFormat].
	Static *StaticRef `json:"static,omitempty"`
	// Sources are another place for signatures than beside the image; at most
	// one.
	Sources []Source `json:"source,omitempty"`
	// CTLog demands an entry in a transparency log. An object without fields
	// demands nothing, with a warning unless the log is checked anyway. Default:
	// demanded of keyless without "trustRootRef" and timestamp, else not.
	CTLog *TLog `json:"ctlog,omitempty"`
	// Attestations are statements about the image that have to exist, all of
	// them; the signature of the image is then not looked at. At most 256.
	Attestations []Attestation `json:"attestations,omitempty"`
	// RFC3161Timestamp demands a timestamp. An object without "trustRootRef"
	// demands nothing, with a warning.
	RFC3161Timestamp *RFC3161Timestamp `json:"rfc3161timestamp,omitempty"`
	// SignatureFormat is where signatures are looked for. Default: "legacy".
	SignatureFormat SignatureFormat `json:"signatureFormat,omitempty"`
}

// SignatureFormat names where signatures are looked for.
//
// Unlike upstream, which takes every string but "bundle" for legacy, a format
// outside this list is refused: "bundel" must not mean a weaker check.
type SignatureFormat string

// The formats. The empty one means legacy.
const (
	// FormatLegacy is cosign's .sig and .att tags.
	FormatLegacy SignatureFormat = "legacy"
	// FormatBundle is Sigstore bundles among the referrers of the image.
	FormatBundle SignatureFormat = "bundle"
	// FormatAny accepts either.
	//
	// It is ours; upstream would read it as legacy.
	FormatAny SignatureFormat = "any"
)

// KeyRef is exactly one of [KeyRef.SecretRef], [KeyRef.Data] and [KeyRef.KMS].
type KeyRef struct {
	// SecretRef is a Secret of the system namespace, with what data could hold in its
	// only entry, or in "cosign.pub" beside "cosign.key" and "cosign.password".
	SecretRef *SecretRef `json:"secretRef,omitempty"`
	// Data is PEM: "PUBLIC KEY" or "RSA PUBLIC KEY", of which only the first block
	// counts, or "CERTIFICATE", one or a chain of at most 16, the signer's first.
	Data string `json:"data,omitempty"`
	// KMS is the reference of a key in a key management service: "awskms://…",
	// "azurekms://…", "gcpkms://…" or "hashivault://…".
	KMS string `json:"kms,omitempty"`
	// HashAlgorithm is "sha224", "sha256", "sha384" or "sha512", in any letter
	// case. Default: "sha256".
	HashAlgorithm string `json:"hashAlgorithm,omitempty"`
}

// SecretRef is a Secret of the system namespace.
type SecretRef struct {
	// Name is that of the Secret. Required.
	Name string `json:"name"`
	// Namespace is the system namespace or nothing. Default: the system namespace, which
	// is "cosign-system" unless the installation has another.
	Namespace string `json:"namespace,omitempty"`
}

// KeylessRef is a certificate that was issued to one of
// [KeylessRef.Identities]. Of its authority there is exactly one of
// [KeylessRef.URL] and [KeylessRef.CACert].
type KeylessRef struct {
	// URL is for people and never contacted: which authorities are believed is
	// the trust root's to say. Default: "https://fulcio.sigstore.dev".
	URL URL `json:"url,omitempty"`
	// Identities are who may have signed; any one suffices. At most 10,000.
	// Required, at least one.
	Identities []Identity `json:"identities"`
	// CACert is certificates, or one public key, that take the place of the trust
	// root's certificate authorities, and of nothing else. A key, as a KMS has it,
	// trusts what it signed itself.
	CACert *KeyRef `json:"ca-cert,omitempty"`
	// TrustRootRef is the name of the TrustRoot for certificates and SCT;
	// without "ctlog" the log is then not checked. Default: the default root.
	TrustRootRef string `json:"trustRootRef,omitempty"`
	// InsecureIgnoreSCT does without the SCT, the proof that the certificate was
	// logged. Default: false.
	InsecureIgnoreSCT *bool `json:"insecureIgnoreSCT,omitempty"`
}

// Identity is exactly one of [Identity.Issuer] and [Identity.IssuerRegExp], and
// exactly one of [Identity.Subject] and [Identity.SubjectRegExp].
type Identity struct {
	// Issuer is who says who the signer is, exactly.
	Issuer string `json:"issuer,omitempty"`
	// Subject is who signed, exactly.
	Subject string `json:"subject,omitempty"`
	// IssuerRegExp is RE2 for any part of the issuer, and for the whole of it
	// with "--identity-regexp anchored".
	IssuerRegExp string `json:"issuerRegExp,omitempty"`
	// SubjectRegExp is RE2 for any part of the subject, and for the whole of it
	// with "--identity-regexp anchored".
	SubjectRegExp string `json:"subjectRegExp,omitempty"`
}

// StaticRef decides without looking at any signature.
type StaticRef struct {
	// Action is "pass" or "fail". Required.
	Action string `json:"action"`
	// Message stands in the denial.
	Message string `json:"message,omitempty"`
}

// Source is another place for signatures than beside the image.
type Source struct {
	// OCI is the repository of signatures, attestations and bundles. A registry
	// alone is a repository of Docker Hub, as in policy-controller. Default: that of
	// the image.
	OCI string `json:"oci,omitempty"`
	// SignaturePullSecrets are Secrets of the workload's namespace, of type
	// "kubernetes.io/dockerconfigjson" or "kubernetes.io/dockercfg", with credentials
	// for it. Those that do not exist are left out; without any it is asked
	// anonymously.
	SignaturePullSecrets []ObjectReference `json:"signaturePullSecrets,omitempty"`
	// TagPrefix stands before the digest in the tags, as in
	// "PREFIXsha256-<hex>.sig"; at most 53 characters. Bundles have no tags.
	TagPrefix *string `json:"tagPrefix,omitempty"`
}

// ObjectReference names an object in the namespace of the workload.
type ObjectReference struct {
	// Name is that of the Secret. Required.
	Name string `json:"name"`
}

// TLog is a transparency log.
type TLog struct {
	// URL demands the entry by being there; the log is never contacted.
	URL URL `json:"url,omitempty"`
	// TrustRootRef demands the entry by being there, and names the TrustRoot with
	// the key of the log. Default: the default root.
	TrustRootRef string `json:"trustRootRef,omitempty"`
}

// RFC3161Timestamp is the timestamp authorities of a TrustRoot.
type RFC3161Timestamp struct {
	// TrustRootRef demands the timestamp by being there, and names the TrustRoot
	// with the timestamp authorities.
	TrustRootRef string `json:"trustRootRef,omitempty"`
}

// Attestation is one statement about the image that has to exist and, where
// there is a policy, to satisfy it.
type Attestation struct {
	// Name is for messages and policies; a warning says when two are equal.
	// Required.
	Name string `json:"name"`
	// PredicateType is a URI, or cosign's short name for one: "custom",
	// "slsaprovenance", "slsaprovenance02", "slsaprovenance1", "spdx",
	// "spdxjson", "cyclonedx", "link", "vuln", "openvex". A warning stands by
	// every value without a scheme; one that is no short name is taken as
	// written. Required.
	//
	// See [PredicateTypeURI].
	PredicateType string `json:"predicateType"`
	// Policy is evaluated over the statement: any one attestation of the type
	// that passes suffices.
	Policy *PolicyRef `json:"policy,omitempty"`
}

// PredicateTypeURI returns what cosign's short names stand for, and every other
// predicate type as it is.
func PredicateTypeURI(predicateType string) string {
	switch predicateType {
	case "custom":
		return "https://cosign.sigstore.dev/attestation/v1"
	case "slsaprovenance", "slsaprovenance02":
		return "https://slsa.dev/provenance/v0.2"
	case "slsaprovenance1":
		return "https://slsa.dev/provenance/v1"
	case "spdx", "spdxjson":
		return "https://spdx.dev/Document"
	case "cyclonedx":
		return "https://cyclonedx.org/bom"
	case "link":
		return "https://in-toto.io/Link/v1"
	case "vuln":
		return "https://cosign.sigstore.dev/attestation/vuln/v1"
	case "openvex":
		return "https://openvex.dev/ns"
	default:
		return predicateType
	}
}
