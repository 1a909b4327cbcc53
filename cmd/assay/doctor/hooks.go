package doctor

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/rules"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
)

// The kinds of webhook configurations.
const (
	validating = "ValidatingWebhookConfiguration"
	mutating   = "MutatingWebhookConfiguration"
)

// hook is one webhook, with the configuration that it is in.
type hook struct {
	kind, in string
	shape.Webhook
}

func hooksOf(kind string, of shape.Configuration) (out []hook) {
	for _, webhook := range of.Webhooks {
		out = append(out, hook{kind, of.Name, webhook})
	}
	return out
}

// String names it for people.
func (h hook) String() string {
	if h.Name == h.in {
		return h.kind + " " + h.in
	}
	return h.kind + " " + h.in + ", webhook " + h.Name
}

// path is the route that is asked, which says what the webhook is for.
func (h hook) path() string {
	switch {
	case h.ClientConfig.Service != nil:
		return h.ClientConfig.Service.Path
	case h.ClientConfig.URL != "":
		if at, err := url.Parse(h.ClientConfig.URL); err == nil {
			return at.Path
		}
	}
	return ""
}

// workloads says whether it is asked about what runs images, and not about policies.
func (h hook) workloads() bool { return h.path() == "/validate" || h.path() == "/mutate" }

// webhooks reads the configurations and compares them with what is installed.
func (d *doctor) webhooks(ctx context.Context) (out []finding.Finding) {
	unread := false
	for _, name := range d.configurations() {
		for _, kind := range []string{validating, mutating} {
			found, there, err := cluster.Named[shape.Configuration](ctx, d.api, resourceOf(kind), name)
			switch {
			case err != nil:
				unread = true
				out = append(out, finding.NotChecked(kind+" "+name, err))
			case there:
				d.hooks = append(d.hooks, hooksOf(kind, found)...)
			}
		}
	}
	slices.SortFunc(d.hooks, func(a, b hook) int { return strings.Compare(a.String(), b.String()) })
	if unread {
		return out
	}
	return append(out, judgeHooks(d.expected.hooks, d.hooks, d.setup, d.server.Groups)...)
}

func resourceOf(kind string) schema.GroupVersionResource {
	if kind == validating {
		return kube.ValidatingWebhooks()
	}
	return kube.MutatingWebhooks()
}

// judgeHooks compares webhooks with those that are wanted.
func judgeHooks(wanted, found []hook, s setup, groups []string) (out []finding.Finding) {
	for _, want := range wanted {
		if want.path() == "/mutate" && s.flag("mutate", "pods") == "none" {
			continue
		}
		var all []hook
		for _, got := range found {
			if got.kind == want.kind && got.path() == want.path() {
				all = append(all, got)
			}
		}
		if len(all) == 0 {
			out = append(out, finding.Failed(want.String(), restore, "got none that asks %s of the Service: %s", want.path(), missed(want.path())))
		}
		for _, got := range all {
			faults := got.faults(want, s, groups)
			if len(faults) == 0 {
				faults = []finding.Finding{finding.OK(got.String(), "it asks about what it should, fails closed, and waits %d s", seconds(got))}
			}
			out = append(out, faults...)
		}
	}
	return append(out, judgeSelectors(found)...)
}

// missed is what it means that nobody is asked.
func missed(path string) string {
	switch path {
	case "/validate":
		return "every image is admitted"
	case "/mutate":
		return "Pods on a tag are denied"
	case "/policies/validate":
		return "policies that do not compile are stored, and deny"
	}
	return "policies are stored without their defaults"
}

func seconds(h hook) int32 {
	if h.TimeoutSeconds == 0 {
		return 10 // as the API server has it
	}
	return h.TimeoutSeconds
}

