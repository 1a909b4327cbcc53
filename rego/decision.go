package rego

// Decision is the answer to one admission review, as data.assay.admission.decision
// computes it. Every list is in a fixed order: equal reviews give equal bytes.
type Decision struct {
	// Allowed says whether the object may be admitted.
	Allowed bool `json:"allowed"`
	// Images holds one entry for each image of the object, by path.
	Images []Image `json:"images"`
	// Rego holds one entry for each policy in plain Rego, by name; nil when the set has
	// none.
	Rego []RawPolicy `json:"rego,omitempty"`
	// Reasons are the denials, each one policy-controller's FieldError text:
	// "message: path, path" with an optional second line of details.
	Reasons []string `json:"reasons"`
	// Warnings have the form of Reasons and never deny.
	Warnings []string `json:"warnings"`
	// Patch is the JSON patch (RFC 6902) that pins tags to digests.
	Patch []PatchOperation `json:"patch"`
}

// references are those of the images, as they stand in the object.
func (d Decision) references() []string {
	out := make([]string, len(d.Images))
	for i, image := range d.Images {
		out[i] = image.Image
	}
	return out
}

// Image is one image of the object and what every policy that matches it said.
type Image struct {
	// Path is the field that names the image: spec.containers[0].image.
	Path string `json:"path"`
	// Image is the reference as it stands in the object.
	Image string `json:"image"`
	// Digest is sha256:… of what was judged, empty when it could not be resolved.
	Digest string `json:"digest"`
	// Manifest says what the digest names: "index", whose platforms' manifests were
	// not verified with it, or "image". Empty when no policy asked for evidence or
	// the registry does not have it.
	Manifest string `json:"manifest,omitempty"`
	// Policies holds one entry for each policy that matches, by name.
	Policies []Policy `json:"policies"`
}

// Policy is the outcome of one policy for one image.
type Policy struct {
	Name string `json:"name"`
	// Mode is enforce or warn.
	Mode string `json:"mode"`
	// Outcome is passed or failed.
	Outcome     string      `json:"outcome"`
	Authorities []Authority `json:"authorities"`
	// Inside is what the policy's own CUE or Rego said, nil when it has none or
	// no authority passed.
	Inside *Inside `json:"policy,omitempty"`
}

// RawPolicy is the outcome of one policy in plain Rego for the whole review.
type RawPolicy struct {
	Name string `json:"name"`
	// Mode is enforce or warn.
	Mode string `json:"mode"`
	// Outcome is passed or failed.
	Outcome string `json:"outcome"`
	// What the METADATA of the policy's package says of it.
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Severity    string `json:"severity,omitempty"`
	Docs        string `json:"docs,omitempty"`
	Owner       string `json:"owner,omitempty"`
	// Denials and Warnings are what the rules deny and warn say.
	Denials  []RawMessage `json:"denials,omitempty"`
	Warnings []RawMessage `json:"warnings,omitempty"`
	// Error is why the policy has no answer, nil when it has one.
	Error *Error `json:"error,omitempty"`
}

// RawMessage is one message of a policy in plain Rego.
type RawMessage struct {
	Message string `json:"message"`
	// Details are the other members of an object that has the message as msg.
	Details map[string]any `json:"details,omitempty"`
}

// Inside is the outcome of spec.policy of a ClusterImagePolicy for one image.
type Inside struct {
	// Outcome is passed or failed.
	Outcome string `json:"outcome"`
	// Warnings are what a policy that passed warns of, in the strict reading.
	Warnings []string `json:"warnings,omitempty"`
	// Error is the cause of a failure, nil when it passed.
	Error *Error `json:"error,omitempty"`
}

// Authority is the outcome of one authority of a policy for one image.
type Authority struct {
	Name string `json:"name"`
	// Outcome is passed or failed.
	Outcome string `json:"outcome"`
	// Signers are the verified signatures or attestations, none when it failed.
	Signers []Signer `json:"signers"`
	// Warnings are what policies of attestations that passed warn of, in the strict
	// reading.
	Warnings []string `json:"warnings,omitempty"`
	// Error is the cause of a failure, nil when it passed.
	Error *Error `json:"error,omitempty"`
}

// Signer is one verified signature or attestation.
type Signer struct {
	ID      string `json:"id"`
	Subject string `json:"subject,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	// Format is legacy or bundle.
	Format string `json:"format"`
	// PredicateType is set for attestations.
	PredicateType string `json:"predicate_type,omitempty"`
	// Weaker lists what this verdict does without, compared with a keyless
	// signature that is in a transparency log and carries an SCT.
	Weaker []string `json:"weaker,omitempty"`
}

// Error is a refusal with its code: one of the closed list that builtins
// declares, static_policy where the policy itself says no, or unresolved where what
// it refers to could not be read.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// PatchOperation is one operation of a JSON patch (RFC 6902).
type PatchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}
