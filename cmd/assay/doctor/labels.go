package doctor

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/guard"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
)

// labels looks at the ValidatingAdmissionPolicy that guards those of namespaces.
func (d *doctor) labels(ctx context.Context) []finding.Finding {
	object := "ValidatingAdmissionPolicy " + d.expected.labels.Name
	var g guard.Guard
	var err error
	if g.Policy, g.There, err = cluster.Get[shape.Policy](ctx, d.api, kube.AdmissionPolicies(), "", d.expected.labels.Name); err != nil {
		return []finding.Finding{finding.NotChecked(object, err)}
	}
	if g.Bindings, err = cluster.List[shape.Binding](ctx, d.api, kube.AdmissionPolicyBindings(), "", metav1.ListOptions{}); err != nil {
		return []finding.Finding{finding.NotChecked(object, err)}
	}
	judge := d.judge()
	if judge == nil { // nobody knows which labels it has to guard
		return []finding.Finding{finding.NotChecked(object, errUnread)}
	}
	return guard.Judge(d.expected.guard(), g, judge.NamespaceSelector)
}

// guard is the one of the manifests.
func (e expected) guard() guard.Wanted {
	out := guard.Wanted{Policy: e.labels, Restore: restore}
	for _, h := range e.hooks {
		if h.kind == validating && h.path() == "/validate" {
			out.Selector = h.NamespaceSelector
		}
	}
	return out
}
