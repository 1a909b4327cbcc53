package watch

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/compile"
)

func TestMain(m *testing.M) {
	builtins.Register()
	os.Exit(m.Run())
}

// object reads YAML as the API server would give it.
func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	data, err := yaml.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = yaml.YAMLToJSON(data); err != nil {
		t.Fatal(err)
	}
	out := &unstructured.Unstructured{}
	if err := out.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return out
}

// policyObject is a policy as it is stored, with these lines as its spec.
func policyObject(t testing.TB, spec string) *unstructured.Unstructured {
	t.Helper()
	return object(t, `
apiVersion: policy.sigstore.dev/v1alpha1
kind: ClusterImagePolicy
metadata:
  name: release
  uid: 0b5e7ec5-8b0e-4ef6-9d0c-64b8a7d3d2f1
  generation: 3
  resourceVersion: "1024"
  finalizers: [clusterimagepolicies.policy.sigstore.dev]
  managedFields: [{manager: kubectl, operation: Update, apiVersion: policy.sigstore.dev/v1alpha1}]
spec:
`+spec+`
status: {observedGeneration: 2, conditions: [{type: Ready, status: "True"}]}
`)
}

const passing = `
  images: [{glob: ghcr.io/old/**}]
  authorities: [{static: {action: pass}}]
`

func TestPolicies(t *testing.T) {
	t.Parallel()
	good := readPolicy("cosign-system")(policyObject(t, passing), policyItem{})
	if good.cause != "" {
		t.Fatalf("the policy to begin with: got %q", good.cause)
	}
	tests := []struct {
		name, spec string
		before     policyItem
		globs      []string
		cause      string
	}{
		{"one that can be read is itself", passing, policyItem{}, []string{"ghcr.io/old/**"}, ""},
		{
			"an unknown field denies what the globs match", passing + "  only: [pods]", policyItem{},
			[]string{"ghcr.io/old/**"}, `unknown field "only"`,
		},
		{
			"an edit that cannot be read denies what the old and the new globs match",
			"  images: [{glob: ghcr.io/new/**}]\n  authorities: []", good,
			[]string{"ghcr.io/new/**", "ghcr.io/old/**"}, "missing field(s): spec.authorities",
		},
		{
			"a mode that warns denies when nobody can say of what",
			"  mode: warn\n  images: [{glob: ghcr.io/new/**}]\n  authorities: []", policyItem{},
			[]string{"ghcr.io/new/**"}, "missing field(s): spec.authorities",
		},
		{"globs that cannot be read are every image", "  images: [{glob: 'ghcr.io/{a,b}'}]\n  authorities: [{static: {action: pass}}]", good, []string{"**"}, "glob is invalid"},
		{"no globs are every image", "  authorities: [{static: {action: pass}}]", policyItem{}, []string{"**"}, "missing field(s): spec.images"},
		{"globs of another type are every image", "  images: ghcr.io/**\n  authorities: []", policyItem{}, []string{"**"}, "got a string, want a list"},
		{"a spec of another type is every image", "  - images", good, []string{"**"}, "got a list, want an object"},
		{
			"a Secret of another namespace is refused",
			"  images: [{glob: a.b/c}]\n  authorities: [{key: {secretRef: {name: k, namespace: other}}}]", policyItem{},
			[]string{"a.b/c"}, "secretref.namespace is invalid",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			item := readPolicy("cosign-system")(policyObject(t, tt.spec), tt.before)
			var globs []string
			for _, image := range item.serves.Spec.Images {
				globs = append(globs, image.Glob)
			}
			if diff := cmp.Diff(tt.globs, globs); diff != "" {
				t.Errorf("globs (-want +got):\n%s", diff)
			}
			if !strings.Contains(item.cause, tt.cause) || (tt.cause == "") != (item.cause == "") {
				t.Errorf("cause: got %q, want one that says %q", item.cause, tt.cause)
			}
			if item.seen.Generation != 3 || item.seen.ResourceVersion != "1024" || item.seen.Status["observedGeneration"] != int64(2) {
				t.Errorf("seen: got %+v", item.seen)
			}
			allowed, reasons := decide(t, item.serves, "ghcr.io/old/app")
			if matches := globs[0] == "**" || len(globs) == 2 || globs[0] == "ghcr.io/old/**"; tt.cause != "" && matches && allowed {
				t.Error("got admitted, want denied")
			} else if matches && tt.cause != "" && !strings.Contains(reasons, "the policy cannot be read: ") {
				t.Errorf("got %q, want the cause", reasons)
			} else if tt.cause == "" && !allowed {
				t.Errorf("got denied, want admitted: %s", reasons)
			}
		})
	}
}

