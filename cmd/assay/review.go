package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/assay-dev/assay/rego/cip/strict"
)

// podReview is the admission review of a Pod that runs the images: what a
// command line image becomes.
func podReview(images []string) ([]byte, error) {
	containers := make([]any, len(images))
	for i, image := range images {
		containers[i] = map[string]any{"name": fmt.Sprintf("image-%d", i), "image": image}
	}
	return review("", "v1", "Pod", map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": "command-line"},
		"spec":     map[string]any{"containers": containers},
	})
}

// resourceReview is the review of a manifest. With images, they take the place
// of those in its Pod spec: policies match the resource and judge the images.
func resourceReview(manifest []byte, images []string) ([]byte, error) {
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

func replaceImages(object map[string]any, kind string, images []string) error {
	path := map[string][]string{
		"Pod": {"spec"}, "PodTemplate": {"template", "spec"},
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
	for _, group := range []string{"initContainers", "ephemeralContainers", "volumes"} {
		delete(spec, group)
	}
	containers := make([]any, len(images))
	for i, image := range images {
		containers[i] = map[string]any{"name": fmt.Sprintf("image-%d", i), "image": image}
	}
	spec["containers"] = containers
	return nil
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
