package doctor

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/guard"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
)

// TestTheGuardOfLabels breaks it in one way each.
func TestTheGuardOfLabels(t *testing.T) {
	t.Parallel()
	selector := installed(t).hookOf("/validate").NamespaceSelector
	for _, tt := range []struct {
		name   string
		change func(*guard.Guard)
		by     *metav1.LabelSelector
		status finding.Status
		want   string
	}{
		{"all is well", func(*guard.Guard) {}, selector, "", ""},
		{"it is not there", func(g *guard.Guard) { g.There = false }, selector, finding.Warning, "got none: whoever may edit the labels"},
		{"it fails open", func(g *guard.Guard) { g.Policy.Spec.FailurePolicy = "Ignore" }, selector, finding.Failure, "failurePolicy"},
		{"a back door", func(g *guard.Guard) {
			g.Policy.Spec.MatchConstraints.ResourceRules[0].Resources = []string{"namespaces", "namespaces/status"}
		}, selector, finding.Failure, "namespaces/finalize"},
		{"one namespace alone", func(g *guard.Guard) {
			g.Policy.Spec.MatchConstraints.ResourceRules[0].ResourceNames = []string{"shop"}
		}, selector, finding.Failure, "matchConstraints"},
		{"some are let through", func(g *guard.Guard) {
			g.Policy.Spec.MatchConditions = []shape.Expression{{Name: "a", Expression: "false"}}
		}, selector, finding.Failure, "matchConditions"},
		{"namespaces that say so are left out", func(g *guard.Guard) {
			g.Policy.Spec.MatchConstraints.NamespaceSelector = selector
		}, selector, finding.Failure, "matchConstraints.namespaceSelector: got "},
		{"objects that say so are left out", func(g *guard.Guard) {
			g.Policy.Spec.MatchConstraints.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"free": "false"}}
		}, selector, finding.Failure, "matchConstraints.objectSelector: got free=false, want none"},
		{"selectors that leave nothing out, as the API server writes them", func(g *guard.Guard) {
			g.Policy.Spec.MatchConstraints.NamespaceSelector, g.Policy.Spec.MatchConstraints.ObjectSelector = &metav1.LabelSelector{}, &metav1.LabelSelector{}
			g.Policy.Spec.MatchConstraints.MatchPolicy = "Equivalent"
		}, selector, "", ""},
		{"some resources are left out", func(g *guard.Guard) {
			g.Policy.Spec.MatchConstraints.ExcludeResourceRules = g.Policy.Spec.MatchConstraints.ResourceRules
		}, selector, finding.Failure, "matchConstraints.excludeResourceRules: got 1, want none"},
		{"other versions are left out", func(g *guard.Guard) {
			g.Policy.Spec.MatchConstraints.MatchPolicy = "Exact"
		}, selector, finding.Failure, "matchConstraints.matchPolicy: got Exact"},
		{"it is about nothing", func(g *guard.Guard) { g.Policy.Spec.MatchConstraints = nil }, selector, finding.Failure, "matchConstraints: got none for CREATE namespaces"},
		{"nothing ever leaves", func(g *guard.Guard) {
			g.Policy.Spec.Variables[2].Expression = `false && variables.before["policy.sigstore.dev/include"] == "true"`
		}, selector, finding.Failure, "variables.leaves: got none, or another one"},
		{"what was before is not looked at", func(g *guard.Guard) {
			g.Policy.Spec.Variables[0].Expression = "{}"
		}, selector, finding.Failure, "variables.before"},
		{"the selector of another installation", func(g *guard.Guard) {
			g.Policy.Spec.Variables[2].Expression = `"team" in variables.before && !("team" in variables.after)`
		}, &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}, "", ""},
		{"nobody is asked for a right", func(g *guard.Guard) { g.Policy.Spec.Validations[0].Expression = "true" }, selector, finding.Failure, "validations"},
		{"another label", func(*guard.Guard) {}, &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}, finding.Failure, "the label team"},
		{"nothing binds it", func(g *guard.Guard) { g.Bindings = nil }, selector, finding.Failure, "ValidatingAdmissionPolicyBinding"},
		{"it only warns", func(g *guard.Guard) {
			g.Bindings[0].Spec.ValidationActions = []string{"Warn"}
		}, selector, finding.Failure, "that denies everywhere"},
		{"it is bound somewhere", func(g *guard.Guard) {
			g.Bindings[0].Spec.MatchResources = &shape.Match{NamespaceSelector: selector}
		}, selector, finding.Failure, "that denies everywhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			of := installed(t).labels
			g := guard.Guard{Policy: installed(t).labels, There: true, Bindings: make([]shape.Binding, 1)}
			g.Bindings[0].Spec.PolicyName, g.Bindings[0].Spec.ValidationActions = of.Name, []string{"Deny", "Audit"}
			tt.change(&g)
			want(t, guard.Judge(installed(t).guard(), g, tt.by), tt.status, tt.want)
		})
	}
}
