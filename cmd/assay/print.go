package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/rego"
)

// printDecision writes a decision for people: for each image which policy,
// which authority and which signer, or why not.
func printDecision(w io.Writer, decision rego.Decision) error {
	var out strings.Builder
	for _, image := range decision.Images {
		fmt.Fprintln(&out, plain.Below(image.Image))
		if image.Digest != "" && !strings.Contains(image.Image, image.Digest) {
			fmt.Fprintf(&out, "  digest %s\n", plain.Below(image.Digest))
		}
		if image.Manifest == "index" {
			fmt.Fprintln(&out, "  an index: what was verified is the index, not the images of its platforms")
		}
		for _, policy := range image.Policies {
			fmt.Fprintf(&out, "  policy %s (%s): %s\n", plain.Below(policy.Name), policy.Mode, policy.Outcome)
			for _, authority := range policy.Authorities {
				printAuthority(&out, authority)
			}
			printInside(&out, policy.Inside)
		}
		// Without a digest no policy was asked: the reasons say why.
		if len(image.Policies) == 0 && image.Digest != "" {
			fmt.Fprintln(&out, "  no policy matches")
		}
	}
	for _, policy := range decision.Rego {
		printRego(&out, policy)
	}
	for _, warning := range decision.Warnings {
		fmt.Fprintln(&out, "warning: "+plain.Below(warning))
	}
	if decision.Allowed {
		fmt.Fprintln(&out, "admitted")
	} else {
		for _, reason := range decision.Reasons {
			fmt.Fprintln(&out, "denied: "+plain.Below(reason))
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func printAuthority(out *strings.Builder, authority rego.Authority) {
	if authority.Error != nil {
		// Some messages begin with what has just been said.
		cause := strings.TrimPrefix(authority.Error.Message, "authority "+authority.Name+": ")
		fmt.Fprintf(out, "    authority %s: failed: %s\n", plain.Below(authority.Name), plain.Below(cause))
		return
	}
	fmt.Fprintf(out, "    authority %s: %s\n", plain.Below(authority.Name), authority.Outcome)
	for _, signer := range authority.Signers {
		fmt.Fprintf(out, "      %s\n", plain.Below(describe(signer)))
	}
}

// printInside says what the policy inside a policy said, where it has one.
func printInside(out *strings.Builder, inside *rego.Inside) {
	switch {
	case inside == nil:
	case inside.Error != nil:
		fmt.Fprintf(out, "    spec.policy: %s: %s\n", inside.Outcome, plain.Below(inside.Error.Message))
	default:
		fmt.Fprintf(out, "    spec.policy: %s\n", inside.Outcome)
	}
}

// printRego says what a policy in Rego said; its messages stand below, as reasons and
// warnings.
func printRego(out *strings.Builder, policy rego.RawPolicy) {
	fmt.Fprintf(out, "policy in Rego %s (%s): %s\n", plain.Below(policy.Name), policy.Mode, policy.Outcome)
	for _, about := range []struct{ name, text string }{
		{"", policy.Title}, {"severity ", policy.Severity}, {"owner ", policy.Owner}, {"see ", policy.Docs},
	} {
		if about.text != "" && policy.Outcome == "failed" {
			fmt.Fprintf(out, "  %s%s\n", about.name, plain.Below(about.text))
		}
	}
}

func describe(signer rego.Signer) string {
	what := "signed"
	if signer.PredicateType != "" {
		what = signer.PredicateType + " attested"
	}
	who := "by key"
	if signer.Subject != "" {
		who = fmt.Sprintf("by %s, issuer %s", signer.Subject, signer.Issuer)
	}
	text := fmt.Sprintf("%s %s (%s)", what, who, signer.Format)
	if len(signer.Weaker) > 0 {
		text += "; " + strings.Join(signer.Weaker, ", ")
	}
	return text
}

// progress shows on a terminal that work is under way; the line is gone when it
// is done.
func progress(stderr io.Writer) (stop func()) {
	file, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func() {}
	}
	fmt.Fprint(stderr, "verifying…")
	return func() { fmt.Fprint(stderr, "\r\033[K") }
}
