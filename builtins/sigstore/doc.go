// Package sigstore turns bytes, an authority and trust material into verified
// signers, or into a refusal with a code.
//
// Bytes in, facts out: nothing here opens a socket, reads a file or a variable
// of the environment, and the only clock is the one a [Check] was given. The
// bytes come from builtins/oci, the authority from a ClusterImagePolicy, the
// trust material from a trusted_root.json, a TrustRoot resource or TUF.
//
// Two formats are verified. The legacy one (tags .sig and .att) is put together
// from cosign/v2's per-signature functions, bundles go to sigstore-go. cosign's
// image-level functions are never called: they start goroutines of their own,
// in which content of a registry can crash the process.
//
// Whatever a signature, a log or an authority does not vouch for is no fact:
// annotations and hints are read and never believed, and nothing that was signed
// is read in a way in which another parser would read something else.
//
// What an authority demands is decided once, in [NewCheck], from the policy and
// never from the evidence: a missing annotation, log entry, timestamp or
// certificate is a refusal, not a reason to check less. Where a policy itself
// asks for less than keyless + log + SCT, the signers say so in Weaker.
package sigstore
