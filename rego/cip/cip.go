// Package cip reads Sigstore's ClusterImagePolicy and TrustRoot resources, and
// the Secrets and ConfigMaps they refer to, into values that cannot be wrong.
//
// [Parse] is the only door. It takes one stream of YAML or JSON documents and
// answers with policies that are decoded strictly, defaulted and validated, or
// with an error that names every field at fault. Texts and field paths are
// those of Sigstore's policy-controller, so that whoever knows them, or greps
// for them, finds them again.
//
// It refuses what it does not know: a field that no schema has (letter case
// counts), a kind it cannot use, a key that is set twice, a name given to two
// different policies, a document that is larger or deeper than any policy has
// reason to be. Where policy-controller drops something in silence, this
// package says so; each place has a comment that starts with "Unlike upstream".
//
// It opens no file and no socket, reads no clock, and does not know whether
// what a policy refers to (a Secret, a key in a KMS, a TrustRoot) exists. What a
// Secret holds is in none of its texts.
package cip

import "github.com/assay-dev/assay/rego/cip/strict"

// Documents are the resources of one stream, in the order they were written.
type Documents struct {
	Policies   []Policy
	TrustRoots []TrustRoot
	// Secrets and ConfigMaps are what policies refer to.
	Secrets    []Secret
	ConfigMaps []ConfigMap
	// Warnings are what a user should know and nobody is refused for.
	Warnings []string
}

// Policy is a ClusterImagePolicy: for images that any of its patterns match,
// one of its authorities and then its policy have to be satisfied.
type Policy struct {
	// Name is a lower-case RFC 1123 subdomain.
	Name string `json:"name"`
	// Version is the version of the API it was written for, v1alpha1 or
	// v1beta1. Both have the same fields.
	Version     string            `json:"version"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Spec        Spec              `json:"spec"`
	// Gaps says why something that the policy refers to could not be read, by the
	// path of the authority ("spec.authorities[0]") or "spec.policy". [Parse]
	// leaves none: whoever resolves references does.
	Gaps map[string]string `json:"gaps,omitempty"`
}

// Spec is what a Policy demands, of which images.
type Spec struct {
	// Images has at least one pattern. An image is subject to the policy when
	// any of them matches.
	Images []ImagePattern `json:"images"`
	// Authorities has at least one element, and any of them suffices.
	Authorities []Authority `json:"authorities"`
	// Policy is evaluated over what the authorities verified.
	Policy *PolicyRef `json:"policy,omitempty"`
	Mode   Mode       `json:"mode"`
	// Match restricts the policy to some kinds of objects; empty is all kinds.
	Match []Match `json:"match,omitempty"`
}

// Mode says what becomes of an image that fails the policy.
type Mode string

// The modes. Enforce is the default.
const (
	// ModeEnforce denies.
	ModeEnforce Mode = "enforce"
	// ModeWarn admits with a warning.
	ModeWarn Mode = "warn"
)

// ImagePattern selects images by name.
type ImagePattern struct {
	// Glob is a pattern that [ParseGlob] accepts.
	Glob string `json:"glob"`
}

// Match selects objects by their type and labels.
type Match struct {
	Group    string         `json:"group"`
	Version  string         `json:"version"`
	Resource string         `json:"resource"`
	Selector *LabelSelector `json:"selector,omitempty"`
}

// LabelSelector selects objects by their labels; all parts must hold.
type LabelSelector struct {
	MatchLabels      map[string]string  `json:"matchLabels,omitempty"`
	MatchExpressions []LabelRequirement `json:"matchExpressions,omitempty"`
}

// LabelRequirement relates a label to a set of values.
type LabelRequirement struct {
	Key string `json:"key"`
	// Operator is In, NotIn, Exists or DoesNotExist.
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// PolicyRef is CUE or Rego, in exactly one of Data, Remote and ConfigMapRef.
type PolicyRef struct {
	// Type is cue or rego.
	Type         string        `json:"type"`
	Data         string        `json:"data,omitempty"`
	Remote       *RemotePolicy `json:"remote,omitempty"`
	ConfigMapRef *ConfigMapRef `json:"configMapRef,omitempty"`
	// FetchConfigFile and the fields below add to the input of the policy.
	// They are nil in the policy of an attestation.
	FetchConfigFile   *bool `json:"fetchConfigFile,omitempty"`
	IncludeSpec       *bool `json:"includeSpec,omitempty"`
	IncludeObjectMeta *bool `json:"includeObjectMeta,omitempty"`
	IncludeTypeMeta   *bool `json:"includeTypeMeta,omitempty"`
}

// RemotePolicy is a policy to be fetched over https.
type RemotePolicy struct {
	URL URL `json:"url"`
	// Sha256sum is the hex digest of the body.
	Sha256sum string `json:"sha256sum"`
}

// ConfigMapRef is a policy in a ConfigMap of the system namespace.
type ConfigMapRef struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	Key       string `json:"key"`
}

// URL is a text that net/url parses, and never empty where it was written.
type URL = strict.URL
