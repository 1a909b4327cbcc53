package trusted

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/rego"
)

// Verified is a bundle in a registry that the policy admits.
type Verified struct {
	// Ref is the reference by digest.
	Ref string
	// Signers are who vouched for it, one text for each.
	Signers []string
	// Bundle has yet to be read.
	Bundle []byte
}

// Verify says whether the policy admits the bundle that ref names now, and brings its bytes, at
// most so many. A tag is resolved once. Nothing is kept, and nothing is read: what is in the
// bundle, and whether it is the newest one or has expired, is for the caller to ask.
func Verify(ctx context.Context, policy *Policy, ref string, most int64) (Verified, error) {
	client, credentials := policy.wiring.Registry(), policy.wiring.Credentials
	r, err := oci.Parse(ref)
	if err != nil {
		return Verified{}, err
	}
	digest, err := client.Resolve(ctx, credentials, ref)
	if err != nil {
		return Verified{}, err
	}
	at := r.Registry + "/" + r.Repository + "@" + digest
	evidence, err := policy.Admit(ctx, at)
	if err != nil {
		return Verified{}, err
	}
	signers, err := signersOf(evidence)
	if err != nil {
		return Verified{}, err
	}
	pulled, err := artifact.Pull(ctx, client, credentials, at, most)
	return Verified{Ref: at, Signers: signers, Bundle: pulled.Bundle}, err
}

// signersOf are those whose signatures passed in the decision that a capsule has, each with
// the policy that it passed.
func signersOf(evidence *capsule.Capsule) (out []string, err error) {
	var decision rego.Decision
	if err := json.Unmarshal(evidence.Outcome.Decision, &decision); err != nil {
		return nil, err
	}
	for _, image := range decision.Images {
		for _, policy := range image.Policies {
			for _, authority := range policy.Authorities {
				for _, signer := range authority.Signers {
					who := cmp.Or(signer.Subject, "the holder of its key")
					if signer.Issuer != "" {
						who += ", says " + signer.Issuer
					}
					out = append(out, fmt.Sprintf("%s: %s: signed by %s", policy.Name, authority.Name, who))
				}
			}
		}
	}
	return out, nil
}
