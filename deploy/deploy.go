// Package deploy has what an installation is made of as the program carries it: the
// definitions of the resources, and the manifests that are made from the chart. What is
// expected of a cluster so is what is installed into it, and is written once.
package deploy

import "embed"

//go:embed crds/*.yaml manifests/2-rbac.yaml manifests/6-webhooks.yaml manifests/7-namespace-labels.yaml
var files embed.FS

// Definitions are the CustomResourceDefinitions, one document each.
func Definitions() []string {
	entries, err := files.ReadDir("crds")
	if err != nil {
		return nil // what is embedded is there
	}
	var out []string
	for _, entry := range entries {
		out = append(out, text("crds/"+entry.Name()))
	}
	return out
}

// Rights are the roles of assay, with their bindings.
func Rights() string { return text("manifests/2-rbac.yaml") }

// Webhooks are the webhook configurations.
func Webhooks() string { return text("manifests/6-webhooks.yaml") }

// Labels are the policy that guards the labels of namespaces, with its binding.
func Labels() string { return text("manifests/7-namespace-labels.yaml") }

func text(path string) string {
	content, err := files.ReadFile(path)
	if err != nil {
		return "" // what is embedded is there
	}
	return string(content)
}
