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
	// Others are the documents of policy.assay.dev, which are not read here.
	Others []Other
	// Warnings are what a user should know and nobody is refused for.
	Warnings []string
}

// Other is a document of another vocabulary; its Tree is one of rego/cip/strict.
type Other struct {
	Kind, Name string
	Tree       any
}

// Policy is a ClusterImagePolicy or an ImagePolicy: for images that any of its patterns
// match, one of its authorities and then its policy have to be satisfied.
type Policy struct {
	// Name is a lower-case RFC 1123 subdomain; that of an ImagePolicy is NAMESPACE/NAME.
	Name string `json:"name"`
	// Namespace is that of an ImagePolicy, which judges the objects in it alone and what it
	// refers to is read from; a ClusterImagePolicy has none.
	Namespace string `json:"namespace,omitempty"`
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

// Spec is what a policy demands, of which images.
//
// The comments of its fields, and of those below, are the reference that users
// read: docs/reference.md and what kubectl explains are made from the first
// paragraph of each.
type Spec struct {
	// Images are patterns of image names. An image is subject to the policy when
	// any of them matches. At most 10,000. Required, at least one.
	Images []ImagePattern `json:"images"`
	// Authorities are who may vouch for the image, and any one suffices. At most
	// 256. Required, at least one.
	Authorities []Authority `json:"authorities"`
	// Policy is evaluated over what the authorities verified, once any of them
	// is satisfied.
	Policy *PolicyRef `json:"policy,omitempty"`
	// Mode is what becomes of an image that fails the policy. Default: "enforce".
	Mode Mode `json:"mode"`
	// Match restricts the policy to some kinds of objects; any entry suffices. At
	// most 1,000. Default: all kinds.
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
	// Glob is a pattern of host/repository@sha256:…, in which "*" stands for
	// anything but a slash and "**" for anything. Required.
	//
	// [ParseGlob] accepts it.
	Glob string `json:"glob"`
}

// Match selects objects by their type and labels.
type Match struct {
	// Group is the API group, empty for the core. A warning says when the
	// resource is not of that group. Default: empty.
	Group string `json:"group"`
	// Version is the API version, or "*" for any. Empty matches nothing, with a
	// warning. Default: empty.
	Version string `json:"version"`
	// Resource is "pods", "podtemplates", "replicationcontrollers",
	// "deployments", "replicasets", "statefulsets", "daemonsets", "jobs",
	// "cronjobs", or anything in a group with a dot. An entry without it matches
	// nothing, with a warning. Default: empty.
	Resource string `json:"resource"`
	// Selector selects by the labels of the object itself, not of its Pod
	// template. Default: all.
	Selector *LabelSelector `json:"selector,omitempty"`
}

// LabelSelector selects objects by their labels; all parts must hold.
type LabelSelector struct {
	// MatchLabels are labels with exactly these values.
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	// MatchExpressions are requirements that must all hold.
	MatchExpressions []LabelRequirement `json:"matchExpressions,omitempty"`
}

// LabelRequirement relates a label to a set of values.
type LabelRequirement struct {
	// Key is the name of the label. Required.
	Key string `json:"key"`
	// Operator is "In", "NotIn", "Exists" or "DoesNotExist". Required.
	Operator string `json:"operator"`
	// Values are for "In" and "NotIn", which need one, and for no other operator.
	Values []string `json:"values,omitempty"`
}

// PolicyRef is CUE or Rego, in exactly one of [PolicyRef.Data],
// [PolicyRef.Remote] and [PolicyRef.ConfigMapRef].
type PolicyRef struct {
	// Type is "cue" or "rego". Required.
	Type string `json:"type"`
	// Data is the text of the policy.
	Data string `json:"data,omitempty"`
	// Remote is the text behind a URL: at most 1 MiB within 10 seconds, fetched
	// when the policies are loaded.
	Remote *RemotePolicy `json:"remote,omitempty"`
	// ConfigMapRef is the text in a ConfigMap of the system namespace.
	ConfigMapRef *ConfigMapRef `json:"configMapRef,omitempty"`
	// FetchConfigFile adds the image's configuration to the input, as "config", by
	// platform. Not in the policy of an attestation. Default: false.
	FetchConfigFile *bool `json:"fetchConfigFile,omitempty"`
	// IncludeSpec adds the spec of the object to the input, as "spec". Not in the
	// policy of an attestation. Default: false.
	IncludeSpec *bool `json:"includeSpec,omitempty"`
	// IncludeObjectMeta adds the metadata of the object to the input, as
	// "metadata". Not in the policy of an attestation. Default: false.
	IncludeObjectMeta *bool `json:"includeObjectMeta,omitempty"`
	// IncludeTypeMeta adds kind and apiVersion of the object to the input, as
	// "typemeta". Not in the policy of an attestation. Default: false.
	IncludeTypeMeta *bool `json:"includeTypeMeta,omitempty"`
}

// RemotePolicy is a policy to be fetched over https.
type RemotePolicy struct {
	// URL is where the text is, by https; redirects stay https. Private addresses
	// need "--allow-private-registries". Required.
	URL URL `json:"url"`
	// Sha256sum is the digest of the text, in hex: another text is refused, and the
	// same digest is the same text, from whatever URL. Required.
	Sha256sum string `json:"sha256sum"`
}

// ConfigMapRef is a policy in a ConfigMap of the system namespace.
type ConfigMapRef struct {
	// Name is that of the ConfigMap. Required.
	Name string `json:"name"`
	// Namespace is for people: ConfigMaps are found in the system namespace, and in
	// files without a namespace too.
	Namespace string `json:"namespace,omitempty"`
	// Key is the entry of its data that has the text; an empty one is no policy.
	// Required.
	Key string `json:"key"`
}

// URL is a text that net/url parses, and never empty where it was written.
type URL = strict.URL
