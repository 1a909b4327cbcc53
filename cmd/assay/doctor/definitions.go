package doctor

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/kube"
)

// definition is a CustomResourceDefinition, of which this is looked at.
type definition struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Conversion struct {
			Strategy string `json:"strategy"`
		} `json:"conversion"`
		Versions []struct {
			Name    string         `json:"name"`
			Served  bool           `json:"served"`
			Storage bool           `json:"storage"`
			Schema  map[string]any `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
	Status struct {
		Conditions []struct {
			Type    string `json:"type"`
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"conditions"`
		StoredVersions []string `json:"storedVersions"`
	} `json:"status"`
}

// define is how definitions are installed.
const define = "kubectl apply -f deploy/crds"

// definitions looks at the definitions of the resources.
func (d *doctor) definitions(ctx context.Context) (out []finding.Finding) {
	wanted, err := defined()
	if err != nil {
		return []finding.Finding{finding.NotChecked("definitions", err)}
	}
	for _, want := range wanted {
		object := "CustomResourceDefinition " + want.Metadata.Name
		got, there, err := cluster.Get[definition](ctx, d.api, kube.Definitions(), "", want.Metadata.Name)
		switch {
		case err != nil:
			out = append(out, finding.NotChecked(object, err))
		case !there:
			out = append(out, finding.Failed(object, define, "got none: no replica is ready without it"))
		default:
			out = append(out, judgeDefinition(object, want, got)...)
		}
	}
	return out
}

func judgeDefinition(object string, want, got definition) (out []finding.Finding) {
	if got.Spec.Conversion.Strategy != want.Spec.Conversion.Strategy {
		out = append(out, finding.Failed(object, `kubectl patch crd `+want.Metadata.Name+` --type=json -p '[{"op": "replace", "path": "/spec/conversion", "value": {"strategy": "None"}}]', then `+define,
			"conversion: got strategy %s, want None: whoever converted is gone, and stored objects cannot be read", got.Spec.Conversion.Strategy))
	}
	for _, c := range got.Status.Conditions {
		if (c.Type == "Established" || c.Type == "NamesAccepted") && c.Status != "True" {
			out = append(out, finding.Failed(object, "kubectl describe crd "+want.Metadata.Name, "%s: got %s: %s", c.Type, c.Status, c.Message))
		}
	}
	if len(got.Status.Conditions) == 0 {
		out = append(out, finding.Failed(object, "kubectl describe crd "+want.Metadata.Name, "Established: got no condition: the API server does not serve it"))
	}
	versions := want.versions()
	if diff := missingFrom(versions, got.versions()); len(diff) > 0 {
		out = append(out, finding.Failed(object, define, "versions: got %s, want %s", strings.Join(got.versions(), ", "), strings.Join(versions, ", ")))
	} else if !same(want, got) {
		out = append(out, finding.Warned(object, define+" of this version", "schema: it is that of another version of assay: fields that it does not know are dropped"))
	}
	if strays := missingFrom(got.Status.StoredVersions, want.names()); len(strays) > 0 {
		out = append(out, finding.Warned(object, "rewrite the objects, then kubectl patch crd "+want.Metadata.Name+" --subresource=status",
			"storedVersions: got %s, which is not served any more", strings.Join(strays, ", ")))
	}
	if len(out) == 0 {
		out = append(out, finding.OK(object, "%s", strings.Join(versions, ", ")))
	}
	return out
}

// versions are those of a definition, and what is done with them.
func (d definition) versions() (out []string) {
	for _, v := range d.Spec.Versions {
		text := v.Name
		if v.Served {
			text += " served"
		}
		if v.Storage {
			text += " stored"
		}
		out = append(out, text)
	}
	return out
}

func (d definition) names() (out []string) {
	for _, v := range d.Spec.Versions {
		out = append(out, v.Name)
	}
	return out
}

// missingFrom are those of a list that another lacks.
func missingFrom(wanted, found []string) (out []string) {
	for _, w := range wanted {
		if !slices.Contains(found, w) {
			out = append(out, w)
		}
	}
	return out
}

// same says whether the schemas of the versions are.
func same(a, b definition) bool {
	for _, v := range a.Spec.Versions {
		for _, w := range b.Spec.Versions {
			if v.Name == w.Name && !reflect.DeepEqual(plainTree(v.Schema), plainTree(w.Schema)) {
				return false
			}
		}
	}
	return true
}

// plainTree is a tree with numbers of one type: YAML and JSON read them into others.
func plainTree(tree any) any {
	switch tree := tree.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range tree {
			out[key] = plainTree(value)
		}
		return out
	case []any:
		var out []any
		for _, value := range tree {
			out = append(out, plainTree(value))
		}
		return out
	case int64:
		return float64(tree)
	}
	return tree
}
