package assay_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// installed are the two webhooks of docs/install.md.
type installed struct {
	rules     []admissionregistrationv1.RuleWithOperations
	selector  *metav1.LabelSelector
	effects   *admissionregistrationv1.SideEffectClass
	versions  []string
	reinvoked *admissionregistrationv1.ReinvocationPolicyType
}

func readInstalled(t *testing.T) (validating, mutating installed) {
	t.Helper()
	manifests := strings.Join(blocks(read(t, "docs/install.md"), "yaml"), "---\n")
	for _, document := range regexp.MustCompile(`(?m)^---\n`).Split(manifests, -1) {
		switch {
		case strings.Contains(document, "kind: ValidatingWebhookConfiguration\n"):
			var c admissionregistrationv1.ValidatingWebhookConfiguration
			if err := yaml.UnmarshalStrict([]byte(document), &c); err != nil {
				t.Fatal(err)
			}
			w := c.Webhooks[0]
			validating = installed{w.Rules, w.NamespaceSelector, w.SideEffects, w.AdmissionReviewVersions, nil}
		case strings.Contains(document, "kind: MutatingWebhookConfiguration\n"):
			var c admissionregistrationv1.MutatingWebhookConfiguration
			if err := yaml.UnmarshalStrict([]byte(document), &c); err != nil {
				t.Fatal(err)
			}
			w := c.Webhooks[0]
			mutating = installed{w.Rules, w.NamespaceSelector, w.SideEffects, w.AdmissionReviewVersions, w.ReinvocationPolicy}
		}
	}
	if len(validating.rules) == 0 || len(mutating.rules) == 0 {
		t.Fatal("docs/install.md: got no webhook configurations with rules, want both")
	}
	return validating, mutating
}

// RES-3, RES-4: both webhooks are asked about creations and updates of what runs
// images, and of ephemeral containers. Unlike upstream, whose mutating rules have
// the status of everything and no ephemeral containers.
func TestInstalledRules(t *testing.T) {
	t.Parallel()
	validating, mutating := readInstalled(t)
	if diff := cmp.Diff(validating.rules, mutating.rules); diff != "" {
		t.Errorf("rules (-validating +mutating):\n%s", diff)
	}
	var resources []string
	for _, rule := range validating.rules {
		want := []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
		if diff := cmp.Diff(want, rule.Operations); diff != "" {
			t.Errorf("operations of %v (-want +got):\n%s", rule.Resources, diff)
		}
		resources = append(resources, rule.Resources...)
	}
	slices.Sort(resources)
	want := []string{
		"cronjobs", "daemonsets", "deployments", "jobs", "pods", "pods/ephemeralcontainers", "podtemplates", "replicasets",
		"replicationcontrollers", "statefulsets",
	}
	if diff := cmp.Diff(want, resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

// NS-1, NS-3: a namespace opts in by policy-controller's label, and the namespace
// of assay itself is out. NS-2: unlike upstream, no other label is.
func TestInstalledNamespaces(t *testing.T) {
	t.Parallel()
	validating, mutating := readInstalled(t)
	want := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "policy.sigstore.dev/include", Operator: metav1.LabelSelectorOpIn, Values: []string{"true"}},
		{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"assay-system"}},
	}}
	for name, webhook := range map[string]installed{
		"NS-1, NS-2 and NS-3: validating": validating, "NS-1, NS-2 and NS-3: mutating": mutating,
	} {
		if diff := cmp.Diff(want, webhook.selector); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// RES-10, MUT-7: dry runs are asked about, and what others add after us is too.
func TestInstalledReviews(t *testing.T) {
	t.Parallel()
	validating, mutating := readInstalled(t)
	for _, webhook := range []installed{validating, mutating} {
		if *webhook.effects != admissionregistrationv1.SideEffectClassNone || !slices.Equal(webhook.versions, []string{"v1"}) {
			t.Errorf("got side effects %s and versions %v, want None and v1", *webhook.effects, webhook.versions)
		}
	}
	if got := *mutating.reinvoked; got != admissionregistrationv1.IfNeededReinvocationPolicy {
		t.Errorf("got reinvocation %s, want IfNeeded", got)
	}
}
