package rego_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/cip/strict"
	"github.com/assay-dev/assay/rego/resource"
)

// readyMade are the WorkloadPaths that come with the program.
func readyMade(t *testing.T) (out []resource.WorkloadPaths) {
	t.Helper()
	files, err := filepath.Glob("../deploy/workloads/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v and the error %v, want the files", files, err)
	}
	for _, file := range files {
		documents, err := cip.Parse([]byte(text(t, file)))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, other := range documents.Others {
			paths, err := resource.ReadWorkloadPaths(other.Tree)
			if err != nil {
				t.Fatalf("%s: %s: %v", file, other.Name, err)
			}
			out = append(out, paths)
		}
	}
	return out
}

func text(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// manifest is the review of an object in YAML.
func manifest(t *testing.T, yaml string) []byte {
	t.Helper()
	encoded, err := strict.JSON([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(encoded, &object); err != nil {
		t.Fatal(err)
	}
	group, version, _ := strings.Cut(object["apiVersion"].(string), "/")
	out, err := json.Marshal(map[string]any{"request": map[string]any{
		"uid": "1", "operation": "CREATE", "object": object, "namespace": "shop",
		"kind": map[string]any{"group": group, "version": version, "kind": object["kind"]},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestReadyMadeWorkloads judges manifests of the kinds that WorkloadPaths come for. Where the
// images stand is in the comments above each.
func TestReadyMadeWorkloads(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	paths := readyMade(t)
	r := open(t, w, setup{
		policies: static("refused", "**", "fail", ""), workloads: paths, config: rego.Config{Tags: "pods"},
		modules: map[string]string{"p.rego": "package policies.places\n\nimport data.assay.images\n\nwarn contains entry.path if some entry in images.found\n"},
	})
	files, err := filepath.Glob("testdata/workloads/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	judged := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			yaml := text(t, file)
			var want []string
			for line := range strings.Lines(yaml) {
				if place, ok := strings.CutPrefix(line, "# "); ok {
					want = append(want, strings.TrimSpace(place))
				}
			}
			decide := func(yaml string) rego.Decision {
				d, err := r.Decide(t.Context(), manifest(t, yaml))
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			d := decide(strings.ReplaceAll(yaml, "IMAGE", byTag(t, w, "app")))
			var got, warned []string
			for _, image := range d.Images {
				got = append(got, image.Path)
			}
			for _, warning := range d.Warnings {
				warned = append(warned, strings.TrimPrefix(warning, "policy places: "))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("images (-want +got):\n%s\n%q", diff, d.Reasons)
			}
			if len(warned) != len(want) {
				t.Errorf("a policy in Rego: got the images %q, want %q", warned, want)
			}
			if d.Allowed != (len(want) == 0) || len(d.Patch) > 0 {
				t.Errorf("got it admitted: %t, and the patch %v, want what the policy says of %d images, and no patch of a template", d.Allowed, d.Patch, len(want))
			}
			for _, place := range []string{"", "$(params.image)"} {
				if d := decide(strings.ReplaceAll(yaml, "IMAGE", `"`+place+`"`)); d.Allowed && len(want) > 0 {
					t.Errorf("the image %q: got it admitted, want what is no reference denied", place)
				}
			}
		})
		var object struct{ APIVersion, Kind string }
		if encoded, err := strict.JSON([]byte(text(t, file))); err != nil || json.Unmarshal(encoded, &object) != nil {
			t.Fatalf("%s: %v", file, err)
		}
		group, _, _ := strings.Cut(object.APIVersion, "/")
		judged[group+" "+object.Kind] = true
	}
	for i, p := range paths {
		if !judged[p.Spec.Group+" "+p.Spec.Kind] && p.Spec.Kind != "ClusterAnalysisTemplate" { // the same as another
			t.Errorf("%s: got no manifest of the kind", p)
		}
		for _, other := range paths[i+1:] {
			if p.Meets(other) {
				t.Errorf("%s and %s are about one kind", p, other)
			}
		}
	}
}

// TestWorkloadsThatAreContested deny, whatever is set.
func TestWorkloadsThatAreContested(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	spec := resource.WorkloadPathsSpec{Group: "a.io", Kind: "A", Images: []string{"spec.image"}}
	object := "{apiVersion: a.io/v1, kind: A, spec: {image: " + byDigest(t, w, "app") + "}}"
	for name, tt := range map[string]struct {
		workloads []resource.WorkloadPaths
		want      string
	}{
		"one":                     {[]resource.WorkloadPaths{{Name: "one", Spec: spec}}, ""},
		"none":                    {nil, "unhandled kind: a.io/v1, Kind=A"},
		"two":                     {[]resource.WorkloadPaths{{Name: "one", Spec: spec}, {Name: "two", Spec: spec}}, "several WorkloadPaths are about the kind: one, two: a.io/v1, Kind=A"},
		"one that cannot be read": {[]resource.WorkloadPaths{{Name: "one", Spec: spec, Refused: "x"}}, "WorkloadPaths one: x: a.io/v1, Kind=A"},
		"a path that is none":     {[]resource.WorkloadPaths{{Name: "one", Spec: resource.WorkloadPathsSpec{Group: "a.io", Kind: "A", Images: []string{"$..image"}}}}, "WorkloadPaths one: got"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, w, setup{policies: admits, workloads: tt.workloads, config: rego.Config{NoMatch: "allow"}})
			d, err := r.Decide(t.Context(), manifest(t, object))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(d.Reasons, "\n"); d.Allowed != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %t and %q, want %q", d.Allowed, got, tt.want)
			}
		})
	}
}
