package crd

import (
	"reflect"
	"strings"
	"time"

	"github.com/assay-dev/assay/rego/cip"
)

// schema is as much of an OpenAPI v3 schema as is written here.
type schema struct {
	Description          string             `json:"description,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Format               string             `json:"format,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	AdditionalProperties *schema            `json:"additionalProperties,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	MaxItems             int                `json:"maxItems,omitempty"`
	Required             []string           `json:"required,omitempty"`
	PreserveUnknown      bool               `json:"x-kubernetes-preserve-unknown-fields,omitempty"`
	Validations          []validation       `json:"x-kubernetes-validations,omitempty"`
}

// validation is a rule in CEL.
type validation struct {
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

type generator struct{ describe Describe }

// resource returns the schema of a whole object. status are fields of its status beside
// those that each has.
func (g generator) resource(spec reflect.Type, status map[string]*schema) *schema {
	desired := g.object(spec)
	desired.Description = g.describe(spec, reflect.StructField{})
	return &schema{Type: "object", Properties: map[string]*schema{
		"apiVersion": {Type: "string", Description: "apiVersion is the group and the version of this text."},
		"kind":       {Type: "string", Description: "kind is the kind of this resource."},
		"metadata":   {Type: "object"},
		"spec":       desired,
		"status":     statusOf(status),
	}}
}

// statusOf keeps what it does not know: policy-controller's conditions have a severity,
// its status has annotations, and whoever takes over finds them as they were left. For
// the same reason a condition needs no more fields than it did there.
func statusOf(own map[string]*schema) *schema {
	properties := map[string]*schema{
		"observedGeneration": {
			Type: "integer", Format: "int64", Description: "observedGeneration is the generation of the spec that the status is about.",
		},
		"conditions": {
			Type: "array", Description: "conditions say what became of the spec.",
			Items: &schema{
				Type: "object", PreserveUnknown: true, Required: []string{"type", "status"},
				Properties: map[string]*schema{
					"type":               {Type: "string", Description: "type is what the condition is about."},
					"status":             {Type: "string", Description: `status is "True", "False" or "Unknown".`},
					"reason":             {Type: "string", Description: "reason is one word for programs."},
					"message":            {Type: "string", Description: "message is for people."},
					"lastTransitionTime": {Type: "string", Description: "lastTransitionTime is when the status changed."},
					"observedGeneration": {
						Type: "integer", Format: "int64", Description: "observedGeneration is the generation of the spec that the condition is about.",
					},
				},
			},
		},
	}
	for name, field := range own {
		properties[name] = field
	}
	return &schema{
		Type: "object", PreserveUnknown: true, Properties: properties,
		Description: "status is what became of the spec. It is written by the controller.",
	}
}

// object requires a struct whose fields all have names in JSON.
func (g generator) object(of reflect.Type) *schema {
	out := &schema{Type: "object", Properties: map[string]*schema{}, Validations: validations(of)}
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		property := g.value(field.Type)
		property.Description = g.describe(of, field)
		property.MaxItems = maxItems(of, field.Name)
		out.Properties[name] = property
	}
	return out
}

// value returns the schema of a type. It knows the kinds that rego/cip and
// rego/resource decode.
func (g generator) value(of reflect.Type) *schema {
	switch {
	case of.Kind() == reflect.Pointer:
		return g.value(of.Elem())
	case of == reflect.TypeFor[time.Time](), of == reflect.TypeFor[[]byte](), of.Kind() == reflect.String:
		return &schema{Type: "string"}
	case of.Kind() == reflect.Bool:
		return &schema{Type: "boolean"}
	case of.Kind() == reflect.Slice:
		return &schema{Type: "array", Items: g.value(of.Elem())}
	case of.Kind() == reflect.Map && of.Elem().Kind() == reflect.Interface: // whatever its author puts there
		return &schema{Type: "object", PreserveUnknown: true}
	case of.Kind() == reflect.Map:
		return &schema{Type: "object", AdditionalProperties: g.value(of.Elem())}
	default:
		return g.object(of)
	}
}

// maxItems are the bounds of rego/cip and rego/resource, 0 for none.
func maxItems(of reflect.Type, field string) int {
	switch of.Name() + "." + field {
	case "Spec.Images", "KeylessRef.Identities":
		return 10_000
	case "Spec.Authorities", "Authority.Attestations":
		return 256
	case "WorkloadPathsSpec.Versions":
		return 16
	case "WorkloadPathsSpec.PodSpecs", "WorkloadPathsSpec.Images", "WorkloadPathsSpec.Elsewhere":
		return 64
	case "Spec.Match":
		return 1_000
	}
	return 0
}

// validations says in CEL what can be said there without hiding anything.
func validations(of reflect.Type) []validation {
	if of != reflect.TypeFor[cip.TrustRootSpec]() {
		return nil
	}
	const fields = "spec.remote, spec.repository, spec.sigstoreKeys"
	const set = "[has(self.remote), has(self.repository), has(self.sigstoreKeys)].filter(set, set).size()"
	return []validation{
		{Rule: set + " > 0", Message: "expected exactly one, got neither: " + fields},
		{Rule: set + " < 2", Message: "expected exactly one, got both: " + fields},
	}
}
