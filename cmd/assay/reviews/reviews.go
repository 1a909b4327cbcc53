// Package reviews makes admission reviews of what a command line names: images, or
// the manifest of a resource.
package reviews

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/assay-dev/assay/rego/cip/strict"
)

// Pod is the admission review of a Pod that runs the images.
func Pod(images []string) ([]byte, error) {
	return review("", "v1", "Pod", map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": "command-line"},
		"spec":     map[string]any{"containers": containersOf(images)},
	})
}

func containersOf(images []string) []any {
	out := make([]any, len(images))
	for i, image := range images {
		out[i] = map[string]any{"name": fmt.Sprintf("image-%d", i), "image": image}
	}
	return out
}

// Resource is the review of a manifest. With images, they take the place of its own:
// of one image in every container, of several one for each.
func Resource(manifest []byte, images []string) ([]byte, error) {
	encoded, err := strict.JSON(manifest)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := json.Unmarshal(encoded, &object); err != nil {
		return nil, err
	}
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	switch {
	case apiVersion == "":
		return nil, errors.New("kubernetes resource is missing apiVersion key")
	case kind == "":
		return nil, errors.New("kubernetes resource is missing kind key")
	}
	if len(images) > 0 {
		if err := replaceImages(object, kind, images); err != nil {
			return nil, err
		}
	}
	group, version, found := strings.Cut(apiVersion, "/")
	if !found {
		group, version = "", apiVersion
	}
	return review(group, version, kind, object)
}

// replaceImages puts the images where those of the resource stand and leaves
// everything else as it is: policies may look at the rest of the spec.
func replaceImages(object map[string]any, kind string, images []string) error {
	path := map[string][]string{
		"Pod": {"spec"}, "PodTemplate": {"template", "spec"}, "Revision": {"spec"},
		"CronJob": {"spec", "jobTemplate", "spec", "template", "spec"},
	}[kind]
	if path == nil {
		path = []string{"spec", "template", "spec"}
	}
	spec := object
	for i, field := range path {
		next, ok := spec[field].(map[string]any)
		if !ok {
			return fmt.Errorf("%s: got no %s", kind, strings.Join(path[:i+1], "."))
		}
		spec = next
	}
	places := placesOf(spec)
	if len(places) == 0 {
		spec["containers"] = containersOf(images)
		return nil
	}
	if len(images) > len(places) {
		return fmt.Errorf("%s: got %d images for %d containers", kind, len(images), len(places))
	}
	for i, place := range places {
		place.set(images[i%len(images)])
	}
	return nil
}

// place is a field of an object that names an image.
type place struct {
	holder map[string]any
	field  string
}

func (p place) set(image string) { p.holder[p.field] = image }

// placesOf are the fields of a Pod spec that name images, containers first.
func placesOf(spec map[string]any) []place {
	var out []place
	for _, group := range []string{"containers", "initContainers", "ephemeralContainers", "volumes"} {
		list, _ := spec[group].([]any)
		for _, item := range list {
			holder, _ := item.(map[string]any)
			field := "image"
			if group == "volumes" {
				holder, _ = holder["image"].(map[string]any)
				field = "reference"
			}
			if holder != nil {
				out = append(out, place{holder, field})
			}
		}
	}
	return out
}

func review(group, version, kind string, object map[string]any) ([]byte, error) {
	metadata, _ := object["metadata"].(map[string]any)
	return json.Marshal(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": map[string]any{
			"uid":       "command-line",
			"kind":      map[string]any{"group": group, "version": version, "kind": kind},
			"operation": "CREATE",
			"name":      metadata["name"], "namespace": metadata["namespace"],
			"object": object,
		},
	})
}
