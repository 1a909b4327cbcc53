package hook

import (
	"cmp"
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/rego/cip"
)

// Finder looks for objects that policies refer to.
type Finder interface {
	// Find reports whether there is the object; namespace is empty for a resource
	// without. An error is no answer.
	Find(ctx context.Context, resource schema.GroupVersionResource, namespace, name string) (bool, error)
}

// mostFound bounds the requests that one policy can cause.
const mostFound = 50

// reference is where a policy refers to an object.
type reference struct {
	path, kind string
	resource   schema.GroupVersionResource
	namespace  string
	name       string
}

// dangling warns of references that lead nowhere, one line for each object, at the first
// place that refers to it.
func (j Judge) dangling(ctx context.Context, docs *cip.Documents) (warnings []string) {
	if j.Finder == nil {
		return nil
	}
	asked := map[reference]bool{}
	for _, r := range j.references(docs) {
		key := r
		key.path = ""
		if asked[key] || len(asked) == mostFound || ctx.Err() != nil {
			continue
		}
		asked[key] = true
		if found, err := j.Finder.Find(ctx, r.resource, r.namespace, r.name); err == nil && !found {
			where := ""
			if r.namespace != "" {
				where = " in namespace " + r.namespace
			}
			warnings = append(warnings, fmt.Sprintf("%s: there is no %s %s%s: what refers to it fails until there is one", r.path, r.kind, r.name, where))
		}
	}
	return warnings
}

func (j Judge) references(docs *cip.Documents) (out []reference) {
	namespace := j.Settings.Namespace
	if namespace == "" {
		namespace = kube.DefaultNamespace
	}
	add := func(path, kind string, resource schema.GroupVersionResource, namespace, name string) {
		if name != "" {
			out = append(out, reference{path: path, kind: kind, resource: resource, namespace: namespace, name: name})
		}
	}
	root := func(path, name string) { add(path+".trustRootRef", "TrustRoot", kube.TrustRoots(), "", name) }
	key := func(namespace, path string, k *cip.KeyRef) {
		if k != nil && k.SecretRef != nil {
			add(path+".secretRef", "Secret", kube.Secrets(), namespace, k.SecretRef.Name)
		}
	}
	text := func(namespace, path string, p *cip.PolicyRef) {
		if p != nil && p.ConfigMapRef != nil {
			add(path+".configMapRef", "ConfigMap", kube.ConfigMaps(), namespace, p.ConfigMapRef.Name)
		}
	}
	for _, policy := range docs.Policies {
		namespace := cmp.Or(policy.Namespace, namespace)
		for i, a := range policy.Spec.Authorities {
			path := fmt.Sprintf("spec.authorities[%d]", i)
			key(namespace, path+".key", a.Key)
			if a.Keyless != nil {
				key(namespace, path+".keyless.ca-cert", a.Keyless.CACert)
				root(path+".keyless", a.Keyless.TrustRootRef)
			}
			if a.CTLog != nil {
				root(path+".ctlog", a.CTLog.TrustRootRef)
			}
			if a.RFC3161Timestamp != nil {
				root(path+".rfc3161timestamp", a.RFC3161Timestamp.TrustRootRef)
			}
			for k, attestation := range a.Attestations {
				text(namespace, fmt.Sprintf("%s.attestations[%d].policy", path, k), attestation.Policy)
			}
		}
		text(namespace, "spec.policy", policy.Spec.Policy)
	}
	return out
}
