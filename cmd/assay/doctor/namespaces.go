package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
)

// judgeSelectors compares the selectors of the webhooks that are asked about workloads with
// each other: a tag that one of them sees and the other does not is judged once, and names
// whatever it likes later.
func judgeSelectors(hooks []hook) (out []finding.Finding) {
	var first *hook
	for _, h := range hooks {
		switch {
		case !h.workloads():
		case first == nil:
			first = &h
		case selected(first.NamespaceSelector) != selected(h.NamespaceSelector):
			out = append(out, finding.Failed(h.String(), "give both the same namespaceSelector",
				"namespaceSelector: got %s, and %s has %s", selected(h.NamespaceSelector), first, selected(first.NamespaceSelector)))
		}
	}
	return out
}

func selected(s *metav1.LabelSelector) string {
	if text := metav1.FormatLabelSelector(s); text != "<none>" {
		return text
	}
	return "every namespace"
}

// place is a namespace, with what is known of it.
type place struct {
	name    string
	labels  labels.Set
	covered bool
	busy    bool  // Pods run there
	unread  error // whether they do
}

// namespaces finds out where nothing is judged.
func (d *doctor) namespaces(ctx context.Context) []finding.Finding {
	judge := d.judge()
	if judge == nil {
		return []finding.Finding{finding.NotChecked("namespaces", errUnread)}
	}
	covers, err := metav1.LabelSelectorAsSelector(judge.NamespaceSelector)
	if err != nil {
		return []finding.Finding{finding.Failed(judge.String(), restore, "namespaceSelector: %v", err)}
	}
	all, err := cluster.List[shape.Namespace](ctx, d.api, kube.Namespaces(), "", metav1.ListOptions{})
	if err != nil {
		return []finding.Finding{finding.NotChecked("namespaces", err)}
	}
	var places []place
	var forbidden error // for one of them is for all, mostly
	for _, of := range all {
		p := place{name: of.Name, labels: of.Labels, unread: forbidden}
		if p.covered = judge.NamespaceSelector == nil || covers.Matches(p.labels); !p.covered && forbidden == nil {
			if p.busy, p.unread = d.busy(ctx, of.Name); apierrors.IsForbidden(p.unread) {
				forbidden = p.unread
			}
		}
		places = append(places, p)
	}
	return judgePlaces(places, *judge, d.api.Client.Namespace)
}

// judge is the webhook that denies workloads, nil if none was found.
func (d *doctor) judge() *hook {
	for _, h := range d.hooks {
		if h.kind == validating && h.path() == "/validate" {
			return &h
		}
	}
	return nil
}

// busy says whether Pods run in a namespace, or are about to.
func (d *doctor) busy(ctx context.Context, namespace string) (bool, error) {
	pods, err := d.api.Page(ctx, kube.Pods(), namespace, metav1.ListOptions{
		Limit: 1, FieldSelector: "status.phase!=Succeeded,status.phase!=Failed",
	})
	return err == nil && len(pods.Items) > 0, err
}

// mostPlaces bounds the namespaces that have a line of their own.
const mostPlaces = 50

// judgePlaces says which namespaces are left out, and which of those run Pods.
func judgePlaces(places []place, by hook, system string) (out []finding.Finding) {
	var covered, idle, never, dark []string
	var unread error
	for _, p := range places {
		switch {
		case p.covered && (p.name == system || p.name == metav1.NamespaceSystem):
			out = append(out, finding.Failed("namespace "+p.name, fmt.Sprintf("exclude it in namespaceSelector: {key: %s, operator: NotIn, values: [%s, %s]}", excluded, system, metav1.NamespaceSystem),
				"it is covered: when no replica answers, nothing that a replica needs can start there"))
		case p.covered:
			covered = append(covered, p.name)
		case always(by.NamespaceSelector, p.name):
			never = append(never, p.name)
		case p.unread != nil:
			dark, unread = append(dark, p.name), p.unread
		case p.busy:
			out = append(out, finding.Warned("namespace "+p.name, inviteOf(by.NamespaceSelector, p), "it is left out, and runs Pods that nobody judged"))
		default:
			idle = append(idle, p.name)
		}
	}
	if len(out) > mostPlaces {
		out = append(out[:mostPlaces], finding.Warned("namespaces", "kubectl get namespaces --show-labels", "%d more are left out, and run Pods", len(out)-mostPlaces))
	}
	if len(covered) == 0 {
		out = append(out, finding.Warned("namespaces", "kubectl label namespace NAME "+included+"=true", "got none that is covered (%s): nothing is judged", selected(by.NamespaceSelector)))
	} else {
		out = append(out, finding.OK("namespaces", "covered (%d): %s", len(covered), some(covered)))
	}
	if len(dark) > 0 {
		out = append(out, finding.NotChecked("namespaces", fmt.Errorf("left out, and whether they run Pods is not known (%d): %s: %w", len(dark), some(dark), unread)))
	}
	if len(never) > 0 {
		out = append(out, finding.OK("namespaces", "never covered (%d): %s", len(never), some(never)))
	}
	if len(idle) > 0 {
		out = append(out, finding.OK("namespaces", "left out, and without Pods (%d): %s", len(idle), some(idle)))
	}
	return out
}

// some are the first of names.
func some(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// always says whether a selector leaves out a namespace by its name, which nobody can change.
func always(s *metav1.LabelSelector, name string) bool {
	return s != nil && slices.ContainsFunc(s.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
		return r.Key == excluded && r.Operator == metav1.LabelSelectorOpNotIn && slices.Contains(r.Values, name)
	})
}

// inviteOf is how to have a namespace covered: the labels that a selector wants of it and it
// does not have.
func inviteOf(s *metav1.LabelSelector, p place) string {
	var changes []string
	for key, value := range s.MatchLabels {
		if p.labels[key] != value {
			changes = append(changes, key+"="+value)
		}
	}
	for _, r := range s.MatchExpressions {
		one, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{r}})
		switch {
		case err != nil || one.Matches(p.labels):
		case r.Operator == metav1.LabelSelectorOpIn:
			changes = append(changes, r.Key+"="+r.Values[0])
		case r.Operator == metav1.LabelSelectorOpExists:
			changes = append(changes, r.Key+"=true")
		default:
			changes = append(changes, r.Key+"-")
		}
	}
	slices.Sort(changes)
	return fmt.Sprintf("kubectl label --overwrite namespace %s %s, unless it is to be left out", p.name, strings.Join(changes, " "))
}
