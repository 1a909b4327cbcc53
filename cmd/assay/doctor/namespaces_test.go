package doctor

import (
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
)

func TestNamespaces(t *testing.T) {
	t.Parallel()
	in := *installed(t).hookOf("/validate")
	out := in
	out.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "policy.sigstore.dev/exclude", Operator: metav1.LabelSelectorOpDoesNotExist}, in.NamespaceSelector.MatchExpressions[1],
	}}
	system := place{name: "cosign-system"}
	shop := place{name: "shop", covered: true}
	for _, tt := range []struct {
		name   string
		by     hook
		places []place
		status finding.Status
		want   string
	}{
		{"one is covered", in, []place{system, shop}, "", ""},
		{"one is left out, and is empty", in, []place{system, shop, {name: "idle"}}, "", ""},
		{"one is left out, and is busy", in, []place{shop, {name: "busy", busy: true}}, finding.Warning, "kubectl label --overwrite namespace busy policy.sigstore.dev/include=true"},
		{"one is taken out", out, []place{shop, {name: "busy", busy: true, labels: map[string]string{"policy.sigstore.dev/exclude": "true"}}}, finding.Warning, "policy.sigstore.dev/exclude-"},
		{"nobody may see its Pods", in, []place{shop, {name: "dark", unread: errors.New("no right")}}, finding.Unknown, "whether they run Pods is not known (1): dark: no right"},
		{"none is covered", in, []place{system}, finding.Warning, "nothing is judged"},
		{"that of the installation is covered", in, []place{shop, {name: "cosign-system", covered: true}}, finding.Failure, "nothing that a replica needs can start there"},
		{"that of the system is covered", in, []place{shop, {name: "kube-system", covered: true}}, finding.Failure, "it is covered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want(t, judgePlaces(tt.places, tt.by, "cosign-system"), tt.status, tt.want)
		})
	}
	var many []place
	for i := range 200 {
		many = append(many, place{name: fmt.Sprint(i), busy: true})
	}
	if got := judgePlaces(many, in, "cosign-system"); len(got) > mostPlaces+3 {
		t.Errorf("got %d findings, want them bounded", len(got))
	}
}

// TestTheGuardOfLabels breaks it in one way each.
func TestTheGuardOfLabels(t *testing.T) {
	t.Parallel()
	selector := installed(t).hookOf("/validate").NamespaceSelector
	for _, tt := range []struct {
		name   string
		change func(*guard)
		by     *metav1.LabelSelector
		status finding.Status
		want   string
	}{
		{"all is well", func(*guard) {}, selector, "", ""},
		{"it is not there", func(g *guard) { g.there = false }, selector, finding.Warning, "got none: whoever may edit the labels"},
		{"it fails open", func(g *guard) { g.policy.Spec.FailurePolicy = "Ignore" }, selector, finding.Failure, "failurePolicy"},
		{"a back door", func(g *guard) {
			g.policy.Spec.MatchConstraints.ResourceRules[0].Resources = []string{"namespaces", "namespaces/status"}
		}, selector, finding.Failure, "namespaces/finalize"},
		{"one namespace alone", func(g *guard) {
			g.policy.Spec.MatchConstraints.ResourceRules[0].ResourceNames = []string{"shop"}
		}, selector, finding.Failure, "matchConstraints"},
		{"some are let through", func(g *guard) {
			g.policy.Spec.MatchConditions = []shape.Expression{{Name: "a", Expression: "false"}}
		}, selector, finding.Failure, "matchConditions"},
		{"nobody is asked for a right", func(g *guard) { g.policy.Spec.Validations[0].Expression = "true" }, selector, finding.Failure, "validations"},
		{"another label", func(*guard) {}, &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}, finding.Failure, "the label team"},
		{"nothing binds it", func(g *guard) { g.bindings = nil }, selector, finding.Failure, "ValidatingAdmissionPolicyBinding"},
		{"it only warns", func(g *guard) {
			g.bindings[0].Spec.ValidationActions = []string{"Warn"}
		}, selector, finding.Failure, "that denies everywhere"},
		{"it is bound somewhere", func(g *guard) {
			g.bindings[0].Spec.MatchResources = &shape.Match{NamespaceSelector: selector}
		}, selector, finding.Failure, "that denies everywhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			of := installed(t).labels
			g := guard{policy: installed(t).labels, there: true, bindings: make([]shape.Binding, 1)}
			g.bindings[0].Spec.PolicyName, g.bindings[0].Spec.ValidationActions = of.Name, []string{"Deny", "Audit"}
			tt.change(&g)
			want(t, judgeGuard(of, g, tt.by), tt.status, tt.want)
		})
	}
}
