package doctor

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/status"
)

// policy is an object of ours, with what was said of it.
type policy struct {
	metav1.ObjectMeta `json:"metadata"`
	Kind              string `json:"kind"`
	Status            struct {
		ObservedGeneration int64              `json:"observedGeneration"`
		Conditions         []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

func (p policy) String() string {
	if p.Namespace != "" {
		return p.Kind + " " + p.Namespace + "/" + p.Name
	}
	return p.Kind + " " + p.Name
}

// resources are those that have a status.
func resources() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{kube.ClusterImagePolicies(), kube.ImagePolicies(), kube.TrustRoots(), kube.RegoPolicies(), kube.WorkloadPaths()}
}

// policies looks at what became of them.
func (d *doctor) policies(ctx context.Context) (out []finding.Finding) {
	for _, of := range resources() {
		all, err := cluster.List[policy](ctx, d.api, of, "", metav1.ListOptions{})
		switch {
		case cluster.IsNone(err):
			continue // there is no such resource, which the definitions say
		case err != nil:
			out = append(out, finding.NotChecked(of.Resource, err))
			continue
		}
		out = append(out, judgePolicies(of, all)...)
	}
	return out
}

// mostPolicies bounds the objects that have a line of their own.
const mostPolicies = 50

func judgePolicies(of schema.GroupVersionResource, all []policy) (out []finding.Finding) {
	ready := 0
	for _, p := range all {
		if f := judgePolicy(of, p); f.Status != finding.Fine {
			out = append(out, f)
		} else {
			ready++
		}
	}
	if len(out) > mostPolicies {
		out = append(out[:mostPolicies], finding.Failed(of.Resource, "kubectl get "+of.Resource+" -o wide", "%d more are not ready", len(out)-mostPolicies))
	}
	switch {
	case len(all) == 0:
		out = append(out, finding.OK(of.Resource, "there are none"))
	case ready > 0:
		out = append(out, finding.OK(of.Resource, "%d of %d are in force as they are written", ready, len(all)))
	}
	return out
}

// judgePolicy says whether an object is in force as it is written.
func judgePolicy(of schema.GroupVersionResource, p policy) finding.Finding {
	const leader = "see what the check of the leader says: it writes the status"
	describe := fmt.Sprintf("kubectl describe %s %s", of.Resource, p.Name)
	if p.Namespace != "" {
		describe += " -n " + p.Namespace
	}
	ready := conditionOf(p.Status.Conditions, status.Ready)
	switch {
	case ready == nil:
		return finding.Failed(p.String(), leader, "got no condition %s: nobody has looked at it", status.Ready)
	case ready.Status != metav1.ConditionTrue:
		return finding.Failed(p.String(), describe+"; change it, or what it refers to", "%s: %s", ready.Reason, ready.Message)
	case p.Status.ObservedGeneration != p.Generation:
		return finding.Failed(p.String(), leader, "the version that is in force is %d, and it was written %d times", p.Status.ObservedGeneration, p.Generation)
	case ready.Message != "":
		return finding.Warned(p.String(), describe+"; put back what it refers to", "%s: %s", ready.Reason, ready.Message)
	}
	return finding.OK(p.String(), "in force")
}

func conditionOf(all []metav1.Condition, kind string) *metav1.Condition {
	for _, c := range all {
		if c.Type == kind {
			return &c
		}
	}
	return nil
}
