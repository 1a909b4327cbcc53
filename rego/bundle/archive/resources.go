package archive

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// resources is where the objects of a bundle are, below data: what is there is compiled and
// is a policy, or belongs to one.
const resources = "resources"

// system is the namespace of objects that say none, as it is in files.
const system = "cosign-system"

// kinds are those of objects that may be in a bundle, and whether they have a namespace. A
// Secret would be read by whoever reads the bundle.
func kinds() map[string]bool {
	return map[string]bool{"ClusterImagePolicy": false, "ConfigMap": true, "ImagePolicy": true, "TrustRoot": false, "WorkloadPaths": false}
}

// Resources are the objects of a bundle by their place, KIND/NAME or KIND/NAMESPACE/NAME.
// They are where their kind and their names say, in every bundle that [Read] admits.
func (a *Archive) Resources() (map[string]map[string]any, error) {
	out := map[string]map[string]any{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(a.Files)) {
		if kindOf(name) != data {
			continue
		}
		document, err := readDocument(name, a.Files[name])
		if err == nil {
			err = document.resources(out)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", name, err))
		}
	}
	return out, errors.Join(errs...)
}

// resources adds the objects of one document.
func (d document) resources(into map[string]map[string]any) error {
	var all any = d.value
	for _, name := range slices.Backward(d.at) {
		all = map[string]any{name: all}
	}
	byKind, ok := all.(map[string]any)[resources]
	if !ok {
		return nil
	}
	var errs []error
	for kind, named := range entries(byKind, resources, &errs) {
		namespaced, known := kinds()[kind]
		if !known {
			errs = append(errs, fmt.Errorf("%s.%s: want one of the kinds %s", resources, kind, strings.Join(slices.Sorted(maps.Keys(kinds())), ", ")))
			continue
		}
		for name, value := range entries(named, kind, &errs) {
			if !namespaced {
				errs = append(errs, place(into, kind, "", name, value))
				continue
			}
			for inner, value := range entries(value, kind+"/"+name, &errs) {
				errs = append(errs, place(into, kind, name, inner, value))
			}
		}
	}
	return errors.Join(errs...)
}

// entries are those of an object.
func entries(value any, path string, errs *[]error) map[string]any {
	object, ok := value.(map[string]any)
	if !ok {
		*errs = append(*errs, fmt.Errorf("%s: want an object: %s is the place of Kubernetes objects", path, resources))
	}
	return object
}

// place takes one object, which has to be what its place says: another bundle may have one
// of the same name, and roots keep them apart.
func place(into map[string]map[string]any, kind, namespace, name string, value any) error {
	path := kind + "/" + name
	if namespace != "" {
		path = kind + "/" + namespace + "/" + name
	}
	object, ok := value.(map[string]any)
	metadata, _ := object["metadata"].(map[string]any)
	if !ok || object["kind"] != kind || metadata["name"] != name {
		return fmt.Errorf("%s/%s: got %.100q of name %.100q, want what its place says", resources, path, fmt.Sprint(object["kind"]), fmt.Sprint(metadata["name"]))
	}
	got, _ := metadata["namespace"].(string)
	if namespace != "" && got != namespace && (got != "" || namespace != system) {
		return fmt.Errorf("%s/%s: got the namespace %.100q, want that of its place", resources, path, got)
	}
	into[path] = object
	return nil
}
