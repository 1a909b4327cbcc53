package resource

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// WorkloadPathsKind is the kind of [WorkloadPaths].
const WorkloadPathsKind = "WorkloadPaths"

// WorkloadPaths say where the images of a custom kind stand.
type WorkloadPaths struct {
	Name string
	Spec WorkloadPathsSpec
	// Refused is why the rest cannot be read, if it cannot: objects of the kind are denied.
	Refused string
}

// WorkloadPathsSpec says where the images of a custom kind stand. Objects of kinds without
// one are denied, and so is an object in which none of the paths leads anywhere.
//
// A path has fields with dots between, and "[*]" behind one that is a list: each of its
// elements is meant.
type WorkloadPathsSpec struct {
	// Group is the API group of the kind. Kinds of Kubernetes and of Knative Serving cannot be
	// redefined. Required.
	Group string `json:"group"`
	// Kind is the kind, as in manifests. Required.
	Kind string `json:"kind"`
	// Versions are those that the paths are of. At most 16. Default: all.
	Versions []string `json:"versions,omitempty"`
	// PodSpecs are the paths of Pod specs, as "spec.template.spec". At most 64.
	PodSpecs []string `json:"podSpecs,omitempty"`
	// Images are the paths of references of images outside of Pod specs, as
	// "spec.steps[*].image". At most 64.
	Images []string `json:"images,omitempty"`
	// Elsewhere are the paths of what may stand in the place of images, as the name of another
	// object: with one of them there, an object needs no image. At most 64.
	Elsewhere []string `json:"elsewhere,omitempty"`
}

// The bounds that the comments promise, and of a path.
const (
	mostVersions = 16
	mostPaths    = 64
	mostLists    = 4
	mostFields   = 32
)

var (
	dnsGroup  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$`)
	kindName  = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,62}$`)
	versionOf = regexp.MustCompile(`^v[0-9]+((alpha|beta)[0-9]+)?$`)
	fieldName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$-]{0,62}$`)
)

// ParseWorkloadPaths reads one object in YAML or JSON. Beside an error there is as much of
// it as says which kind it is about.
func ParseWorkloadPaths(data []byte) (WorkloadPaths, error) {
	tree, err := parse(data)
	if err != nil {
		return WorkloadPaths{}, err
	}
	return ReadWorkloadPaths(tree)
}

// ReadWorkloadPaths reads a tree of rego/cip/strict.
func ReadWorkloadPaths(tree any) (WorkloadPaths, error) {
	name, spec, err := read[WorkloadPathsSpec](tree, WorkloadPathsKind)
	if err == nil || name != "" {
		err = errors.Join(err, spec.check())
	}
	if err != nil {
		return WorkloadPaths{Spec: WorkloadPathsSpec{Group: spec.Group, Kind: spec.Kind}}, err
	}
	return WorkloadPaths{Name: name, Spec: spec}, nil
}

func (s WorkloadPathsSpec) check() error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch {
	case !dnsGroup.MatchString(s.Group) || len(s.Group) > mostName:
		refuse("spec.group: got %.80q, want that of a custom resource, as argoproj.io", s.Group)
	case s.Group == "k8s.io" || strings.HasSuffix(s.Group, ".k8s.io"):
		refuse("spec.group: got %.80q, want another than Kubernetes' own: its kinds are known", s.Group)
	case s.Group == "serving.knative.dev" && slices.Contains([]string{"Service", "Configuration", "Revision"}, s.Kind):
		refuse("spec.kind: got %s of %s, want a kind that is not known already", s.Kind, s.Group)
	}
	if !kindName.MatchString(s.Kind) {
		refuse("spec.kind: got %.80q, want a kind as in manifests", s.Kind)
	}
	if len(s.Versions) > mostVersions {
		refuse("spec.versions: got %d, want at most %d", len(s.Versions), mostVersions)
	}
	for i, version := range s.Versions {
		if !versionOf.MatchString(version) {
			refuse("spec.versions[%d]: got %.80q, want one as v1beta1", i, version)
		}
	}
	if len(s.PodSpecs)+len(s.Images) == 0 {
		refuse("spec.podSpecs, spec.images: got none, want at least one path")
	}
	for field, paths := range map[string][]string{"podSpecs": s.PodSpecs, "images": s.Images, "elsewhere": s.Elsewhere} {
		if len(paths) > mostPaths {
			refuse("spec.%s: got %d, want at most %d", field, len(paths), mostPaths)
		}
		for i, path := range paths {
			if _, err := parts(path); err != nil {
				refuse("spec.%s[%d]: %w", field, i, err)
			} else if field == "elsewhere" && strings.Contains(path, "[*]") {
				refuse("spec.%s[%d]: got %.80q, want fields alone", field, i, path)
			}
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// parts are the fields of a path down to each list, and behind the last one.
func parts(path string) ([][]string, error) {
	out, fields := [][]string{nil}, 0
	for i, step := range strings.Split(path, ".") {
		field, lists := step, 0
		for strings.HasSuffix(field, "[*]") {
			field, lists = strings.TrimSuffix(field, "[*]"), lists+1
		}
		if fields++; !fieldName.MatchString(field) || i >= mostFields {
			return nil, fmt.Errorf("got %.200q, want at most %d fields with dots between, and [*] behind those that are lists", path, mostFields)
		}
		out[len(out)-1] = append(out[len(out)-1], field)
		for range lists {
			out = append(out, nil)
		}
	}
	if len(out)-1 > mostLists {
		return nil, fmt.Errorf("got %.200q, want [*] at most %d times", path, mostLists)
	}
	return out, nil
}

// Document is what rego/lib/assay/workloads reads. Paths that are none refuse all of it.
func (w WorkloadPaths) Document() map[string]any {
	refused := w.Refused
	split := func(paths []string) []any {
		out := []any{}
		for _, path := range paths {
			found, err := parts(path)
			if err != nil {
				refused = err.Error()
				continue
			}
			lists := make([]any, len(found))
			for i, fields := range found {
				lists[i] = anys(fields)
			}
			out = append(out, lists)
		}
		return out
	}
	elsewhere := []any{}
	for _, path := range w.Spec.Elsewhere {
		elsewhere = append(elsewhere, anys(strings.Split(path, ".")))
	}
	out := map[string]any{
		"name": w.Name, "group": w.Spec.Group, "kind": w.Spec.Kind, "versions": anys(w.Spec.Versions),
		"pod_specs": split(w.Spec.PodSpecs), "images": split(w.Spec.Images), "elsewhere": elsewhere,
	}
	out["refused"] = refused
	return out
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}

// Meets says whether both are about one kind in one version: nobody could say which of them
// is meant, and objects of it are denied.
func (w WorkloadPaths) Meets(other WorkloadPaths) bool {
	return w.Spec.Group == other.Spec.Group && w.Spec.Kind == other.Spec.Kind &&
		(len(w.Spec.Versions) == 0 || len(other.Spec.Versions) == 0 ||
			slices.ContainsFunc(w.Spec.Versions, func(v string) bool { return slices.Contains(other.Spec.Versions, v) }))
}

// String names them in messages.
func (w WorkloadPaths) String() string { return WorkloadPathsKind + " " + w.Name }
