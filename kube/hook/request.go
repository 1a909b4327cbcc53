package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/rego/cip"
)

// Request is what matters of an AdmissionReview about one of our resources.
type Request struct {
	// Kind is ClusterImagePolicy, ImagePolicy, TrustRoot, RegoPolicy or WorkloadPaths.
	Kind string
	// Operation is CREATE, UPDATE, DELETE or CONNECT.
	Operation string
	// Namespace is that of the object, empty for one without.
	Namespace string
	// SubResource is "status" or nothing.
	SubResource string
	// Object is what is to be stored, OldObject what is stored. Either may be empty.
	Object, OldObject []byte
}

// mostReview is twice what the API server takes for one object, and room for the rest.
const mostReview = 8 << 20

// Read requires the bytes of an AdmissionReview whose envelope was looked at: where a
// member stands twice the last one counts. It refuses other kinds than ours.
func Read(review []byte) (Request, error) {
	if len(review) > mostReview {
		return Request{}, fmt.Errorf("review: got %d bytes, want at most %d", len(review), mostReview)
	}
	var envelope struct {
		Request *struct {
			Kind struct {
				Group string `json:"group"`
				Kind  string `json:"kind"`
			} `json:"kind"`
			Namespace   string          `json:"namespace"`
			Operation   string          `json:"operation"`
			SubResource string          `json:"subResource"`
			Object      json.RawMessage `json:"object"`
			OldObject   json.RawMessage `json:"oldObject"`
		} `json:"request"`
	}
	// Names are compared exactly: "OBJECT" is not the object.
	if err := utiljson.Unmarshal(review, &envelope); err != nil {
		return Request{}, fmt.Errorf("review: %w", err)
	}
	r := envelope.Request
	if r == nil {
		return Request{}, errors.New("request: got none, want one")
	}
	if !known(r.Kind.Group, r.Kind.Kind) {
		return Request{}, fmt.Errorf("kind: got %.64q of group %.64q, want ClusterImagePolicy or TrustRoot of %s, or ImagePolicy, RegoPolicy or WorkloadPaths of %s",
			r.Kind.Kind, r.Kind.Group, kube.SigstoreGroup, kube.Group)
	}
	return Request{
		Kind: r.Kind.Kind, Namespace: r.Namespace, Operation: r.Operation, SubResource: r.SubResource, Object: given(r.Object), OldObject: given(r.OldObject),
	}, nil
}

// known says whether the kind is judged here.
func known(group, kind string) bool {
	switch group {
	case kube.SigstoreGroup:
		return kind == cip.ClusterImagePolicyKind || kind == "TrustRoot"
	case kube.Group:
		return isOwn(kind) || kind == cip.ImagePolicyKind
	}
	return false
}

// given is nothing for null.
func given(object []byte) []byte {
	if bytes.Equal(object, []byte("null")) {
		return nil
	}
	return object
}

// object is as much of an object as is looked at here; rego/cip reads all of it.
type object struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       any            `json:"spec"`
}

// unchanged says whether the request leaves the spec as it is stored. What cannot be
// told is a change.
func (r Request) unchanged() bool {
	var before, after object
	if r.Operation != "UPDATE" || utiljson.Unmarshal(r.Object, &after) != nil || utiljson.Unmarshal(r.OldObject, &before) != nil {
		return false
	}
	return before.Kind == r.Kind && after.Kind == r.Kind && reflect.DeepEqual(before.Spec, after.Spec)
}

// size is that of the object without its status and managed fields, that of all of it where
// they cannot be told apart.
func (r Request) size() int {
	var all struct {
		Metadata map[string]json.RawMessage `json:"metadata"`
		Status   json.RawMessage            `json:"status"`
	}
	if json.Unmarshal(r.Object, &all) != nil {
		return len(r.Object)
	}
	return len(r.Object) - len(all.Status) - len(all.Metadata["managedFields"])
}

// deleted says whether the object waits for its finalizers.
func (r Request) deleted() bool {
	var after object
	return utiljson.Unmarshal(r.Object, &after) == nil && after.Metadata["deletionTimestamp"] != nil
}

// named is the object with a name, which one that is to be given its name has not yet. It
// refuses an object of another kind than the request's.
func (r Request) named() ([]byte, error) {
	if len(r.Object) == 0 {
		return nil, errors.New("object: got none, want one")
	}
	var o object
	if err := utiljson.Unmarshal(r.Object, &o); err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	if o.Kind != r.Kind {
		return nil, fmt.Errorf("kind: got %.64q, want %s", o.Kind, r.Kind)
	}
	if name, prefix := o.Metadata["name"], o.Metadata["generateName"]; name != nil && name != "" || prefix == nil || prefix == "" {
		return r.Object, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(r.Object, &members); err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	o.Metadata["name"] = "generated"
	metadata, err := json.Marshal(o.Metadata)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	members["metadata"] = metadata
	return json.Marshal(members)
}
