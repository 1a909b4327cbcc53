package cip

// Authority is one way to be trusted: exactly one of Key, Keyless and Static.
// Its JSON has the names of the ClusterImagePolicy and crosses into Rego as is.
type Authority struct {
	// Name is authority-<index> unless the policy gives one. Names need not be
	// unique; a warning says when they are not.
	Name    string      `json:"name"`
	Key     *KeyRef     `json:"key,omitempty"`
	Keyless *KeylessRef `json:"keyless,omitempty"`
	Static  *StaticRef  `json:"static,omitempty"`
	// Sources has at most one element.
	Sources []Source `json:"source,omitempty"`
	CTLog   *TLog    `json:"ctlog,omitempty"`
	// Attestations, where there are any, all have to be satisfied, and the
	// signature of the image is not looked at.
	Attestations     []Attestation     `json:"attestations,omitempty"`
	RFC3161Timestamp *RFC3161Timestamp `json:"rfc3161timestamp,omitempty"`
	SignatureFormat  SignatureFormat   `json:"signatureFormat,omitempty"`
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
	// FormatAny accepts either. It is ours; upstream would read it as legacy.
	FormatAny SignatureFormat = "any"
)

// KeyRef is a public key, in exactly one of SecretRef, Data and KMS.
type KeyRef struct {
	SecretRef *SecretRef `json:"secretRef,omitempty"`
	// Data is a PEM public key (the first block counts) or PEM certificates, leaf first.
	Data string `json:"data,omitempty"`
	KMS  string `json:"kms,omitempty"`
	// HashAlgorithm is sha224, sha256, sha384, sha512, or empty for sha256.
	HashAlgorithm string `json:"hashAlgorithm,omitempty"`
}

// SecretRef is a Secret of the system namespace.
type SecretRef struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// KeylessRef is a certificate that Fulcio issued to one of Identities.
type KeylessRef struct {
	URL URL `json:"url,omitempty"`
	// Identities has at least one element, and any of them suffices.
	Identities []Identity `json:"identities"`
	// CACert replaces the certificate authorities of the trust root, and nothing else.
	CACert *KeyRef `json:"ca-cert,omitempty"`
	// TrustRootRef names a TrustRoot; empty is the default trust root.
	TrustRootRef string `json:"trustRootRef,omitempty"`
	// InsecureIgnoreSCT does without the proof that the certificate was logged.
	InsecureIgnoreSCT *bool `json:"insecureIgnoreSCT,omitempty"`
}

// Identity is exactly one of Issuer and IssuerRegExp, and exactly one of
// Subject and SubjectRegExp. The expressions compile and are not anchored.
type Identity struct {
	Issuer        string `json:"issuer,omitempty"`
	Subject       string `json:"subject,omitempty"`
	IssuerRegExp  string `json:"issuerRegExp,omitempty"`
	SubjectRegExp string `json:"subjectRegExp,omitempty"`
}

// StaticRef decides without looking at any signature.
type StaticRef struct {
	// Action is pass or fail.
	Action  string `json:"action"`
	Message string `json:"message,omitempty"`
}

// Source is another place for signatures than beside the image.
type Source struct {
	// OCI is a registry or a repository.
	OCI                  string            `json:"oci,omitempty"`
	SignaturePullSecrets []ObjectReference `json:"signaturePullSecrets,omitempty"`
	TagPrefix            *string           `json:"tagPrefix,omitempty"`
}

// ObjectReference names an object in the namespace of the workload.
type ObjectReference struct {
	Name string `json:"name"`
}

// TLog is a transparency log.
type TLog struct {
	URL          URL    `json:"url,omitempty"`
	TrustRootRef string `json:"trustRootRef,omitempty"`
}

// RFC3161Timestamp is the timestamp authorities of a TrustRoot.
type RFC3161Timestamp struct {
	TrustRootRef string `json:"trustRootRef,omitempty"`
}

// Attestation is one statement about the image that has to exist and, where
// there is a Policy, to satisfy it.
type Attestation struct {
	Name string `json:"name"`
	// PredicateType is as written; see [PredicateTypeURI].
	PredicateType string     `json:"predicateType"`
	Policy        *PolicyRef `json:"policy,omitempty"`
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