// decide asks a set of the one policy about an image; without a match it is admitted.
func decide(t *testing.T, p cip.Policy, image string) (allowed bool, reasons string) {
	t.Helper()
	registry, err := oci.New()
	if err != nil {
		t.Fatal(err)
	}
	facts, err := builtins.New(registry, func() trust.Roots { return trust.Roots{} }, builtins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set, err := rego.Compile(t.Context(), rego.Source{
		Policies: []cip.Policy{p}, Config: rego.Config{NoMatch: "allow"},
		Open: func(about rego.Workload) rego.Answers { return facts.Open(oci.Credentials{}, tenant.Workload(about)) },
	})
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	review := fmt.Sprintf(`{"request": {"operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": {"spec":
		{"containers": [{"image": "%s@sha256:%064d"}]}}}}`, image, 7)
	decision, err := rego.NewEngine(set, nil).Decide(context.Background(), []byte(review))
	if err != nil {
		t.Fatal(err)
	}
	return decision.Allowed, strings.Join(decision.Reasons, "\n")
}

func TestPolicyInAnotherNamespace(t *testing.T) {
	t.Parallel()
	const ref = "  images: [{glob: a.b/c}]\n  authorities: [{key: {secretRef: {name: k, namespace: %s}}}, {keyless: {identities: [{issuer: a, subject: b}], ca-cert: {secretRef: {name: c, namespace: %[1]s}}}}]"
	own := readPolicy("security")(policyObject(t, fmt.Sprintf(ref, "security")), policyItem{})
	if own.cause != "" {
		t.Errorf("a Secret of the namespace of the installation: got %q, want none", own.cause)
	}
	want := []Reference{{Kind: "Secret", Name: "c"}, {Kind: "Secret", Name: "k"}}
	if diff := cmp.Diff(want, referencesOf([]cip.Policy{own.serves})); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
	other := readPolicy("security")(policyObject(t, fmt.Sprintf(ref, "cosign-system")), policyItem{})
	if want := "secretref.namespace is invalid"; !strings.Contains(other.cause, want) {
		t.Errorf("a Secret of another namespace: got %q, want %q", other.cause, want)
	}
}

// CFG-2: A policy without authorities denies what it matches, whether or not the settings
// admit it; where they do, its mode and its match count.
func TestPoliciesWithoutAuthorities(t *testing.T) {
	t.Parallel()
	read := readPolicy("cosign-system")
	item := read(policyObject(t, "  images: [{glob: ghcr.io/old/**}]"), policyItem{})
	admitted := item.under(Settings{EmptyAuthorities: true})
	if item.cause == "" || admitted.cause != "" || len(admitted.serves.Gaps) > 0 {
		t.Errorf("got %q and %q, want it refused and admitted", item.cause, admitted.cause)
	}
	for _, p := range []cip.Policy{item.serves, admitted.serves} {
		if allowed, _ := decide(t, p, "ghcr.io/old/app"); allowed {
			t.Errorf("got an image admitted by %+v", p)
		}
	}
	edited := read(policyObject(t, "  images: [{glob: ghcr.io/new/**}]\n  mod: warn"), item)
	if want := []cip.ImagePattern{{Glob: "ghcr.io/new/**"}, {Glob: "ghcr.io/old/**"}}; !slices.Equal(want, edited.serves.Spec.Images) {
		t.Errorf("an edit of it that cannot be read: got %v, want %v", edited.serves.Spec.Images, want)
	}
	both := read(policyObject(t, "  images: [{glob: ghcr.io/old/**}]\n  mod: warn"), policyItem{})
	if got := both.under(Settings{EmptyAuthorities: true}); got.cause == "" {
		t.Error("something else is wrong: got it admitted")
	}
}

// A cause stands in each denial of the policy.
// TestPanicsAreRefusals: they would end the process, and again whenever it starts.
func TestPanicsAreRefusals(t *testing.T) {
	t.Parallel()
	odd := func() *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": "odd"}, "spec": struct{}{}, "data": struct{}{}, // which no JSON has
		}}
	}
	before := readPolicy("")(policyObject(t, "images: [{glob: \"a.io/**\"}]\nauthorities: [{static: {action: pass}}]"), policyItem{})
	if item := readPolicy("")(odd(), before); item.cause != "reading it panicked" || item.serves.Spec.Mode != cip.ModeEnforce || len(item.serves.Gaps) == 0 {
		t.Errorf("a policy: got %+v, want one that denies", item)
	}
	if item := readRoot(odd(), rootItem{serves: &cip.TrustRoot{Name: "odd"}}); item.cause != "reading it panicked" || item.serves == nil {
		t.Errorf("a TrustRoot: got %+v, want the last one", item)
	}
	if found := readSecret("")(odd(), dependency[cip.Secret]{value: &cip.Secret{Name: "odd"}}); found.cause != "reading it panicked" || found.value == nil {
		t.Errorf("a Secret: got %+v, want the last one", found)
	}
	if settings := readSettings(odd(), settingsItem{}); settings.serves.NoMatch != "deny" || settings.cause == "" {
		t.Errorf("settings: got %+v, want deny", settings)
	}
}

