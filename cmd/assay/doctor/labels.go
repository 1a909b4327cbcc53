package doctor

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
)

// guard is what keeps tenants from taking their namespace out.
type guard struct {
	policy   shape.Policy
	there    bool
	bindings []shape.Binding
}

// unguarded is what follows where there is no guard, or one that guards nothing.
const unguarded = "whoever may edit the labels of a namespace takes it out of what policies cover"

// labels looks at the ValidatingAdmissionPolicy.
func (d *doctor) labels(ctx context.Context) []finding.Finding {
	object := "ValidatingAdmissionPolicy " + d.expected.labels.Name
	var g guard
	var err error
	if g.policy, g.there, err = cluster.Get[shape.Policy](ctx, d.api, kube.AdmissionPolicies(), "", d.expected.labels.Name); err != nil {
		return []finding.Finding{finding.NotChecked(object, err)}
	}
	if g.bindings, err = cluster.List[shape.Binding](ctx, d.api, kube.AdmissionPolicyBindings(), "", metav1.ListOptions{}); err != nil {
		return []finding.Finding{finding.NotChecked(object, err)}
	}
	var selector *metav1.LabelSelector
	if judge := d.judge(); judge != nil {
		selector = judge.NamespaceSelector
	}
	return judgeGuard(d.expected.labels, g, selector)
}

// judgeGuard says whether it holds.
func judgeGuard(want shape.Policy, got guard, selector *metav1.LabelSelector) (out []finding.Finding) {
	object := "ValidatingAdmissionPolicy " + want.Name
	if !got.there {
		return []finding.Finding{finding.Warned(object, restore+" with namespaces.protectLabels: true", "got none: %s", unguarded)}
	}
	add := func(format string, args ...any) { out = append(out, finding.Failed(object, restore, format, args...)) }
	spec := got.policy.Spec
	if spec.FailurePolicy != "" && spec.FailurePolicy != "Fail" {
		add("failurePolicy: got %s, want Fail: %s", spec.FailurePolicy, unguarded)
	}
	if missing := missingRules(plainRules(want.Spec.MatchConstraints), plainRules(spec.MatchConstraints), nil); len(missing) > 0 {
		add("matchConstraints: got none for %s: %s", strings.Join(missing, ", "), unguarded)
	}
	if len(spec.MatchConditions) > 0 {
		add("matchConditions: got %s, want none: %s", spec.MatchConditions[0].Name, unguarded)
	}
	if !slices.ContainsFunc(spec.Validations, func(v shape.Expression) bool {
		return v.Expression == want.Spec.Validations[0].Expression
	}) {
		add("validations: got none that asks who may update policies: %s", unguarded)
	}
	for _, key := range keysOf(selector) {
		if !slices.ContainsFunc(spec.Variables, func(v shape.Expression) bool { return strings.Contains(v.Expression, `"`+key+`"`) }) {
			add("variables: got none about the label %s, by which the webhooks select: %s", key, unguarded)
		}
	}
	if !slices.ContainsFunc(got.bindings, func(b shape.Binding) bool { return binds(b, want.Name) }) {
		add("got no ValidatingAdmissionPolicyBinding that denies everywhere, want one: %s", unguarded)
	}
	if len(out) == 0 {
		out = append(out, finding.OK(object, "it guards the labels of namespaces"))
	}
	return out
}

// plainRules are rules without the names of objects, which ours do not have: rules with names
// cover less.
func plainRules(of *shape.Match) (out []shape.Rule) {
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

// keysOf are the labels that a selector looks at, but for the one that nobody can change.
func keysOf(s *metav1.LabelSelector) (out []string) {
	if s == nil {
		return nil
	}
	for key := range s.MatchLabels {
		out = append(out, key)
	}
	for _, r := range s.MatchExpressions {
		if r.Key != excluded {
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
	return of == nil || len(of.ResourceRules)+len(of.ExcludeResourceRules) == 0 && empty(of.NamespaceSelector) && empty(of.ObjectSelector)
}

func empty(s *metav1.LabelSelector) bool {
	return s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0
}
