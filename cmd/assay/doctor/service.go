package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
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

// probe is a name of what is never stored.
const probe = "assay-doctor-"

// askPolicies has the API server ask the webhooks of policies, about one that is not stored.
func (d *doctor) askPolicies(ctx context.Context) []finding.Finding {
	object := "dry run of a ClusterImagePolicy"
	_, err := d.api.Create(ctx, kube.ClusterImagePolicies(), "", map[string]any{
		"apiVersion": kube.ClusterImagePolicies().GroupVersion().String(), "kind": "ClusterImagePolicy",
		"metadata": map[string]any{"generateName": probe},
		"spec": map[string]any{
			"images":      []any{map[string]any{"glob": "assay.invalid/doctor"}},
			"authorities": []any{map[string]any{"static": map[string]any{"action": "fail"}}},
		},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return []finding.Finding{judgeAnswer(object, err, d.hooks)}
}

// judgeAnswer says what it means that the API server gave this answer about a policy.
func judgeAnswer(object string, err error, hooks []hook) finding.Finding {
	switch {
	case err == nil:
		return finding.OK(object, "the API server asked, and got an answer")
	case said(err, `failed calling webhook "`, hooks):
		return finding.Failed(object, reachFix(err), "the API server got no answer: %v", err)
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
		_, err := d.api.Create(ctx, kube.Pods(), namespace.Name, stranger(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return []finding.Finding{judgeVerdict(object, err, d.hooks)}
	}
	return nil // nothing is covered, which namespaces say
}

// judgeVerdict says what it means that the API server gave this answer about a Pod with an
// image that nobody can have signed.
func judgeVerdict(object string, err error, hooks []hook) finding.Finding {
	switch {
	case err == nil:
		return finding.Warned(object, "look at failurePolicy, at no-match-policy in the ConfigMap config-policy-controller, and for a policy that passes every image (kubectl get cip)",
			"an image that is nowhere was admitted: assay was not asked, or its policies admit what nobody signed")
	case said(err, `failed calling webhook "`, hooks):
		return finding.Failed(object, reachFix(err), "the API server got no answer: %v", err)
	case said(err, `admission webhook "`, hooks) && strings.Contains(err.Error(), "denied the request"):
		return finding.OK(object, "an image that is nowhere was denied: %v", err)
	}
	return finding.NotChecked(object, err)
}

// stranger is a Pod that even a restricted namespace admits, but for its image.
func stranger() map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"generateName": probe},
		"spec": map[string]any{
			"automountServiceAccountToken": false,
			"securityContext":              map[string]any{"runAsNonRoot": true, "runAsUser": int64(65532), "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
			"containers": []any{map[string]any{
				"name": "stranger", "image": "assay.invalid/doctor@sha256:" + strings.Repeat("0", 64),
				"securityContext": map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}},
				"resources": map[string]any{
					"requests": map[string]any{"cpu": "1m", "memory": "1Mi"}, "limits": map[string]any{"cpu": "1m", "memory": "1Mi"},
				},
			}},
		},
	}
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
