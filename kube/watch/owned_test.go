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
	if byNamespace[""] != mostReferences || byNamespace["team-00"] != mostOfOne || len(kept) != 2*mostReferences {
		t.Errorf("got %v, want all of the cluster and at most %d of each namespace", byNamespace, mostOfOne)
	}
	if got, want := len(beyond), len(wanted)-mostReferences; got != want {
		t.Errorf("got %d beyond, want %d", got, want)
	}
	if beyond[0].Cause != tooManyOfOne || beyond[0].Name != "team-00/k0020" {
		t.Errorf("got %v, want the first beyond the bound of its namespace", beyond[0])
	}
}