func TestCausesAreCut(t *testing.T) {
	t.Parallel()
	var fields strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&fields, "  field%d: true\n", i)
	}
	item := readPolicy("cosign-system")(policyObject(t, fields.String()), policyItem{})
	if got := len(item.cause); got == 0 || got > mostCause+len("…") {
		t.Errorf("got a cause of %d bytes, want at most %d", got, mostCause)
	}
}

func TestLargePolicies(t *testing.T) {
	t.Parallel()
	large := policyObject(t, passing)
	large.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 3<<20)})
	if item := readPolicy("cosign-system")(large, policyItem{}); item.cause != "" {
		t.Errorf("3 MiB: got %q, want it read", item.cause)
	}
	large.SetAnnotations(map[string]string{"a": strings.Repeat("x", 5<<20)})
	item := readPolicy("cosign-system")(large, policyItem{})
	if item.cause == "" || len(item.serves.Gaps) == 0 {
		t.Errorf("5 MiB: got %q, want it refused", item.cause)
	}
	var globs []any
	for i := range mostImages + 1 {
		globs = append(globs, map[string]any{"glob": fmt.Sprintf("a.b/c%d", i)})
	}
	many := policyObject(t, passing)
	if err := unstructured.SetNestedSlice(many.Object, globs, "spec", "images"); err != nil {
		t.Fatal(err)
	}
	item = readPolicy("cosign-system")(many, policyItem{})
	if diff := cmp.Diff([]cip.ImagePattern{{Glob: "**"}}, item.serves.Spec.Images); diff != "" {
		t.Errorf("more globs than a policy may have (-want +got):\n%s", diff)
	}
}

func TestTrustRoots(t *testing.T) {
	t.Parallel()
	root := func(spec string) *unstructured.Unstructured {
		return object(t, "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: own, generation: 1}\nspec: "+spec)
	}
	const good = `{remote: {mirror: https://tuf.example.com, root: eyJzaWduYXR1cmVzIjpbXX0=}}`
	first := readRoot(root(good), rootItem{})
	if first.cause != "" || first.serves == nil {
		t.Fatalf("got %+v", first)
	}
	edited := readRoot(root(`{remote: {mirror: https://tuf.example.com}}`), first)
	if edited.serves != first.serves || !strings.Contains(edited.cause, "missing field(s): spec.remote.root") {
		t.Errorf("an edit that cannot be read: got %+v, want the last good version and the cause", edited)
	}
	if never := readRoot(root("{}"), rootItem{}); never.serves != nil || never.cause == "" {
		t.Errorf("one that never could be read: got %+v, want none", never)
	}
}

// Whatever is stored under the name of a policy becomes a policy: it has globs, it compiles,
// and where it could not be read each of its authorities fails.
func FuzzPolicies(f *testing.F) {
	f.Add(`{"images": [{"glob": "a.b/**"}], "authorities": [{"static": {"action": "pass"}}]}`)
	f.Add(`{"images": [{"glob": "**", "x": 1}, {"glob": 3}], "mode": "warn"}`)
	f.Add(`{"images": [{"glob": "a"}], "authorities": [{"key": {"secretRef": {"name": "k", "namespace": {"a": 1}}}}, 7]}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, spec string) {
		object := &unstructured.Unstructured{}
		text := `{"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": ` + spec + `}`
		if object.UnmarshalJSON([]byte(text)) != nil || object.GetName() != "p" || object.GetKind() != "ClusterImagePolicy" {
			t.Skip("an API server stores JSON alone")
		}
		item := readPolicy("security")(object, policyItem{})
		if item.serves.Name != "p" || len(item.serves.Spec.Images) == 0 {
			t.Fatalf("got %+v, want a policy that matches something", item.serves)
		}
		if item.cause == "" {
			return
		}
		if len(item.serves.Gaps) != len(item.serves.Spec.Authorities) || item.serves.Spec.Mode != cip.ModeEnforce {
			t.Errorf("got %+v, want every authority to fail", item.serves)
		}
		if _, err := compile.Policy(item.serves); err != nil {
			t.Errorf("compile: %v", err)
		}
	})
}
