package builtins

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/rego/cip"
)

// lookedAt says behind a message, which keeps policy-controller's text, where
// the evidence was looked for.
func lookedAt(p *declare.Problem, where []string) *declare.Problem {
	if len(where) == 0 {
		return p
	}
	return declare.Refuse(p.Code, p.Message+"; looked at "+strings.Join(where, " and "))
}

// whereabouts explains that there is nothing: where it was looked for, and what
// the storage has that the policy does not name, if anything. That is the
// likeliest cause of all: cosign 3 writes bundles, and policies read legacy tags
// unless they say otherwise. hint is the latter alone, "" without any.
func (f *Facts) whereabouts(ctx context.Context, p *declare.Problem, o origin, format cip.SignatureFormat, attestations bool, seen evidence) (_ *declare.Problem, hint string) {
	out := lookedAt(p, seen.where)
	// Something is there that is no signature: the place was right.
	if slices.ContainsFunc(seen.lists, func(list sigstore.Evidence) bool { return len(list.Layers) > 0 }) {
		return out, ""
	}
	other, has, read := oci.Referrers, "the referrers have %d bundle", cip.FormatLegacy
	switch {
	case format == "" || format == cip.FormatLegacy:
	case format == cip.FormatBundle && attestations:
		other, has, read = oci.AttestationTag, "the .att tag has %d attestation", cip.FormatBundle
	case format == cip.FormatBundle:
		other, has, read = oci.SignatureTag, "the .sig tag has %d signature", cip.FormatBundle
	default:
		return out, ""
	}
	// A hint is worth one question that does not take long, and no failure.
	ctx, cancel := context.WithTimeout(ctx, hintTimeout)
	defer cancel()
	n, err := f.registry.Count(ctx, o.credentials, o.image.Name, o.place, other)
	if err != nil || n == 0 {
		return out, ""
	}
	if n > 1 {
		has += "s"
	}
	hint = fmt.Sprintf(has+", which signatureFormat %s does not read", n, read)
	return declare.Refuse(out.Code, out.Message+"; "+hint), hint
}

// hintTimeout is a fraction of what a decision may take by default.
const hintTimeout = time.Second
