package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/assay-dev/assay/rego/cip"
)

// Source is a module of package sigstore that a policy brought along.
type Source struct {
	// Field is where it stands: spec.policy, spec.authorities[0].attestations[1].policy.
	Field string
	// Gap is the field that fails with it, in the sense of [cip.Policy]'s Gaps.
	Gap string
	// Name is what policy-controller calls it in messages: the name of the
	// attestation, or ClusterImagePolicy.
	Name string
	// Package is the package that it becomes.
	Package []string
	Text    string
}

// Module is how the compiled policy names the source to sigstore.is_compliant.
func (s Source) Module() string { return strings.Join(s.Package, "/") }

// Sources are the Rego modules inside a policy, in the order in which they stand.
// Those whose text could not be read are not among them.
func Sources(p cip.Policy) []Source {
	var out []Source
	for i, a := range p.Spec.Authorities {
		for j, attestation := range a.Attestations {
			if isRego(attestation.Policy) && !hasGap(p, authorityPath(i)) {
				out = append(out, attestationSource(p.Name, i, j, attestation))
			}
		}
	}
	if isRego(p.Spec.Policy) && !hasGap(p, policyPath) {
		out = append(out, specSource(p))
	}
	return out
}

func specSource(p cip.Policy) Source {
	return Source{
		Field: policyPath, Gap: policyPath, Name: "ClusterImagePolicy",
		Package: []string{"cip", p.Name, "spec", "policy"}, Text: p.Spec.Policy.Data,
	}
}

func attestationSource(policy string, i, j int, attestation cip.Attestation) Source {
	return Source{
		Field: fmt.Sprintf("%s.attestations[%d].policy", authorityPath(i), j), Gap: authorityPath(i), Name: attestation.Name,
		Package: []string{
			"cip", policy, "spec", "authorities", strconv.Itoa(i), "attestations", strconv.Itoa(j), "policy",
		},
		Text: attestation.Policy.Data,
	}
}

func isRego(p *cip.PolicyRef) bool { return p != nil && p.Type == "rego" }

const policyPath = "spec.policy"

func authorityPath(i int) string { return fmt.Sprintf("spec.authorities[%d]", i) }

// judges writes the policies of an authority's attestations and returns the text
// that refers to them.
func (w *writer) judges(policy string, i int, a cip.Authority) string {
	out := "{}"
	for j, attestation := range a.Attestations {
		if attestation.Policy == nil {
			continue
		}
		w.line("# spec.authorities[%d].attestations[%d].policy", i, j)
		w.line("_judges[%d][%d] := %s", i, j, judge(attestation.Policy, attestationSource(policy, i, j, attestation)))
		w.line("")
		out = fmt.Sprintf("_judges[%d]", i)
	}
	return out
}

// judge writes one policy: CUE by its text, Rego by the name of its module.
func judge(p *cip.PolicyRef, s Source) string {
	members := []string{`"type": ` + literal(p.Type)}
	if isRego(p) {
		members = append(members, `"module": `+literal(s.Module()))
	} else {
		members = append(members, `"text": `+block(p.Data))
	}
	if mentionsAssay(p) {
		members = append(members, `"assay": true`)
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// mentionsAssay reports whether a policy may look at the key that we add to its
// document. One that does not is spared it: the document is then policy-controller's
// to the last key, which a closed CUE schema wants.
func mentionsAssay(p *cip.PolicyRef) bool { return strings.Contains(p.Data, "assay") }

// withoutPolicies is the authority as the builtins take it: what an attestation
// says is for the policy, which stands beside it.
func withoutPolicies(a cip.Authority) cip.Authority {
	a.Attestations = slices.Clone(a.Attestations)
	for j := range a.Attestations {
		a.Attestations[j].Policy = nil
	}
	return a
}

// verifies says that the policy asks registries for evidence, as one of static
// authorities alone does not.
func (w *writer) verifies(p cip.Policy) {
	if slices.ContainsFunc(p.Spec.Authorities, func(a cip.Authority) bool { return a.Static == nil }) {
		w.line("# an authority asks for evidence")
		w.line("verifies := true")
		w.line("")
	}
}

// policy writes spec.policy, and what it and the policies of attestations see of
// the review.
func (w *writer) policy(p cip.Policy) {
	included := includes(p)
	if p.Spec.Policy != nil || len(included) > 0 {
		w.line("# what the policies inside see besides the evidence")
		w.line("includes := %s", set(included))
		w.line("")
	}
	cause, unresolved := p.Gaps[policyPath]
	switch {
	case p.Spec.Policy == nil:
		w.line("# no spec.policy: an authority suffices")
		w.line(`policy := {"outcome": "passed"}`)
	case unresolved:
		w.line("# spec.policy")
		w.line("policy := policies.unresolved(%s, %s)", literal(p.Spec.Policy.Type), literal(cause))
	default:
		w.line("# spec.policy")
		w.line("_judge := %s", judge(p.Spec.Policy, specSource(p)))
		w.line("")
		w.line("policy := policies.judge(_judge, includes, input, authorities)")
	}
}

// readsLabels reports whether a policy may look at the labels of namespaces, which like all below assay
// are there only for those whose text mentions them.
func readsLabels(p *cip.PolicyRef) bool {
	return mentionsAssay(p) && strings.Contains(p.Data, "namespaceLabels")
}

// ReadsNamespaces reports whether anything inside a policy may look at the labels of namespaces.
func ReadsNamespaces(p cip.Policy) bool { return slices.Contains(includes(p), "namespace") }

// includes are the parts of the review, and the configuration of the image, that
// the policies inside a policy see.
func includes(p cip.Policy) []string {
	var out []string
	add := func(name string, wanted bool) {
		if wanted && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	is := func(flag *bool) bool { return flag != nil && *flag }
	if r := p.Spec.Policy; r != nil {
		add("config", is(r.FetchConfigFile))
		add("spec", is(r.IncludeSpec))
		add("metadata", is(r.IncludeObjectMeta))
		add("typemeta", is(r.IncludeTypeMeta))
		add("assay", mentionsAssay(r))
		add("namespace", readsLabels(r))
	}
	for _, a := range p.Spec.Authorities {
		for _, attestation := range a.Attestations {
			add("assay", attestation.Policy != nil && mentionsAssay(attestation.Policy))
			add("namespace", attestation.Policy != nil && readsLabels(attestation.Policy))
		}
	}
	return out
}

// set writes a set of strings, also the empty one, whose braces alone would be an
// object.
func set(members []string) string {
	if len(members) == 0 {
		return "set()"
	}
	quoted := make([]string, len(members))
	for i, member := range members {
		quoted[i] = literal(member)
	}
	return "{" + strings.Join(quoted, ", ") + "}"
}
