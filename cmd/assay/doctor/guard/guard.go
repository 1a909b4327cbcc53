// Package guard judges the ValidatingAdmissionPolicy that keeps tenants from taking their
// namespace out of what policies cover.
package guard

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/rules"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
)

// Guard is what was found.
type Guard struct {
	Policy   shape.Policy
	There    bool
	Bindings []shape.Binding
}

// Wanted is what has to be found.
type Wanted struct {
	// Policy is that of the manifests, which guards the labels of Selector.
	Policy   shape.Policy
	Selector *metav1.LabelSelector
	// Restore is how it is put back.
	Restore string
}

// unguarded is what follows where there is no guard, or one that guards nothing.
const unguarded = "whoever may edit the labels of a namespace takes it out of what policies cover"

// named is the label by which the API server names a namespace. Nobody can change it.
const named = "kubernetes.io/metadata.name"

// Judge says whether it holds for the namespaces that by, the webhook's selector, selects. What
// stands in it and not in that of the manifests leaves something out.
func Judge(want Wanted, got Guard, by *metav1.LabelSelector) (out []finding.Finding) {
	object := "ValidatingAdmissionPolicy " + want.Policy.Name
	if !got.There {
		return []finding.Finding{finding.Warned(object, want.Restore+" with namespaces.protectLabels: true", "got none: %s", unguarded)}
	}
	add := func(format string, args ...any) {
		out = append(out, finding.Failed(object, want.Restore, "%s: %s", fmt.Sprintf(format, args...), unguarded))
	}
	spec := got.Policy.Spec
	if spec.FailurePolicy != "" && spec.FailurePolicy != "Fail" {
		add("failurePolicy: got %s, want Fail", spec.FailurePolicy)
	}
	for _, fault := range constraints(want.Policy.Spec.MatchConstraints, spec.MatchConstraints) {
		add("matchConstraints%s", fault)
	}
	if len(spec.MatchConditions) > 0 {
		add("matchConditions: got %s, want none", spec.MatchConditions[0].Name)
	}
	if !slices.ContainsFunc(spec.Validations, func(v shape.Expression) bool {
		return v.Expression == want.Policy.Spec.Validations[0].Expression
	}) {
		add("validations: got none that asks who may update policies")
	}
	for _, fault := range variables(want, spec.Variables, by) {
		add("variables%s", fault)
	}
	if !slices.ContainsFunc(got.Bindings, func(b shape.Binding) bool { return binds(b, want.Policy.Name) }) {
		add("got no ValidatingAdmissionPolicyBinding that denies everywhere, want one")
	}
	if len(out) == 0 {
		out = append(out, finding.OK(object, "it guards the labels of namespaces"))
	}
	return out
}

// constraints are the faults of what the policy is about.
func constraints(want, got *shape.Match) (out []string) {
	if missing := rules.Missing(plain(want), plain(got), nil); len(missing) > 0 {
		out = append(out, ": got none for "+strings.Join(missing, ", "))
	}
	if got == nil {
		return out
	}
	if !rules.Everything(got.NamespaceSelector) { // of a namespace these are its own labels
		out = append(out, ".namespaceSelector: got "+metav1.FormatLabelSelector(got.NamespaceSelector)+", want none")
	}
	if !rules.Everything(got.ObjectSelector) {
		out = append(out, ".objectSelector: got "+metav1.FormatLabelSelector(got.ObjectSelector)+", want none")
	}
	if n := len(got.ExcludeResourceRules); n > 0 {
		out = append(out, fmt.Sprintf(".excludeResourceRules: got %d, want none", n))
	}
	if got.MatchPolicy != "" && got.MatchPolicy != "Equivalent" {
		out = append(out, ".matchPolicy: got "+got.MatchPolicy+", want Equivalent")
	}
	return out
}

// plain are rules without the names of objects, which ours do not have: rules with names cover
// less.
func plain(of *shape.Match) (out []shape.Rule) {
	if of == nil {
		return nil
	}
	for _, rule := range of.ResourceRules {
		if len(rule.ResourceNames) == 0 {
			out = append(out, rule)
		}
	}
	return out
}

// variables are the faults of those that the validation reads. All are as in the manifests,
// but for the one that is made from a selector, where the webhooks have another one.
func variables(want Wanted, got []shape.Expression, by *metav1.LabelSelector) (out []string) {
	ours := reflect.DeepEqual(want.Selector, by)
	for _, variable := range want.Policy.Spec.Variables {
		if ours || len(keysIn(want.Selector, variable.Expression)) == 0 {
			if !slices.Contains(got, variable) {
				out = append(out, "."+variable.Name+": got none, or another one than the manifests have")
			}
			continue
		}
		for _, key := range keysOf(by) {
			if !slices.ContainsFunc(got, func(v shape.Expression) bool { return v.Name == variable.Name && mentions(v.Expression, key) }) {
				out = append(out, "."+variable.Name+": got nothing about the label "+key+", by which the webhooks select")
			}
		}
	}
	return out
}

func mentions(expression, key string) bool { return strings.Contains(expression, `"`+key+`"`) }

// keysIn are the labels of a selector that an expression mentions.
func keysIn(s *metav1.LabelSelector, expression string) (out []string) {
	for _, key := range keysOf(s) {
		if mentions(expression, key) {
			out = append(out, key)
		}
	}
	return out
}

// keysOf are the labels that a selector looks at, but for the one that nobody can change.
func keysOf(s *metav1.LabelSelector) (out []string) {
	if s == nil {
		return nil
	}
	for key := range s.MatchLabels {
		out = append(out, key)
	}
	for _, r := range s.MatchExpressions {
		if r.Key != named {
			out = append(out, r.Key)
		}
	}
	slices.Sort(out)
	return out
}

// binds says whether a binding has a policy deny, wherever it is asked.
func binds(b shape.Binding, policy string) bool {
	return b.Spec.PolicyName == policy && b.Spec.ParamRef == nil && whole(b.Spec.MatchResources) &&
		slices.Contains(b.Spec.ValidationActions, "Deny")
}

// whole says whether a binding is for everything that its policy is for.
func whole(of *shape.Match) bool {
	return of == nil || len(of.ResourceRules)+len(of.ExcludeResourceRules) == 0 && rules.Everything(of.NamespaceSelector) && rules.Everything(of.ObjectSelector)
}
