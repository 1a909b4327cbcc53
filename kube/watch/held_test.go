package watch

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
)

func secretObject(t *testing.T, data string) *unstructured.Unstructured {
	t.Helper()
	return object(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: security, resourceVersion: \"1\"}\ntype: Opaque\ndata: "+data)
}

// fill lists one policy that refers to a Secret, and nothing else.
func fill(t *testing.T, w *Watcher) *kept[dependency[cip.Secret]] {
	t.Helper()
	policy := policyObject(t, "  images: [{glob: a.b/c}]\n  authorities: [{key: {secretRef: {name: key}}}]")
	key := keep(w, readSecret(""), dependency[cip.Secret].same)
	key.lost = dependency[cip.Secret].lost
	w.held.secrets[Reference{Kind: "Secret", Name: "key"}] = key
	for _, err := range []error{
		w.held.policies.Replace([]any{policy}, "1"), w.held.roots.Replace(nil, "1"), w.held.rego.Replace(nil, "1"), w.held.owned.Replace(nil, "1"), w.held.paths.Replace(nil, "1"),
		w.places.kept.Replace([]any{object(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {tier: web}}")}, "1"),
		w.held.settings.Replace(nil, "1"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return key
}

func TestNothingIsThereBeforeAllIs(t *testing.T) {
	t.Parallel()
	w := New(&kube.Client{Namespace: "security"}, slog.New(slog.DiscardHandler))
	key := fill(t, w)
	if w.publish() || w.Synced() || len(w.Objects().Policies) > 0 {
		t.Error("got objects while a Secret was not read, want none")
	}
	if err := key.Replace(nil, "1"); err != nil { // there is none, and that is an answer
		t.Fatal(err)
	}
	if !w.publish() || !w.Synced() {
		t.Error("got nothing, want all that there is")
	}
	if w.publish() {
		t.Error("got a change, want none: nothing came")
	}
}

// TestForbiddenReferences: a policy that names a Secret which we may not read is denied after a
// restart, as it was before, and nothing else is. Another failure says nothing of the Secret.
func TestForbiddenReferences(t *testing.T) {
	t.Parallel()
	w := New(&kube.Client{Namespace: "security"}, slog.New(slog.DiscardHandler))
	key := fill(t, w)
	<-w.poked
	s := source{what: "Secret security/key", health: w.health}
	w.health.note(s, "list", errors.New("connection refused"))
	<-w.poked
	if w.publish() || w.Synced() {
		t.Error("got objects while the API server could not be reached, want none")
	}
	w.health.note(s, "list", apierrors.NewForbidden(kube.Secrets().GroupResource(), "", errors.New("no right")))
	<-w.poked
	if !w.publish() || !w.Synced() {
		t.Fatal("got nothing, want all that may be read")
	}
	want := []Refused{{Kind: "Secret", Name: "key", Cause: "list is forbidden: secrets is forbidden: no right"}}
	if diff := cmp.Diff(want, w.Objects().Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	w.health.note(s, "list", nil)
	if err := key.Replace([]any{secretObject(t, "{cosign.pub: b25l}")}, "1"); err != nil {
		t.Fatal(err)
	}
	if !w.publish() || len(w.Objects().Refused) > 0 || len(w.Objects().Secrets) != 1 {
		t.Errorf("got %+v, want the Secret once it may be read", w.Objects())
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	w := New(&kube.Client{Namespace: "security"}, slog.New(slog.DiscardHandler))
	key := fill(t, w)
	step := func(name string, changed bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := w.publish(); got != changed {
			t.Errorf("%s: got a change %v, want %v", name, got, changed)
		}
	}
	step("the first", true, key.Replace([]any{secretObject(t, "{cosign.pub: b25l}")}, "1"))
	want := []cip.Secret{{Name: "key", Type: "Opaque", Data: map[string][]byte{"cosign.pub": []byte("one")}}}
	if diff := cmp.Diff(want, w.Objects().Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}

	status := policyObject(t, "  images: [{glob: a.b/c}]\n  authorities: [{key: {secretRef: {name: key}}}]")
	status.SetResourceVersion("1025")
	step("a status", false, w.held.policies.Update(status))
	if got := w.Objects().Seen[0].ResourceVersion; got != "1025" {
		t.Errorf("seen: got version %s, want 1025", got)
	}
	before := w.Objects()
	step("the labels of a namespace", false, w.places.kept.Update(object(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {tier: db}}")))
	if got := w.Objects(); got.Revision != before.Revision {
		t.Errorf("got revision %d after %d, want them the same", got.Revision, before.Revision)
	}
	step("the same again", false, key.Replace([]any{secretObject(t, "{cosign.pub: b25l}")}, "2"))

	step("a Secret that is deleted", true, key.Delete(secretObject(t, "{}")))
	got := w.Objects()
	refused := []Refused{{Kind: "Secret", Name: "key", Cause: "was deleted", Serving: true}}
	if diff := cmp.Diff(refused, got.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, got.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	step("and comes again", true, key.Add(secretObject(t, "{cosign.pub: dHdv}")))
	if got := w.Objects(); len(got.Refused) > 0 || string(got.Secrets[0].Data["cosign.pub"]) != "two" {
		t.Errorf("got %v, %v", got.Refused, got.Secrets)
	}
	step("a policy that is deleted", true, w.held.policies.Replace(nil, "3"))
	if got := w.Objects(); len(got.Policies) > 0 || len(got.Seen) > 0 {
		t.Errorf("got %v, %v, want none", got.Policies, got.Seen)
	}
	// Its next namesake is another policy: what the old one matched is forgotten.
	step("a policy that cannot be read", true, w.held.policies.Add(policyObject(t, "  images: [{glob: d.e/f}]")))
	if diff := cmp.Diff([]cip.ImagePattern{{Glob: "d.e/f"}}, w.Objects().Policies[0].Spec.Images); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}

// What a Secret holds stands in no cause.
func TestSecretsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{cosign.pub: "not base64 hunter2"}`, `"hunter2"`, `[hunter2]`, `{key: 2, hunter2 !: aHVudGVyMg==}`,
	} {
		item := readSecret("")(secretObject(t, data), dependency[cip.Secret]{})
		if item.cause == "" || item.value != nil {
			t.Errorf("%s: got it read, want a cause", data)
		}
		if strings.Contains(item.cause, "aHVu") || strings.Contains(item.cause, "base64 hunter2") {
			t.Errorf("%s: got %q, want nothing of the content", data, item.cause)
		}
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	item := readPolicy("cosign-system")(policyObject(t, `
  images: [{glob: a.b/c}]
  authorities:
  - key: {secretRef: {name: one}}
    attestations: [{name: a, predicateType: custom, policy: {type: cue, configMapRef: {name: inner, key: k}}}]
  - keyless: {identities: [{issuer: a, subject: b}], ca-cert: {secretRef: {name: two}}}
  - key: {secretRef: {name: one}}
  policy: {type: rego, configMapRef: {name: outer, key: k}}
`), policyItem{})
	want := []Reference{
		{Kind: "ConfigMap", Name: "inner"}, {Kind: "ConfigMap", Name: "outer"}, {Kind: "Secret", Name: "one"}, {Kind: "Secret", Name: "two"},
	}
	if diff := cmp.Diff(want, referencesOf([]cip.Policy{item.serves})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", item.cause, diff)
	}
}

func TestReferencesAreBounded(t *testing.T) {
	t.Parallel()
	var wanted []Reference
	watched := map[Reference]bool{}
	for i := range 6 {
		r := Reference{Kind: "Secret", Name: fmt.Sprint(i)}
		wanted = append(wanted, r)
		watched[r] = i >= 4
	}
	kept, beyond := within(wanted, watched, 3)
	names := func(refs []Reference) (out string) {
		for _, r := range refs {
			out += r.Name
		}
		return out
	}
	if names(kept) != "045" || names(beyond) != "123" {
		t.Errorf("got %s and %s beyond, want 045 and 123", names(kept), names(beyond))
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	var p pace
	if !p.idle() {
		t.Error("the zero value: got a burst, want none")
	}
	p.touch(start)
	if got := p.due(true).Sub(start); got != quiet {
		t.Errorf("one event: got %v, want %v", got, quiet)
	}
	if got := p.due(false).Sub(start); got != late {
		t.Errorf("while a Secret is on its way: got %v, want %v", got, late)
	}
	for at := start; at.Before(start.Add(5 * time.Second)); at = at.Add(50 * time.Millisecond) {
		p.touch(at)
	}
	if got := p.due(true).Sub(start); got != late {
		t.Errorf("events without end: got %v, want %v", got, late)
	}
	p.tell(start)
	p.touch(start.Add(50 * time.Millisecond))
	if got := p.due(true).Sub(start); got != apart {
		t.Errorf("one event soon after another: got %v, want %v", got, apart)
	}
	p.tell(start)
	p.touch(start.Add(time.Minute))
	if got := p.due(true).Sub(start); got != time.Minute+quiet {
		t.Errorf("one event long after another: got %v, want %v", got, time.Minute+quiet)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	h := &health{log: slog.New(slog.DiscardHandler), now: func() time.Time { return now }, poke: func() {}, failing: map[string]failure{}}
	s := source{what: "clusterimagepolicies.policy.sigstore.dev", done: make(chan struct{})}
	said := func(want ...string) {
		t.Helper()
		var got []string
		for _, problem := range h.problems() {
			got = append(got, problem.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}
	}
	resource := kube.ClusterImagePolicies().GroupResource()
	h.note(s, "list", apierrors.NewNotFound(resource, ""))
	said(`clusterimagepolicies.policy.sigstore.dev: stale since 2026-06-01T12:00:00Z: list: the resource is not installed: clusterimagepolicies.policy.sigstore.dev "" not found`)
	now = now.Add(time.Minute)
	forbidden := apierrors.NewForbidden(resource, "", errors.New("no right"))
	const want = `clusterimagepolicies.policy.sigstore.dev: stale since 2026-06-01T12:00:00Z: watch is forbidden: clusterimagepolicies.policy.sigstore.dev is forbidden: no right`
	h.note(s, "watch", forbidden)
	said(want)
	h.note(s, "list", nil) // nothing is watched yet
	said(want)
	h.note(s, "watch", nil)
	said()
	stopped := make(chan struct{})
	close(stopped)
	h.note(source{what: "Secret security/key", done: stopped}, "list", forbidden)
	said()
}

const regoPolicy = "apiVersion: policy.assay.dev/v1alpha1\nkind: RegoPolicy\nmetadata: {name: labels, resourceVersion: \"1\"}\nspec: "

// TestRegoPoliciesAreNotDropped: one that cannot be read fails, also where an earlier
// version could be, and one that is deleted is gone.
func TestRegoPoliciesAreNotDropped(t *testing.T) {
	t.Parallel()
	w := New(&kube.Client{Namespace: "security"}, slog.New(slog.DiscardHandler))
	if err := fill(t, w).Replace(nil, "1"); err != nil {
		t.Fatal(err)
	}
	change := func(want string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if !w.publish() {
			t.Errorf("%s: got no change", want)
		}
		got := ""
		for _, p := range w.Objects().RegoPolicies {
			got += p.Name + " " + strings.Join(slices.Sorted(maps.Keys(p.Modules())), " ") + p.Refused
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	change("labels cluster/regopolicies/labels/a.rego", w.held.rego.Add(object(t, regoPolicy+"{modules: {a.rego: package policies.a}}")))
	change("labels the policy cannot be read: spec.modules: got none, want one policy in Rego", w.held.rego.Update(object(t, regoPolicy+"{}")))
	refused := Refused{Kind: "RegoPolicy", Name: "labels", Cause: "spec.modules: got none, want one policy in Rego"}
	if got := w.Objects().Refused; !slices.Contains(got, refused) {
		t.Errorf("got %v, want %v among them", got, refused)
	}
	seen := w.Objects().Seen
	if len(seen) != 2 || seen[1].Kind != "RegoPolicy" || seen[1].Name != "labels" {
		t.Errorf("got %v, want it seen: its status is written", seen)
	}
	change("", w.held.rego.Delete(object(t, regoPolicy+"{}")))
}

// TestWorkloadPathsThatCannotBeReadNameTheirKind, so that its objects are denied with the cause.
func TestWorkloadPathsThatCannotBeReadNameTheirKind(t *testing.T) {
	t.Parallel()
	w := New(&kube.Client{Namespace: "security"}, slog.New(slog.DiscardHandler))
	if err := fill(t, w).Replace(nil, "1"); err != nil {
		t.Fatal(err)
	}
	const head = "apiVersion: policy.assay.dev/v1alpha1\nkind: WorkloadPaths\nmetadata: {name: rollouts}\nspec: {group: argoproj.io, kind: Rollout"
	step := func(text string, want resource.WorkloadPaths) {
		t.Helper()
		if err := w.held.paths.Update(object(t, head+text)); err != nil {
			t.Fatal(err)
		}
		if !w.publish() {
			t.Error("got no change")
		}
		if diff := cmp.Diff([]resource.WorkloadPaths{want}, w.Objects().WorkloadPaths); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	spec := resource.WorkloadPathsSpec{Group: "argoproj.io", Kind: "Rollout", PodSpecs: []string{"spec"}}
	step(", podSpecs: [spec]}", resource.WorkloadPaths{Name: "rollouts", Spec: spec})
	spec.PodSpecs = nil
	step("}", resource.WorkloadPaths{Name: "rollouts", Spec: spec, Refused: "they cannot be read: spec.podSpecs, spec.images: got none, want at least one path"})
}

// TestOwnObjectThatPanics is refused, and stands for what denies.
func TestOwnObjectThatPanics(t *testing.T) {
	t.Parallel()
	read := readOwn(resource.RegoPolicyKind, func([]byte) (resource.RegoPolicy, error) { panic("over what it says") }, refusedRego)
	got := read(object(t, regoPolicy+"{}"), own[resource.RegoPolicy]{})
	if got.cause != "reading it panicked" || got.serves.Name != "labels" || got.serves.Refused == "" {
		t.Errorf("got %+v, want it refused", got)
	}
}
