package doctor

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
)

// TestWebhooks breaks what is installed in one way each.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	groups := []string{"apps", "batch", "policy.sigstore.dev", "policy.assay.dev"}
	flags := func(args ...string) setup { return setup{known: true, flags: flagsOf(args)} }
	change := func(path string, of func(*hook)) func(*expected) {
		return func(e *expected) { of(e.hookOf(path)) }
	}
	for _, tt := range []struct {
		name   string
		setup  setup
		change func(*expected)
		status finding.Status
		want   string
	}{
		{"nothing is changed", setup{}, func(*expected) {}, "", ""},
		{"nobody is asked about images", setup{}, func(e *expected) { e.hooks = e.hooks[1:] }, finding.Failure, "every image is admitted"},
		{"nothing is pinned, and --mutate none", flags("--mutate=none"), func(e *expected) { *e.hookOf("/mutate") = hook{} }, "", ""},
		{"nothing is pinned", flags("--mutate=pods"), func(e *expected) { *e.hookOf("/mutate") = hook{} }, finding.Failure, "Pods on a tag are denied"},
		{"it fails open", setup{}, change("/validate", func(h *hook) { h.FailurePolicy = "Ignore" }), finding.Failure, "failurePolicy: got Ignore, want Fail"},
		{"policies are judged where somebody answers", setup{}, change("/policies/validate", func(h *hook) { h.FailurePolicy = "Ignore" }), finding.Failure, "failurePolicy"},
		{"no ephemeral containers", setup{}, change("/validate", func(h *hook) { h.Rules[0].Resources = []string{"pods"} }), finding.Failure, "rules: got none for CREATE pods/ephemeralcontainers, UPDATE pods/ephemeralcontainers"},
		{"no updates of Deployments", setup{}, change("/validate", func(h *hook) { h.Rules[2].Operations = h.Rules[2].Operations[:1] }), finding.Failure, "UPDATE deployments.apps"},
		{"Pods of no namespace", setup{}, change("/validate", func(h *hook) { h.Rules[0].Scope = "Cluster" }), finding.Failure, "CREATE pods"},
		{"Knative is not there", setup{}, change("/validate", func(h *hook) { h.Rules = h.Rules[:4] }), "", ""},
		{"everything is asked about", setup{}, change("/validate", func(h *hook) {
			h.Rules = []shape.Rule{{Operations: []string{"*"}, APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}}}
		}), "", ""},
		{"everything but what is below Pods", setup{}, change("/mutate", func(h *hook) { h.Rules[0].Resources = []string{"*"} }), finding.Failure, "pods/ephemeralcontainers"},
		{"whoever creates an object opts out", setup{}, change("/validate", func(h *hook) {
			h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"judge": "me"}}
		}), finding.Failure, "whoever creates an object chooses its labels"},
		{"policies of some namespaces alone", setup{}, change("/policies/validate", func(h *hook) {
			h.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}), finding.Failure, "ImagePolicies elsewhere"},
		{"an empty selector of objects", setup{}, change("/validate", func(h *hook) { h.ObjectSelector = &metav1.LabelSelector{} }), "", ""},
		{"other versions are not asked about", setup{}, change("/validate", func(h *hook) { h.MatchPolicy = "Exact" }), finding.Failure, "matchPolicy: got Exact"},
		{"another form of reviews", setup{}, change("/validate", func(h *hook) { h.AdmissionReviewVersions = []string{"v1beta1"} }), finding.Failure, "admissionReviewVersions"},
		{"some are let through", setup{}, change("/validate", func(h *hook) {
			h.MatchConditions = []shape.Expression{{Name: "not-mine", Expression: `request.userInfo.username != "mallory"`}}
		}), finding.Failure, "matchConditions: got not-mine"},
		{"nobody is judged", setup{}, change("/validate", func(h *hook) {
			h.MatchConditions = []shape.Expression{{Name: "never", Expression: "false"}}
		}), finding.Failure, "matchConditions: got never, which the chart does not have: false"},
		{"those of the chart are no news", setup{}, change("/validate", func(h *hook) {
			for _, expression := range conditions() {
				h.MatchConditions = append(h.MatchConditions, shape.Expression{Name: "a", Expression: expression})
			}
		}), "", ""},
		{"what others add stays on a tag", setup{}, change("/mutate", func(h *hook) { h.ReinvocationPolicy = "Never" }), finding.Warning, "reinvocationPolicy"},
		{"another Service", setup{}, change("/validate", func(h *hook) { h.ClientConfig.Service.Name = "policy-webhook" }), finding.Failure, "got cosign-system/policy-webhook, want cosign-system/webhook"},
		{"the Service of another namespace", setup{}, change("/validate", func(h *hook) { h.ClientConfig.Service.Namespace = "old" }), finding.Failure, "got old/webhook"},
		{"the Service has another name", flags("--webhook-service=door"), func(e *expected) {
			for i := range e.hooks {
				e.hooks[i].ClientConfig.Service.Name = "door"
			}
		}, "", ""},
		{"a URL", setup{}, change("/validate", func(h *hook) {
			h.ClientConfig.Service, h.ClientConfig.URL = nil, "https://assay.example/validate"
		}), finding.Warning, "clientConfig.url"},
		{"no time", setup{}, change("/validate", func(h *hook) { h.TimeoutSeconds = 2 }), finding.Warning, "timeoutSeconds: got 2"},
		{"more time than decisions take", flags("--timeout=5s"), func(e *expected) { e.hookOf("/mutate").TimeoutSeconds = 5 }, finding.Warning, "timeoutSeconds: got 10, and --timeout 5s"},
		{"the webhooks see other namespaces", setup{}, change("/mutate", func(h *hook) { h.NamespaceSelector = nil }), finding.Failure, "and ValidatingWebhookConfiguration policy.sigstore.dev has"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			found := installed(t)
			tt.change(&found)
			want(t, judgeHooks(installed(t).hooks, found.hooks, tt.setup, groups), tt.status, tt.want)
		})
	}
}

// TestConditionsAreThoseOfTheChart compares them with its template.
func TestConditionsAreThoseOfTheChart(t *testing.T) {
	t.Parallel()
	template, err := os.ReadFile("../../../deploy/chart/templates/webhooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(template)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "expression: '"); ok {
			got = append(got, strings.TrimSuffix(text, "'"))
		}
	}
	if diff := cmp.Diff(got, conditions()); diff != "" {
		t.Errorf("conditions (-chart +doctor):\n%s", diff)
	}
}

// TestTheNamespaceIsThatOfTheInstallation wherever the manifests have theirs.
func TestTheNamespaceIsThatOfTheInstallation(t *testing.T) {
	t.Parallel()
	e, err := expect("security")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range e.hooks {
		if got := h.ClientConfig.Service.Namespace; got != "security" {
			t.Errorf("%s: got namespace %s", h, got)
		}
	}
	for _, r := range e.rights {
		if r.namespace != "" && r.namespace != "security" {
			t.Errorf("%s: got namespace %s", r, r.namespace)
		}
	}
	if len(e.hooks) != 4 || len(e.rights) < 30 || e.labels.Name == "" {
		t.Errorf("got %d webhooks, %d rights and %q, want those of the manifests", len(e.hooks), len(e.rights), e.labels.Name)
	}
	if diff := cmp.Diff([]string{"policy.sigstore.dev", "validating.clusterimagepolicy.sigstore.dev", "defaulting.clusterimagepolicy.sigstore.dev"}, e.names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
