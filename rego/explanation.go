package rego

// Explanation says why a decision fell as it did: a tree, pruned to what led to it.
// data.assay.explain.answer computes it beside the decision, from the same rules.
// What admitted is one line; what denied says what was got and what was wanted.
type Explanation struct {
	// What the node is about: review, object, image, tag, policy, glob, match,
	// authority, attestation, statement, signature, inside, rule, warning, rego (a
	// policy in plain Rego), denial or error.
	What string `json:"what"`
	// Name of it: a reference, the name of a policy, a digest, a line's rule.
	Name string `json:"name"`
	// Code is a [Reason], or of a refusal the code of the builtins.
	Code string `json:"code"`
	// Outcome is passed, warned, failed, or unmatched of a policy that was not asked.
	Outcome string `json:"outcome"`
	// Mode is that of a policy.
	Mode string `json:"mode,omitempty"`
	// Path is where an image stands in the object.
	Path string `json:"path,omitempty"`
	// Text is for people. It may have been written by whoever signed.
	Text string `json:"text,omitempty"`
	// Hint says what to look at.
	Hint   string `json:"hint,omitempty"`
	Source *Place `json:"source,omitempty"`
	// Looked says where evidence was looked for.
	Looked  []Looked     `json:"looked,omitempty"`
	Differs []Difference `json:"differs,omitempty"`
	// Because holds what led to the outcome, the nearest miss first.
	Because []Explanation `json:"because,omitempty"`
}

// Place is where a rule stands.
type Place struct {
	// Path and Line are those of what `assay compile` prints; empty where the text of
	// the policy itself is meant.
	Path string `json:"path,omitempty"`
	Line int    `json:"line,omitempty"`
	// Field of the ClusterImagePolicy. With a Line and no Path the line is of its text.
	Field string `json:"field,omitempty"`
}

// Looked is one storage in which evidence was looked for.
type Looked struct {
	Format string   `json:"format"`
	At     []string `json:"at"`
	Found  int      `json:"found"`
}

// Difference is one thing that is not as it is wanted.
type Difference struct {
	What string `json:"what"`
	Got  string `json:"got"`
	Want string `json:"want"`
}

// Reason is why a node of an [Explanation] has its outcome. The list is closed:
// these, and below an authority the codes of builtins.
type Reason string

// The reasons of the tree itself.
const (
	Admitted        Reason = "admitted"         // nothing denies the object
	Denied          Reason = "denied"           // something does
	Exempt          Reason = "exempt"           // the request runs nothing new
	Passed          Reason = "passed"           // satisfied
	Warned          Reason = "warned"           // satisfied, with a warning
	Matched         Reason = "matched"          // why a policy was asked
	NoDigest        Reason = "no_digest"        // no tag was resolved: nothing can be judged
	NoPolicy        Reason = "no_policy"        // no policy matches the image
	GlobDiffers     Reason = "glob_differs"     // a policy's globs do not match the image
	ResourceDiffers Reason = "resource_differs" // they do, and spec.match does not match the object
	PolicyFailed    Reason = "policy_failed"    // a policy is not satisfied
	AuthorityFailed Reason = "authority_failed" // no authority of the policy passed
	InsideFailed    Reason = "inside_failed"    // one did, and spec.policy said no
	RegoDenied      Reason = "rego_denied"      // a policy in plain Rego denies, or has no answer
	Undecided       Reason = "undecided"        // there is no answer, hence no yes
)

// Reasons are all of them.
func Reasons() []Reason {
	return []Reason{
		Admitted, Denied, Exempt, Passed, Warned, Matched, NoDigest, NoPolicy, GlobDiffers, ResourceDiffers,
		PolicyFailed, AuthorityFailed, InsideFailed, RegoDenied, Undecided,
	}
}
