package status

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
)

const (
	// mostNote is how long the API server lets a note be.
	mostNote = 1024
	// mostName is how long the name of an object may be.
	mostName = 253
	// controller is who reports.
	controller = "assay.dev/assay"
)

// Reference is what an Event is about.
type Reference struct{ APIVersion, Kind, Namespace, Name, UID string }

// plausible says that it may name something. Whoever creates an object writes its owners,
// and the API server bounds none of the texts; owners are remembered.
func (r Reference) plausible() bool {
	return r.Kind != "" && r.Name != "" && max(len(r.APIVersion), len(r.Kind), len(r.Name), len(r.UID)) <= mostName
}

// event is one of events.k8s.io/v1.
type event struct {
	regarding                  Reference
	kind, reason, action, note string
}

// object is the event as it is written. One about what is in no namespace is in default.
func (e event) object(reporter string, now time.Time) *unstructured.Unstructured {
	namespace := e.regarding.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	regarding := map[string]any{}
	for field, value := range map[string]string{
		"apiVersion": e.regarding.APIVersion, "kind": e.regarding.Kind, "namespace": e.regarding.Namespace,
		"name": e.regarding.Name, "uid": e.regarding.UID,
	} {
		if value != "" {
			regarding[field] = value
		}
	}
	out := &unstructured.Unstructured{Object: map[string]any{
		"eventTime": now.UTC().Format(metav1.RFC3339Micro), "reportingController": controller, "reportingInstance": cut(reporter, 128),
		"type": e.kind, "reason": e.reason, "action": e.action, "note": cut(e.note, mostNote), "regarding": regarding,
	}}
	out.SetGroupVersionKind(kube.Events().GroupVersion().WithKind("Event"))
	out.SetNamespace(namespace)
	out.SetGenerateName("assay-")
	return out
}

func create(ctx context.Context, client *kube.Client, object *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	_, err := client.Resource(kube.Events()).Namespace(object.GetNamespace()).Create(ctx, object, metav1.CreateOptions{})
	return err
}

// turned is the event of an object that became ready, or ceased to be; or, where it is
// ready all the time, of what it refers to. That a new one is ready is no event.
func turned(seen watch.Seen, status map[string]any) (event, bool) {
	before, _ := seen.Status["conditions"].([]any)
	after, _ := status["conditions"].([]any)
	for _, kind := range []string{Ready, KeysResolved} {
		was, is := text(find(before, kind), "status"), find(after, kind)
		now := text(is, "status")
		if now == was || now == "True" && was == "" {
			continue
		}
		group := kube.ClusterImagePolicies()
		if slices.Contains([]string{cip.ImagePolicyKind, resource.RegoPolicyKind, resource.WorkloadPathsKind}, seen.Kind) {
			group = kube.RegoPolicies()
		}
		namespace, name := seen.Object()
		e := event{
			regarding: Reference{
				APIVersion: group.GroupVersion().String(), Kind: seen.Kind, Namespace: namespace, Name: name, UID: seen.UID,
			},
			kind: "Warning", reason: text(is, "reason"), action: "Load", note: text(is, "message"),
		}
		if now == "True" && text(find(after, KeysResolved), "status") == "True" {
			e.kind, e.note = "Normal", "in force as it is written"
		}
		return e, true
	}
	return event{}, false
}

// Denial is a review that was denied.
type Denial struct {
	// Namespace, Kind and Name are those of the review. A Pod may have no name yet.
	Namespace, Kind, Name string
	// Object is the object of the review. Nothing in it is changed.
	Object  []byte
	Reasons []string
	// DryRun is that of the review: nothing was to happen, and no event is made.
	DryRun bool
}

// regarding is who has to do something about it: the controller that owns the object, for
// the object will not exist, or the namespace.
func (d Denial) regarding() Reference {
	var object struct {
		Metadata struct {
			OwnerReferences []struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Name       string `json:"name"`
				UID        string `json:"uid"`
				Controller bool   `json:"controller"`
			} `json:"ownerReferences"`
		} `json:"metadata"`
	}
	if json.Unmarshal(d.Object, &object) == nil {
		for _, owner := range object.Metadata.OwnerReferences {
			r := Reference{APIVersion: owner.APIVersion, Kind: owner.Kind, Namespace: d.Namespace, Name: owner.Name, UID: owner.UID}
			if owner.Controller && r.plausible() {
				return r
			}
		}
	}
	if d.Namespace == "" {
		return Reference{Kind: cut(d.Kind, mostName), Name: cut(d.Name, mostName)}
	}
	return Reference{APIVersion: "v1", Kind: "Namespace", Namespace: d.Namespace, Name: d.Namespace}
}

func (d Denial) event() event {
	what := strings.TrimSpace(d.Kind + " " + d.Name)
	return event{
		regarding: d.regarding(), kind: "Warning", reason: "ImageDenied", action: "Admit",
		note: fmt.Sprintf("%s: %s", what, strings.Join(d.Reasons, "\n")),
	}
}
