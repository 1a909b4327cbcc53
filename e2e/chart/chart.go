// Package chart renders the chart of deploy/chart as Helm does, by Helm's own engine: what its
// templates make of values, and what its schema says of them.
package chart

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

// Release says where the chart is installed. The zero value is what the manifests are for.
type Release struct {
	Name, Namespace string
	// Values is YAML, as of a file that helm is given with -f.
	Values string
}

// Render gives what each template of the chart in dir makes of values, by the name of the
// template without its extension. Templates that make nothing are left out.
func Render(dir string, release Release) (map[string]string, error) {
	loaded, err := loader.LoadDir(dir)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict([]byte(release.Values), &values); err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	options := common.ReleaseOptions{Name: release.Name, Namespace: release.Namespace, Revision: 1, IsInstall: true}
	if options.Name == "" {
		options.Name = "assay"
	}
	if options.Namespace == "" {
		options.Namespace = "cosign-system"
	}
	all, err := util.ToRenderValues(loaded, values, options, nil)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(loaded, all)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, text := range rendered {
		if path.Ext(name) == ".yaml" && strings.TrimSpace(text) != "" {
			out[strings.TrimSuffix(path.Base(name), ".yaml")] = strings.TrimSpace(text) + "\n"
		}
	}
	return out, nil
}

// Object is what was rendered, as it would be sent to an API server.
type Object map[string]any

// ID is the kind and the name of an object: Deployment/assay.
func (o Object) ID() string {
	metadata, _ := o["metadata"].(map[string]any)
	return fmt.Sprintf("%v/%v", o["kind"], metadata["name"])
}

// Objects reads what was rendered, in the order of the names of the templates.
func Objects(rendered map[string]string) ([]Object, error) {
	var out []Object
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		for document := range strings.SplitSeq("\n"+rendered[name], "\n---\n") {
			var object Object
			if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", name, err, document)
			}
			if len(object) > 0 {
				out = append(out, object)
			}
		}
	}
	return out, nil
}
