// Package crd has the definitions of the resources, made from the types of rego/cip and
// rego/resource: what a cluster accepts and what a policy may hold cannot differ.
//
// The schema says types, and almost nothing else. What is required, which values there
// are and what excludes what is policy-controller's to say, text for text, and the API
// server checks a schema before it asks a validating webhook: a schema that said it too
// would hide those texts, and with them all else that is wrong with the object. It also
// would refuse objects that an existing installation has stored, for which a webhook can
// tell what changed. So it says
//
//   - the types that upstream's schema says, nothing nullable, and no formats: what is
//     no base64 and no URL is refused with a text that users know
//   - the bounds of lists, which upstream does not have and no policy comes near
//   - in CEL, that a TrustRoot is of exactly one kind: it is the only error that stands
//     alone whenever it stands, and it has the same text
//
// All that rego/cip knows is in it, and all else is pruned, as upstream's schema does.
// Both versions of a ClusterImagePolicy have one schema and convert by changing the name
// of the version: the strategy None, which asks no webhook and loses nothing (CRD-9).
package crd

import (
	"reflect"

	"sigs.k8s.io/yaml"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
)

// Describe returns what users read about a field. Of a field without a name it is asked
// what they read about the type.
type Describe func(of reflect.Type, field reflect.StructField) string

// Definition is a CustomResourceDefinition.
type Definition struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   metadata       `json:"metadata"`
	Spec       definitionSpec `json:"spec"`
}

type metadata struct {
	Name string `json:"name"`
}

type definitionSpec struct {
	Group string `json:"group"`
	Names names  `json:"names"`
	Scope string `json:"scope"`
	// PreserveUnknownFields and Conversion are given although they are the defaults:
	// they take away what policy-controller's definition had.
	PreserveUnknownFields bool       `json:"preserveUnknownFields"`
	Conversion            conversion `json:"conversion"`
	Versions              []version  `json:"versions"`
}

type names struct {
	Kind       string   `json:"kind"`
	ListKind   string   `json:"listKind"`
	Plural     string   `json:"plural"`
	Singular   string   `json:"singular"`
	ShortNames []string `json:"shortNames,omitempty"`
	Categories []string `json:"categories"`
}

type conversion struct {
	Strategy string `json:"strategy"`
	// Webhook is null, and so removed where it was not kubectl apply that wrote it: the
	// strategy None may not stand beside it.
	Webhook *struct{} `json:"webhook"`
}

type version struct {
	Name         string       `json:"name"`
	Served       bool         `json:"served"`
	Storage      bool         `json:"storage"`
	Subresources subresources `json:"subresources"`
	Columns      []column     `json:"additionalPrinterColumns"`
	Schema       root         `json:"schema"`
}

type subresources struct {
	Status struct{} `json:"status"`
}

type root struct {
	Schema *schema `json:"openAPIV3Schema"`
}

type column struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Path        string `json:"jsonPath"`
	Description string `json:"description,omitempty"`
	Priority    int    `json:"priority,omitempty"`
}

// Definitions returns one for each resource: Sigstore's, and those of our own group.
func Definitions(describe Describe) []Definition {
	g := generator{describe: describe}
	policy := g.resource(reflect.TypeFor[cip.Spec](), map[string]*schema{
		"matchedImages": {
			Type: "integer", Format: "int64",
			Description: "matchedImages is how many different images matched the policy of late.",
		},
	})
	return []Definition{
		definition(kube.SigstoreGroup, names{
			Kind: cip.ClusterImagePolicyKind, Plural: "clusterimagepolicies", Singular: "clusterimagepolicy", ShortNames: []string{"cip"},
		}, policyColumns(), version{Name: "v1alpha1", Served: true, Storage: true, Schema: root{policy}},
			version{Name: "v1beta1", Served: true, Schema: root{policy}}),
		namespaced(definition(kube.Group, names{Kind: cip.ImagePolicyKind, Plural: "imagepolicies", Singular: "imagepolicy", ShortNames: []string{"ip"}},
			policyColumns(), version{Name: "v1alpha1", Served: true, Storage: true, Schema: root{policy}})),
		definition(kube.SigstoreGroup, names{Kind: "TrustRoot", Plural: "trustroots", Singular: "trustroot"},
			[]column{ready(), age(), message()},
			version{Name: "v1alpha1", Served: true, Storage: true, Schema: root{g.resource(reflect.TypeFor[cip.TrustRootSpec](), nil)}}),
		definition(kube.Group, names{Kind: resource.RegoPolicyKind, Plural: "regopolicies", Singular: "regopolicy"},
			[]column{ready(), age(), message()},
			version{Name: "v1alpha1", Served: true, Storage: true, Schema: root{g.resource(reflect.TypeFor[resource.RegoPolicySpec](), nil)}}),
		definition(kube.Group, names{Kind: resource.WorkloadPathsKind, Plural: "workloadpaths", Singular: "workloadpath"},
			[]column{{Name: "Group", Type: "string", Path: ".spec.group"}, {Name: "Kind", Type: "string", Path: ".spec.kind"}, ready(), age(), message()},
			version{Name: "v1alpha1", Served: true, Storage: true, Schema: root{g.resource(reflect.TypeFor[resource.WorkloadPathsSpec](), nil)}}),
	}
}

func policyColumns() []column {
	return []column{
		{Name: "Mode", Type: "string", Path: ".spec.mode"}, ready(),
		{Name: "Images", Type: "integer", Path: ".status.matchedImages", Description: "How many different images matched the policy of late."},
		age(), message(),
	}
}

// namespaced has the objects in namespaces.
func namespaced(d Definition) Definition {
	d.Spec.Scope = "Namespaced"
	return d
}

func definition(group string, n names, columns []column, versions ...version) Definition {
	n.ListKind, n.Categories = n.Kind+"List", []string{"all", "sigstore"}
	if group == kube.Group {
		n.Categories = []string{"assay"}
	}
	for i := range versions {
		versions[i].Columns = columns
	}
	return Definition{
		APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition",
		Metadata: metadata{Name: n.Plural + "." + group},
		Spec: definitionSpec{
			Group: group, Names: n, Scope: "Cluster", Conversion: conversion{Strategy: "None"}, Versions: versions,
		},
	}
}

func ready() column {
	return column{Name: "Ready", Type: "string", Path: `.status.conditions[?(@.type=="Ready")].status`}
}

func age() column { return column{Name: "Age", Type: "date", Path: ".metadata.creationTimestamp"} }

// message is shown by -o wide: it is as long as the error of a compiler.
func message() column {
	return column{Name: "Message", Type: "string", Path: `.status.conditions[?(@.type=="Ready")].message`, Priority: 1}
}

// YAML returns the manifest.
func (d Definition) YAML() ([]byte, error) {
	text, err := yaml.Marshal(d)
	if err != nil {
		return nil, err
	}
	from := "rego/cip"
	if d.Spec.Group == kube.Group && d.Spec.Names.Kind != cip.ImagePolicyKind {
		from = "rego/resource"
	}
	return append([]byte("# Made from the types of "+from+", written by make golden.\n"), text...), nil
}
