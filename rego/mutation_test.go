package rego_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/world"
)

// mutate is what the mutating webhook answers to a review.
func (r *rig) mutate(t testing.TB, request []byte) rego.Decision {
	t.Helper()
	decision, err := r.Mutate(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if !decision.Allowed {
		t.Errorf("got %s, want it allowed: mutating denies nothing", encode(t, decision))
	}
	return decision
}

// values are what the patch puts into the object.
func values(d rego.Decision) []string {
	var out []string
	for _, operation := range d.Patch {
		out = append(out, operation.Value)
	}
	return out
}

// manifests counts the manifests that were asked for.
func manifests(w *world.World) int {
	return strings.Count(strings.Join(w.Requests(), "\n"), "/manifests/")
}

// changed is the update of a Pod.
func changed(t testing.TB, old, object map[string]any) []byte {
	t.Helper()
	encoded, err := json.Marshal(map[string]any{"request": map[string]any{
		"uid": "1", "operation": "UPDATE", "object": object, "oldObject": old,
		"kind": map[string]any{"group": "", "version": "v1", "kind": "Pod"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// runs is a Pod of images.
func runs(images ...string) map[string]any {
	containers := make([]any, len(images))
	for i, image := range images {
		containers[i] = map[string]any{"name": "c", "image": image}
	}
	return map[string]any{"spec": map[string]any{"containers": containers}}
}

// pinning is what upstream does with tags.
func pinning() rego.Config { return rego.Config{Tags: "pin"} }

const passing = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: passing}\n" +
	"spec: {images: [{glob: \"**\"}], authorities: [{static: {action: pass}}]}\n"

// TestTagsOfEveryKindBecomeDigests of the same image.
func TestTagsOfEveryKindBecomeDigests(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	r := open(t, w, setup{config: pinning()})
	pinned := w.Expand("${app}@${digest:app}")
	template := map[string]any{"template": map[string]any{"spec": runs(byTag(t, w, "app"))["spec"]}}
	for _, tt := range []struct {
		name, group, kind string
		spec              any
		path              string
	}{
		{"MUT-1: a Pod", "", "Pod", template["template"].(map[string]any)["spec"], "/spec"},
		{"MUT-1: a ReplicationController", "", "ReplicationController", template, "/spec/template/spec"},
		{"MUT-1: a ReplicaSet", "apps", "ReplicaSet", template, "/spec/template/spec"},
		{"MUT-1: a Deployment", "apps", "Deployment", template, "/spec/template/spec"},
		{"MUT-1: a StatefulSet", "apps", "StatefulSet", template, "/spec/template/spec"},
		{"MUT-1: a DaemonSet", "apps", "DaemonSet", template, "/spec/template/spec"},
		{"MUT-1: a Job", "batch", "Job", template, "/spec/template/spec"},
		{"MUT-1: a CronJob", "batch", "CronJob", map[string]any{"jobTemplate": map[string]any{"spec": template}}, "/spec/jobTemplate/spec/template/spec"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := r.mutate(t, review(tt.group, tt.kind, map[string]any{"spec": tt.spec}))
			want := []rego.PatchOperation{{Op: "replace", Path: tt.path + "/containers/0/image", Value: pinned}}
			if diff := cmp.Diff(want, got.Patch); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
		})
	}
}

// MUT-4: unlike upstream, the warning says why a tag stays.
func TestTagThatIsNotThereStays(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	gone := w.Expand("${registry}/acme/gone:v1")
	got := open(t, w, setup{config: pinning()}).mutate(t, pod(gone, "in@valid"))
	want := "spec.containers[0].image: " + gone + " stays a tag: not_found: "
	if len(got.Patch) > 0 || len(got.Warnings) != 1 || !strings.HasPrefix(got.Warnings[0], want) {
		t.Errorf("got %s, want no patch and the warning %q", encode(t, got), want)
	}
}

// MUT-6: a digest is put in whatever the policies ask, and if none asks.
func TestTagsBecomeDigestsWhateverIsAsked(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	for name, policies := range map[string]string{
		"MUT-6: a policy that passes everything": passing,
		"MUT-6: a policy of other images":        strings.Replace(passing, "**", "example.com/**", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := open(t, w, setup{policies: policies, config: pinning()}).mutate(t, pod(byTag(t, w, "app")))
			if diff := cmp.Diff([]string{w.Expand("${app}@${digest:app}")}, values(got)); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
		})
	}
}

// MUT-7: of an update the new object alone is looked at. Unlike upstream, which
// resolves the tags of the old one too.
func TestTagsOfTheOldObjectAreNotResolved(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}, old: {}}")
	r := open(t, w, setup{config: pinning()})
	w.ResetRequests()
	got := r.mutate(t, changed(t, runs(byTag(t, w, "old")), runs(byTag(t, w, "app"), byTag(t, w, "app"))))
	if len(got.Patch) != 2 {
		t.Errorf("got %s, want both places of the new tag", encode(t, got))
	}
	if n := manifests(w); n != 1 {
		t.Errorf("got %d manifests asked for, want one\n%s", n, strings.Join(w.Requests(), "\n"))
	}
}

// MUT-8: the tag of an index becomes the digest of the index.
func TestTagOfAnIndexBecomesItsDigest(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {platforms: [linux/amd64, linux/arm64]}}")
	got := open(t, w, setup{config: pinning()}).mutate(t, pod(byTag(t, w, "app")))
	if diff := cmp.Diff([]string{w.Expand("${app}@${digest:app}")}, values(got)); diff != "" {
		t.Errorf("patch (-want +got):\n%s", diff)
	}
}

// RES-4: unlike upstream, whose rules leave them out, ephemeral containers get their
// digests too, from the requests of kubectl debug.
func TestTagsOfEphemeralContainersBecomeDigests(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}, debug: {}}")
	old, object := runs(byDigest(t, w, "app")), runs(byDigest(t, w, "app"))
	object["spec"].(map[string]any)["ephemeralContainers"] = []any{map[string]any{"name": "d", "image": byTag(t, w, "debug")}}
	var request map[string]map[string]any
	if err := json.Unmarshal(changed(t, old, object), &request); err != nil {
		t.Fatal(err)
	}
	request["request"]["subResource"] = "ephemeralcontainers"
	encoded, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	want := []rego.PatchOperation{{
		Op: "replace", Path: "/spec/ephemeralContainers/0/image", Value: w.Expand("${debug}@${digest:debug}"),
	}}
	got := open(t, w, setup{config: pinning()}).mutate(t, encoded)
	if diff := cmp.Diff(want, got.Patch); diff != "" {
		t.Errorf("patch (-want +got):\n%s", diff)
	}
}
