package wiring

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/rego/resource"
)

// broughtBy reads the resources of a bundle called main, by path.
func broughtBy(t *testing.T, resources map[string]string) *Documents {
	t.Helper()
	d, err := ReadDocuments(nil)
	if err != nil {
		t.Fatal(err)
	}
	bundled := Bundled{Resources: map[string][]byte{}}
	for path, text := range resources {
		bundled.Resources["bundle main: resources/"+path] = []byte(text)
	}
	if err := d.addBundled(t.Context(), bundled); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestClusterOutranksBundles: whoever writes bundles does not choose by what policies of the
// cluster verify. Such a bundle is refused, and one that is active already is not used.
func TestClusterOutranksBundles(t *testing.T) {
	t.Parallel()
	const (
		configMap = `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NAME"}, "data": {"a": "bundle"}}`
		paths     = `{"apiVersion": "policy.assay.dev/v1alpha1", "kind": "WorkloadPaths", "metadata": {"name": "NAME"}, "spec": {"group": "bundle.io", "kind": "KNAME", "images": ["spec.image"]}}`
	)
	named := func(text, name string) string { return strings.ReplaceAll(text, "NAME", name) }
	d := broughtBy(t, map[string]string{
		"ConfigMap/both": named(configMap, "both"), "ConfigMap/own": named(configMap, "own"),
		"WorkloadPaths/both": named(paths, "both"), "WorkloadPaths/own": named(paths, "own"), "WorkloadPaths/kind": named(paths, "kind"),
	})
	for _, name := range []string{"both", "own"} { // a text would need a root.json that is signed
		d.roots = append(d.roots, cip.TrustRoot{Name: name, Spec: cip.TrustRootSpec{Remote: &cip.Remote{Mirror: "https://bundle.io"}}})
		d.names["TrustRoot "+name], d.bundled["TrustRoot "+name] = "bundle main: resources/TrustRoot/"+name, true
	}
	of := func(name, group, kind string) resource.WorkloadPaths {
		return resource.WorkloadPaths{Name: name, Spec: resource.WorkloadPathsSpec{Group: group, Kind: kind, Images: []string{"cluster"}}}
	}
	d.join(watch.Objects{
		TrustRoots: []cip.TrustRoot{{Name: "both", Spec: cip.TrustRootSpec{Remote: &cip.Remote{Mirror: "https://cluster.io"}}}},
		ConfigMaps: []cip.ConfigMap{
			{Name: "both", Data: map[string]string{"a": "cluster"}}, {Name: "own", Namespace: "shop", Data: map[string]string{"a": "shop"}},
		},
		WorkloadPaths: []resource.WorkloadPaths{of("both", "cluster.io", "Both"), of("object", "bundle.io", "Kkind")},
	})
	got := map[string]string{}
	for _, root := range d.roots {
		got["TrustRoot "+root.Name] = string(root.Spec.Remote.Mirror)
	}
	for _, text := range d.sources.ConfigMaps {
		got["ConfigMap "+text.Name] = text.Data["a"]
	}
	for _, paths := range d.workloads {
		got[paths.String()] = paths.Spec.Images[0]
	}
	want := map[string]string{
		"TrustRoot both": "https://cluster.io", "TrustRoot own": "https://bundle.io",
		"ConfigMap both": "cluster", "ConfigMap own": "bundle",
		"WorkloadPaths both": "cluster", "WorkloadPaths own": "spec.image", "WorkloadPaths kind": "spec.image", "WorkloadPaths object": "cluster",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what serves (-want +got):\n%s", diff)
	}
	clashes := []string{
		"bundle main: resources/TrustRoot/both: TrustRoot both is an object of the cluster too",
		"bundle main: resources/WorkloadPaths/both: WorkloadPaths both is an object of the cluster too",
		"bundle main: resources/ConfigMap/both: ConfigMap cosign-system/both is an object of the cluster too",
	}
	var warnings []string
	for _, clash := range clashes {
		warnings = append(warnings, clash+", which is used in its place")
	}
	if diff := cmp.Diff(warnings, d.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	set := compileSet(t, d.Source(Defaults().Rego))
	if err := d.Broken(Sets{Next: set, Before: set}, nil, func(place string) bool { return strings.HasPrefix(place, "bundle main: ") }); err != nil {
		t.Errorf("active before: got %v, want what the cluster has in its place", err)
	}
	err := d.Broken(Sets{Next: set, Before: set}, nil, func(string) bool { return false })
	for _, want := range append(clashes, "bundle main: resources/WorkloadPaths/kind: WorkloadPaths object are about Kkind of bundle.io already") {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "/own") {
		t.Errorf("got %v, want nothing of what the bundle alone has", err)
	}
}

// TestARegoPolicyAndABundle: of a policy in Rego that an object of the cluster has, too, neither
// serves, and such a bundle is refused.
func TestARegoPolicyAndABundle(t *testing.T) {
	t.Parallel()
	d := broughtBy(t, nil)
	const path, of = "main/x.rego", "package policies.x\n\ndeny contains \"x\" if input.request.object.x\n"
	before := compileSet(t, d.Source(Defaults().Rego))
	if err := d.addBundled(t.Context(), Bundled{Modules: map[string]string{path: of}}); err != nil {
		t.Fatal(err)
	}
	d.objects = []raw.Object{{Name: "RegoPolicy x", Modules: map[string]string{"x.rego": of}}}
	err := d.Broken(Sets{Next: compileSet(t, d.Source(Defaults().Rego)), Before: before}, d.fromBundles, func(string) bool { return false })
	if err == nil || !strings.Contains(err.Error(), "policy x: there are 2 policies of that name") {
		t.Errorf("got %v, want a refusal of the policy of both", err)
	}
}
