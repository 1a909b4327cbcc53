package status

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego/cip"
)

// TestWhatIsSaidOfANamespace is about its own objects: Secrets of one name are several.
func TestWhatIsSaidOfANamespace(t *testing.T) {
	t.Parallel()
	keyed := func(namespace, name string) cip.Policy {
		spec := cip.Spec{Authorities: []cip.Authority{{Key: &cip.KeyRef{SecretRef: &cip.SecretRef{Name: "key"}}}}}
		return cip.Policy{Namespace: namespace, Name: name, Spec: spec}
	}
	objects := watch.Objects{
		Policies: []cip.Policy{keyed("", "own"), keyed("team-a", "team-a/own"), keyed("team-b", "team-b/own")},
		Refused:  []watch.Refused{{Kind: "Secret", Name: "team-a/key", Cause: "get is forbidden"}},
		Seen: []watch.Seen{
			{Kind: "ClusterImagePolicy", Name: "own"}, {Kind: "ImagePolicy", Name: "team-a/own"}, {Kind: "ImagePolicy", Name: "team-b/own"},
		},
	}
	loaded := map[string]Outcome{"ImagePolicy team-b/own": {MatchedImages: 2}}
	got := map[string]Outcome{}
	for _, judged := range Judge(objects, loaded) {
		got[judged.Kind+" "+judged.Name] = judged.Outcome
	}
	want := map[string]Outcome{
		"ClusterImagePolicy own": {},
		"ImagePolicy team-a/own": {Unresolved: map[string]string{"Secret team-a/key": "get is forbidden"}},
		"ImagePolicy team-b/own": {MatchedImages: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestEventsOfANamespaceAreInIt: who may read them there need read nothing else.
func TestEventsOfANamespaceAreInIt(t *testing.T) {
	t.Parallel()
	status := map[string]any{"conditions": []any{map[string]any{"type": Ready, "status": "False", "reason": "Invalid", "message": "no"}}}
	got, ok := turned(watch.Seen{Kind: "ImagePolicy", Name: "team-a/own", UID: "u"}, status)
	want := Reference{APIVersion: "policy.assay.dev/v1alpha1", Kind: "ImagePolicy", Namespace: "team-a", Name: "own", UID: "u"}
	if diff := cmp.Diff(want, got.regarding); !ok || diff != "" {
		t.Errorf("got an event: %t, -want +got:\n%s", ok, diff)
	}
}
