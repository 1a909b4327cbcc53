// Package stranger has what API servers are asked to create to see whether it is denied, and
// says why a Pod with an image that nobody signed may not be.
package stranger

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/rego/cip"
)

// probe begins the name of what is never stored.
const probe = "assay-doctor-"

// repository is nowhere (RFC 2606).
const repository = "assay.invalid/doctor"

// image is one that nobody can have signed.
func image() string { return repository + "@sha256:" + strings.Repeat("0", 64) }

// PolicyFault is in what assay says of the Policy. Its schema has nothing against it.
const PolicyFault = "spec.images[0].glob"

// Policy is a ClusterImagePolicy that has to be denied.
func Policy() map[string]any {
	return map[string]any{
		"apiVersion": kube.ClusterImagePolicies().GroupVersion().String(), "kind": "ClusterImagePolicy",
		"metadata": map[string]any{"generateName": probe},
		"spec": map[string]any{
			"images":      []any{map[string]any{"glob": "["}},
			"authorities": []any{map[string]any{"static": map[string]any{"action": "fail"}}},
		},
	}
}

// Pod is a Pod that even a restricted namespace admits, but for its image.
func Pod() map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"generateName": probe},
		"spec": map[string]any{
			"automountServiceAccountToken": false,
			"securityContext":              map[string]any{"runAsNonRoot": true, "runAsUser": int64(65532), "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
			"containers": []any{map[string]any{
				"name": "stranger", "image": image(),
				"securityContext": map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}},
				"resources": map[string]any{
					"requests": map[string]any{"cpu": "1m", "memory": "1Mi"}, "limits": map[string]any{"cpu": "1m", "memory": "1Mi"},
				},
			}},
		},
	}
}

// Excuse says why the Pod is admitted where assay is asked, by ClusterImagePolicies and what
// becomes of an image that none matches: deny, warn or allow. It is empty where nothing of
// these explains it. settings are those that the policies are read with.
func Excuse(policies []unstructured.Unstructured, settings cip.Settings, noMatch string) string {
	excuse := ""
	for _, object := range policies {
		policy, ok := read(object, settings)
		if !ok {
			return "" // it denies what it matches, and nobody knows what that is
		}
		switch {
		case !matches(policy.Spec):
		case policy.Spec.Mode == cip.ModeWarn:
			excuse = fmt.Sprintf("%s only warns", policy)
		case slices.ContainsFunc(policy.Spec.Authorities, func(a cip.Authority) bool { return a.Static != nil && a.Static.Action == "pass" }):
			excuse = fmt.Sprintf("%s has a static authority that passes every image", policy)
		default:
			return "" // it would have denied
		}
	}
	if excuse == "" && (noMatch == "warn" || noMatch == "allow") {
		return "no policy matches it, and images that none matches are admitted (" + noMatch + ")"
	}
	return excuse
}

func read(object unstructured.Unstructured, settings cip.Settings) (out cip.Policy, ok bool) {
	copied := object.DeepCopy()
	unstructured.RemoveNestedField(copied.Object, "status")
	unstructured.RemoveNestedField(copied.Object, "metadata", "managedFields")
	data, err := copied.MarshalJSON()
	if err != nil {
		return out, false
	}
	docs, err := settings.Parse(data)
	if err != nil || len(docs.Policies) != 1 {
		return out, false
	}
	return docs.Policies[0], true
}

// matches says whether a policy is about the Pod, which has no labels.
func matches(spec cip.Spec) bool {
	if len(spec.Match) > 0 && !slices.ContainsFunc(spec.Match, func(m cip.Match) bool {
		return m.Group == "" && (m.Version == "v1" || m.Version == "*") && m.Resource == "pods" && m.Selector == nil
	}) {
		return false
	}
	return slices.ContainsFunc(spec.Images, func(of cip.ImagePattern) bool {
		glob, err := cip.ParseGlob(of.Glob)
		if err != nil {
			return false
		}
		found, err := glob.Match(image())
		return err == nil && found
	})
}
