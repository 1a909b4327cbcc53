package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/cmd/assay/doctor/stranger"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego/cip"
)

// service finds out whether the API server reaches the webhooks: what stands behind the
// Service and, the only proof, what the API server says when it has to ask.
func (d *doctor) service(ctx context.Context) []finding.Finding {
	out := d.endpoints(ctx)
	return append(append(out, d.askPolicies(ctx)...), d.askWorkloads(ctx)...)
}

func (d *doctor) endpoints(ctx context.Context) []finding.Finding {
	namespace, name := d.api.Client.Namespace, d.setup.service()
	object := "Service " + namespace + "/" + name
	found, err := cluster.List[shape.EndpointSlice](ctx, d.api, kube.EndpointSlices(), namespace, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + name})
	if err != nil {
		return []finding.Finding{finding.NotChecked(object, err)}
	}
	return []finding.Finding{judgeEndpoints(object, namespace, found)}
}

func judgeEndpoints(object, namespace string, all []shape.EndpointSlice) finding.Finding {
	ready, known := 0, 0
	for _, slice := range all {
		for _, endpoint := range slice.Endpoints {
			known++
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready { // unknown is ready
				ready++
			}
		}
	}
	if ready == 0 {
		return finding.Failed(object, fmt.Sprintf("kubectl -n %s get endpointslices,pods: is a Pod ready, and has it the labels that the Service selects?", namespace),
			"got %d endpoints, none of them ready", known)
	}
	return finding.OK(object, "%d of %d endpoints are ready", ready, known)
}

// askPolicies has the API server ask the webhooks of policies, about one that cannot be read.
// That it is denied is the only proof that somebody was asked.
func (d *doctor) askPolicies(ctx context.Context) []finding.Finding {
	object := "dry run of a ClusterImagePolicy"
	_, err := d.api.Create(ctx, kube.ClusterImagePolicies(), "", stranger.Policy(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return []finding.Finding{judgeAnswer(object, err, d.hooks)}
}

// judgeAnswer says what it means that the API server gave this answer about a policy.
func judgeAnswer(object string, err error, hooks []hook) finding.Finding {
	switch {
	case err == nil:
		return finding.Failed(object, "see what the check of the webhooks says: failurePolicy, rules, matchConditions",
			"a policy that cannot be read would be stored: assay was not asked, or its answer did not matter")
	case said(err, `failed calling webhook "`, hooks):
		return finding.Failed(object, reachFix(err), "the API server got no answer: %v", err)
	case denied(err, hooks) && strings.Contains(err.Error(), stranger.PolicyFault):
		return finding.OK(object, "one that cannot be read was denied: %v", err)
	}
	return finding.NotChecked(object, err)
}

// askWorkloads has the API server ask about a Pod whose image nobody has signed, in a
// namespace that is covered.
func (d *doctor) askWorkloads(ctx context.Context) []finding.Finding {
	judge := d.judge()
	if judge == nil {
		return []finding.Finding{finding.NotChecked("dry run of a Pod", errUnread)}
	}
	covers, err := metav1.LabelSelectorAsSelector(judge.NamespaceSelector)
	if err != nil {
		return nil // which namespaces say
	}
	all, err := cluster.List[shape.Namespace](ctx, d.api, kube.Namespaces(), "", metav1.ListOptions{})
	if err != nil {
		return []finding.Finding{finding.NotChecked("dry run of a Pod", err)}
	}
	for _, namespace := range all {
		if namespace.Status.Phase == "Terminating" || judge.NamespaceSelector != nil && !covers.Matches(labels.Set(namespace.Labels)) {
			continue
		}
		object := "dry run of a Pod in namespace " + namespace.Name
		_, err := d.api.Create(ctx, kube.Pods(), namespace.Name, stranger.Pod(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		excuse := ""
		if err == nil {
			excuse = d.excuse(ctx)
		}
		return []finding.Finding{judgeVerdict(object, err, d.hooks, excuse)}
	}
	return nil // nothing is covered, which namespaces say
}

// excuse says why the image is admitted where assay is asked, if anything explains that. What
// cannot be read explains nothing.
func (d *doctor) excuse(ctx context.Context) string {
	policies, err := cluster.List[unstructured.Unstructured](ctx, d.api, kube.ClusterImagePolicies(), "", metav1.ListOptions{})
	if err != nil {
		return ""
	}
	noMatch := d.setup.flag("no-match", "deny")
	object, there, err := cluster.Get[unstructured.Unstructured](ctx, d.api, kube.ConfigMaps(), d.api.Client.Namespace, watch.SettingsName)
	if err != nil {
		return ""
	}
	if there { // it goes before the flags
		data, _, _ := unstructured.NestedStringMap(object.Object, "data") // what is no data says nothing
		settings, _, err := watch.ParseSettings(data)
		if err != nil {
			return ""
		}
		noMatch = cmp.Or(settings.NoMatch, noMatch)
	}
	return stranger.Excuse(policies, cip.Settings{Namespace: d.api.Client.Namespace, EmptyAuthorities: true}, noMatch)
}

// judgeVerdict says what it means that the API server gave this answer about a Pod with an
// image that nobody can have signed. excuse is what explains that it is admitted.
func judgeVerdict(object string, err error, hooks []hook, excuse string) finding.Finding {
	switch {
	case err == nil && excuse != "":
		return finding.Warned(object, "let policies ask for signatures, if that is not what you want", "an image that is nowhere was admitted: %s", excuse)
	case err == nil:
		return finding.Failed(object, "look at failurePolicy and matchConditions of the webhooks, and for a policy that passes every image: in files, or a RegoPolicy",
			"an image that is nowhere was admitted: assay was not asked, or its policies admit what nobody signed")
	case said(err, `failed calling webhook "`, hooks):
		return finding.Failed(object, reachFix(err), "the API server got no answer: %v", err)
	case denied(err, hooks):
		return finding.OK(object, "an image that is nowhere was denied: %v", err)
	}
	return finding.NotChecked(object, err)
}

// denied says whether one of our webhooks denied something.
func denied(err error, hooks []hook) bool {
	return said(err, `admission webhook "`, hooks) && strings.Contains(err.Error(), "denied the request")
}

// said says whether the API server says this of one of our webhooks. Others may be asked about
// the same object, and fail.
func said(err error, words string, hooks []hook) bool {
	return slices.ContainsFunc(hooks, func(h hook) bool { return strings.Contains(err.Error(), words+h.Name+`"`) })
}

// reachFix is what to do about the way to a webhook, by what the API server says of it.
func reachFix(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "x509:"), strings.Contains(text, "certificate"):
		return "see what the check of the certificate says"
	case strings.Contains(text, "not found"):
		return restore + ": the Service is gone"
	case strings.Contains(text, "no endpoints available"), strings.Contains(text, "connection refused"), strings.Contains(text, "EOF"), strings.Contains(text, "no such host"):
		return "see what the checks of the Deployment and of the Service say: no replica is ready"
	case strings.Contains(text, "deadline exceeded"), strings.Contains(text, "timeout"):
		return "does a NetworkPolicy or a firewall let the API server reach port 8443 of the Pods?"
	}
	return "kubectl logs of the replicas"
}
