// Package admission turns the bytes of a Kubernetes AdmissionReview into a value
// and a verdict into the bytes of its answer. It is pure: no network, no clock,
// no state, and it sees nothing else of assay.
//
// [Decode] reads the envelope and leaves the object alone: what the engine gets
// is [Review].Raw, the body as it came. It refuses what the API server would
// never send: anything but one JSON document, a member of the envelope that is
// there twice or is spelled in another case, a value nested deeper than
// [MaxDepth], more than [MaxValues] values, another kind or version, a request without a uid. A review that
// cannot be answered (there is no uid to answer to) is unreadable; one that names
// its uid is readable, however odd its object, and the engine decides it.
//
// [Respond] writes the answer in the version of the question. Its envelope is
// policy-controller's, byte for byte where people can see it: every denial is a
// Status with code 400, reason BadRequest and a message that starts with
// "validation failed: ", "mutation failed: " or "decoding request failed: ", and every line of a warning is a
// warning of its own.
//
// Nothing here ever turns a denial into an admission: the zero [Verdict] denies,
// and a patch is written only into an admission, and only when mutating.
package admission

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxDepth bounds how deeply the values of a review may be nested. The deepest
// objects of the API are definitions that carry schemas, some hundred levels;
// what reads the review after us recurses once a level.
const MaxDepth = 512

// MaxValues bounds how many values a review may hold. What decodes the review
// after us pays some hundred bytes for each, even where it is written in three;
// objects of the API have some twenty bytes a value, and an update of the largest so
// has half of this.
const MaxValues = 300_000

// Review is a readable AdmissionReview: it has a version we answer in and a uid
// to answer to. Every other field may be empty.
type Review struct {
	// APIVersion is admission.k8s.io/v1 or admission.k8s.io/v1beta1.
	APIVersion string
	// UID names the request, and the answer to it.
	UID string
	// Kind is the kind of the object, which is not decoded here.
	Kind metav1.GroupVersionKind
	// SubResource is set for requests such as pods/ephemeralcontainers.
	SubResource string
	// Namespace is empty for objects that have none.
	Namespace string
	// Name is empty when the API server is still to generate it.
	Name string
	// Operation is CREATE, UPDATE, DELETE or CONNECT.
	Operation string
	// DryRun says that nothing will be persisted.
	DryRun bool
	// Values counts those of JSON in it, as [MaxValues] does.
	Values int
	// Raw is the whole review as it came, for the engine.
	Raw []byte
}

// Phase says which of the two webhooks answers.
type Phase int

const (
	// Validation admits or denies, and never patches.
	Validation Phase = iota
	// Mutation may patch what it admits.
	Mutation
)

// String returns what goes before "failed" in the message of a denial.
func (p Phase) String() string {
	if p == Mutation {
		return "mutation"
	}
	return "validation"
}

// Verdict is what was decided about a review. The zero value is a denial.
type Verdict struct {
	// Allowed admits the object.
	Allowed bool
	// Undecoded says of a denial that the object could not be read as its kind: the
	// message then starts with "decoding request failed: ", whatever the phase.
	Undecoded bool
	// Reasons are the denials, in the order in which they are shown.
	Reasons []string
	// Warnings are shown to the user whether or not the object is admitted. A
	// warning may have several lines.
	Warnings []string
	// Patch is applied in order to an object that is admitted while mutating.
	Patch []PatchOperation
}

// PatchOperation is one operation of a JSON patch (RFC 6902). Value is whatever JSON
// has, left out when nil: "remove" has none.
type PatchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}