// faults are what differs from what is wanted.
func (h hook) faults(want hook, s setup, groups []string) (out []finding.Finding) {
	object := h.String()
	add := func(f finding.Finding) { out = append(out, f) }
	if got := h.FailurePolicy; got != "" && got != "Fail" {
		add(finding.Failed(object, "webhook.failurePolicy: Fail", "failurePolicy: got %s, want Fail: what assay does not answer is admitted", got))
	}
	if missing := rules.Missing(want.Rules, h.Rules, groups); len(missing) > 0 {
		add(finding.Failed(object, restore, "rules: got none for %s", strings.Join(missing, ", ")))
	}
	if !rules.Everything(h.ObjectSelector) {
		add(finding.Failed(object, "remove objectSelector", "objectSelector: got one, want none: whoever creates an object chooses its labels"))
	}
	if !h.workloads() && !rules.Everything(h.NamespaceSelector) {
		add(finding.Failed(object, "remove namespaceSelector", "namespaceSelector: got %s, want none: ImagePolicies elsewhere are stored as they are", selected(h.NamespaceSelector)))
	}
	if got := h.MatchPolicy; got != "" && got != "Equivalent" {
		add(finding.Failed(object, "matchPolicy: Equivalent", "matchPolicy: got %s, want Equivalent: other versions of a resource are not asked about", got))
	}
	if !slices.Contains(h.AdmissionReviewVersions, "v1") {
		add(finding.Failed(object, "admissionReviewVersions: [v1]", "admissionReviewVersions: got %v, want v1", h.AdmissionReviewVersions))
	}
	for _, condition := range h.MatchConditions {
		if !slices.Contains(conditions(), condition.Expression) {
			add(finding.Failed(object, "remove the condition: whom it leaves out nobody judges",
				"matchConditions: got %s, which the chart does not have: %s", condition.Name, condition.Expression))
		}
	}
	if h.ReinvocationPolicy != want.ReinvocationPolicy && want.ReinvocationPolicy != "" {
		add(finding.Warned(object, "reinvocationPolicy: "+want.ReinvocationPolicy, "reinvocationPolicy: got none, want %s: containers that others add after us stay on their tags, and are denied", want.ReinvocationPolicy))
	}
	return append(append(out, h.reach(want, s)...), h.time(s)...)
}

// conditions are those of the chart, which are there when the rules are wide: they leave out
// what runs nothing.
func conditions() []string {
	return []string{
		`!(has(request.subResource) && request.subResource == "status")`,
		`!(request.resource.group == "coordination.k8s.io" && request.resource.resource == "leases")`,
	}
}

// reach is whether it asks the Service of the installation.
func (h hook) reach(want hook, s setup) []finding.Finding {
	service := h.ClientConfig.Service
	if service == nil {
		return []finding.Finding{finding.Warned(h.String(), restore, "clientConfig.url: got a URL, want the Service %s/%s", want.ClientConfig.Service.Namespace, s.service())}
	}
	if service.Namespace != want.ClientConfig.Service.Namespace || service.Name != s.service() {
		return []finding.Finding{finding.Failed(h.String(), restore, "clientConfig.service: got %s/%s, want %s/%s",
			service.Namespace, service.Name, want.ClientConfig.Service.Namespace, s.service())}
	}
	return nil
}

// leastSeconds is what a verification of an image takes whose registry is slow.
const leastSeconds = 5

// time is whether there is enough of it.
func (h hook) time(s setup) []finding.Finding {
	waits := time.Duration(seconds(h)) * time.Second
	switch {
	case seconds(h) < leastSeconds:
		return []finding.Finding{finding.Warned(h.String(), "timeoutSeconds: 10", "timeoutSeconds: got %d, want at least %d: registries are slow at times", seconds(h), leastSeconds)}
	case s.known && s.timeout() > 0 && s.timeout() < waits && h.workloads():
		return []finding.Finding{finding.Warned(h.String(), "give timeoutSeconds and --timeout the same",
			"timeoutSeconds: got %d, and --timeout %s: decisions end before the API server does", seconds(h), s.timeout())}
	}
	return nil
}
