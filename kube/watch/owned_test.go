package watch

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/rego/cip"
)

func ownedObject(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	return object(t, fmt.Sprintf("apiVersion: policy.assay.dev/v1alpha1\nkind: ImagePolicy\n"+
		"metadata: {name: %s, namespace: %s, uid: u, generation: 1, resourceVersion: \"1\"}\nspec: %s", name, namespace, spec))
}

const keyed = "{images: [{glob: a.b/c}], authorities: [{key: {secretRef: {name: key}}}]}"

// TestPoliciesOfOneNameInTwoNamespaces are two, and neither is the cluster's.
func TestPoliciesOfOneNameInTwoNamespaces(t *testing.T) {
	t.Parallel()
	w := New(&kube.Client{Namespace: "security"}, slog.New(slog.DiscardHandler))
	if err := fill(t, w).Replace(nil, "1"); err != nil {
		t.Fatal(err)
	}
	list := []any{ownedObject(t, "team-a", "own", keyed), ownedObject(t, "team-b", "own", keyed), ownedObject(t, "team-b", "bad", "{images: [{glob: x.y/z}]}")}
	if err := w.held.owned.Replace(list, "1"); err != nil {
		t.Fatal(err)
	}
	if !w.publish() {
		t.Fatal("got nothing, want all that there is")
	}
	var got []string
	for _, p := range w.Objects().Policies {
		got = append(got, fmt.Sprintf("%s in %q, %d gaps", p, p.Namespace, len(p.Gaps)))
	}
	want := []string{
		`ClusterImagePolicy release in "", 0 gaps`, `ImagePolicy team-a/own in "team-a", 0 gaps`,
		`ImagePolicy team-b/bad in "team-b", 1 gaps`, `ImagePolicy team-b/own in "team-b", 0 gaps`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	refused := w.Objects().Refused
	if len(refused) != 1 || !strings.HasPrefix(refused[0].String(), "ImagePolicy team-b/bad: ") {
		t.Errorf("got refused %v, want team-b/bad", refused)
	}
	if err := w.held.owned.Delete(ownedObject(t, "team-b", "own", keyed)); err != nil {
		t.Fatal(err)
	}
	if w.publish(); len(w.Objects().Policies) != 3 {
		t.Errorf("got %d policies once one is deleted, want 3", len(w.Objects().Policies))
	}
}

// TestNobodyWaitsForANamespace: a reference that cannot be followed, whatever the cause, is
// the failure of who wrote it.
func TestNobodyWaitsForANamespace(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"forbidden":          apierrors.NewForbidden(kube.Secrets().GroupResource(), "key", errors.New("no right")),
		"a name that is odd": errors.New(`invalid name "a/b"`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := New(&kube.Client{Namespace: "security"}, slog.New(slog.DiscardHandler))
			if err := fill(t, w).Replace(nil, "1"); err != nil {
				t.Fatal(err)
			}
			if err := w.held.owned.Replace([]any{ownedObject(t, "team-a", "own", keyed)}, "1"); err != nil {
				t.Fatal(err)
			}
			reference := Reference{Kind: "Secret", Namespace: "team-a", Name: "key"}
			w.held.secrets[reference] = keep(w, readSecret("team-a"), dependency[cip.Secret].same)
			if w.publish() {
				t.Fatal("got objects, want them once the Secret was asked for")
			}
			w.health.note(source{what: w.nameOf(reference), minor: true}, "get", cause)
			if !w.publish() {
				t.Fatal("got nothing, want all that there is but the Secret")
			}
			if got := w.Objects().Refused; len(got) != 1 || got[0].Name != "team-a/key" || !strings.Contains(got[0].Cause, cause.Error()) {
				t.Errorf("got refused %v, want the Secret with the cause", got)
			}
			if got := w.Problems(); len(got) > 0 {
				t.Errorf("got problems of the installation %v, want none", got)
			}
		})
	}
}

// TestReferencesOfNamespacesAreBoundedApart: no namespace takes anything from another, nor
// from the policies of the cluster.
func TestReferencesOfNamespacesAreBoundedApart(t *testing.T) {
	t.Parallel()
	of := func(namespace string, count int) (out []Reference) {
		for i := range count {
			out = append(out, Reference{Kind: "Secret", Namespace: namespace, Name: fmt.Sprintf("k%04d", i)})
		}
		return out
	}
	var wanted []Reference
	for i := range 30 {
		wanted = append(wanted, of(fmt.Sprintf("team-%02d", i), 30)...)
	}
	kept, beyond := bounded(append(wanted, of("", mostReferences)...), nil)
	byNamespace := map[string]int{}
	for _, r := range kept {
		byNamespace[r.Namespace]++
	}
	if byNamespace[""] != mostReferences || len(kept) != 2*mostReferences {
		t.Errorf("got %v, want all of the cluster", byNamespace)
	}
	for i := range 30 { // 16 or 17 of 500
		if got := byNamespace[fmt.Sprintf("team-%02d", i)]; got < mostReferences/30 || got > mostOfOne {
			t.Errorf("team-%02d: got %d, want a fair share", i, got)
		}
	}
	again, _ := bounded(wanted, nil)
	if diff := cmp.Diff(kept[mostReferences:], again); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	if got, want := len(beyond), len(wanted)-mostReferences; got != want {
		t.Errorf("got %d beyond, want %d", got, want)
	}
	if beyond[0].Cause != tooManyOfOne || beyond[0].Name != "team-00/k0020" {
		t.Errorf("got %v, want the first beyond the bound of its namespace", beyond[0])
	}
}

// TestMoreThanANamespaceMayHave are denied there, and no other is.
func TestMoreThanANamespaceMayHave(t *testing.T) {
	t.Parallel()
	w := New(&kube.Client{Namespace: "security"}, slog.New(slog.DiscardHandler))
	if err := fill(t, w).Replace(nil, "1"); err != nil {
		t.Fatal(err)
	}
	list := []any{ownedObject(t, "team-b", "own", "{mode: warn, images: [{glob: a.b/c}], authorities: [{static: {action: pass}}]}")}
	for i := range mostOwned + 1 {
		list = append(list, ownedObject(t, "team-a", fmt.Sprintf("p%03d", i), "{mode: warn, images: [{glob: a.b/c}], authorities: [{static: {action: pass}}]}"))
	}
	large := ownedObject(t, "team-c", "large", "{images: [{glob: a.b/c}], authorities: [{static: {action: fail, message: "+strings.Repeat("m", cip.MostOwned)+"}}]}")
	if err := w.held.owned.Replace(append(list, large), "1"); err != nil {
		t.Fatal(err)
	}
	w.publish()
	refused := map[string]string{}
	for _, p := range w.Objects().Policies {
		if cause := p.Gaps["spec.authorities[0]"]; cause != "" {
			refused[p.Name] = cause
			if p.Spec.Mode != cip.ModeEnforce || len(p.Spec.Authorities) != 1 || p.Spec.Authorities[0].Static != nil || p.Spec.Images[0].Glob != "a.b/c" {
				t.Errorf("%s: got %+v, want what its globs match denied", p.Name, p.Spec)
			}
		}
	}
	want := map[string]string{
		fmt.Sprintf("team-a/p%03d", mostOwned): "the policy is not asked: the namespace has more than 50 ImagePolicies",
		"team-c/large":                         "",
	}
	if len(refused) != 2 || refused["team-a/p050"] != want["team-a/p050"] || !strings.Contains(refused["team-c/large"], "want an ImagePolicy of at most 65536") {
		t.Errorf("got %q, want %q", refused, want)
	}
}
