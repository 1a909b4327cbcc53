package rego_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego"
)

// includingAll is a policy that selects by labels and whose policies inside see all
// that there is of a review.
const includingAll = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: %s}
spec:
  images: [{glob: "**"}]
  match:
  - {group: "", version: v1, resource: pods, selector: {matchExpressions: [{key: a, operator: NotIn, values: [b]}]}}
  - {group: apps, version: v1, resource: deployments, selector: {matchLabels: {a: b}}}
  - {group: "", version: v1, resource: pods, selector: {matchExpressions: [{key: a, operator: Exists}]}}
  authorities: [{static: {action: pass}}]
  policy: {type: %s, includeSpec: true, includeObjectMeta: true, includeTypeMeta: true, data: %q}
`

// places are all values within a value, as functions that put another there.
func places(value any, put func(any)) (out []func(any)) {
	out = append(out, put)
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			out = append(out, places(member, func(other any) { value[name] = other })...)
		}
	case []any:
		for i, element := range value {
			out = append(out, places(element, func(other any) { value[i] = other })...)
		}
	}
	return out
}

// TestOddReviews: whatever stands where in a review, there is a decision. An error
// would be the answer to all that is in it, and to requests that nothing is asked of.
func TestOddReviews(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	image := byDigest(t, w, "app")
	r := open(t, w, setup{
		config: rego.Config{NoMatch: "warn"},
		policies: fmt.Sprintf(includingAll, "cue", "cue", "assay: _\nspec: _") + "---\n" +
			fmt.Sprintf(includingAll, "rego", "rego", "package sigstore\nisCompliant { input.assay; input.spec }"),
	})
	template := map[string]any{
		"initContainers":      []any{map[string]any{"name": "i", "image": image}},
		"containers":          []any{map[string]any{"name": "a", "image": image}, map[string]any{"name": "a", "image": image}},
		"ephemeralContainers": []any{map[string]any{"name": "e", "image": image}},
		"volumes":             []any{map[string]any{"name": "v", "image": map[string]any{"reference": image}}, map[string]any{"name": "w"}},
	}
	metadata := map[string]any{"name": "x", "labels": map[string]any{"a": "b"}, "annotations": map[string]any{"c": "d"}}
	pod := map[string]any{"metadata": metadata, "spec": template}
	deployment := map[string]any{"metadata": metadata, "spec": map[string]any{
		"replicas": 2, "selector": map[string]any{}, "template": map[string]any{"spec": template},
	}}
	odd := []string{"null", "true", "false", "0", "-1", "1e400", `""`, `"x"`, `"\u0000"`, "[]", "[null]", "[[]]", "{}", `{"":null}`, `{"image":5}`, `[{"image":null}]`}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		object, kind, group := pod, "Pod", ""
		if i%2 == 0 {
			object, kind, group = deployment, "Deployment", "apps"
		}
		review := map[string]any{"request": map[string]any{
			"uid": "1", "operation": []string{"CREATE", "UPDATE"}[i/2%2], "namespace": "n", "name": "x", "subResource": "",
			"kind": map[string]any{"group": group, "version": "v1", "kind": kind}, "userInfo": map[string]any{"username": "u"},
			"object": object, "oldObject": object,
		}}
		encoded, _ := json.Marshal(review)
		var copied any
		_ = json.Unmarshal(encoded, &copied)
		for range 1 + i%3 {
			all := places(copied, func(any) {})
			all[random.IntN(len(all))](json.RawMessage(odd[random.IntN(len(odd))]))
		}
		encoded, err := json.Marshal(copied)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Decide(t.Context(), encoded); err != nil {
			t.Errorf("got %v, want a decision about %s", err, encoded)
		}
		if _, err := r.Mutate(t.Context(), encoded); err != nil {
			t.Errorf("got %v, want a mutation of %s", err, encoded)
		}
	}
}

// TestOddAnswers: whatever a policy says of a document, it is the answer of that
// policy, and no error of the decision.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	atoms := []string{"null", "true", "false", "0", `""`, `"x"`, "[]", "{}", "set()", "{false}", `{"result": true}`, `{"result": false, "error": 5}`}
	keys := []string{`"result"`, `"Result"`, `"error"`, `"warning"`, "1", "null", "[1]", `{"a": 1}`, "{2}", "false"}
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	var documents [2]strings.Builder
	for i := range 60 {
		element := func() string {
			if random.IntN(3) == 0 {
				return pick(atoms)
			}
			return fmt.Sprintf("{%s: %s, \"%d\": %s, %s: %s}", pick(keys), pick(atoms), i, pick(atoms), `"message"`, pick(atoms))
		}
		body := []string{
			"isCompliant = %[1]s", "isCompliant = [%[1]s, %[2]s]", "isCompliant[x] { x := %[1]s }\nisCompliant[x] { x := %[2]s }",
			"isCompliant[%[3]s] = %[1]s", "isCompliant(x) = %[1]s",
		}[i%5]
		fmt.Fprintf(&documents[i%2], "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: p%d}\nspec:\n  mode: warn\n"+
			"  images: [{glob: \"**\"}]\n  authorities: [{static: {action: pass}}]\n  policy: {type: rego, data: %q}\n---\n",
			i, "package sigstore\n"+fmt.Sprintf(body, element(), element(), pick(keys)))
	}
	w := openWorld(t, "images: {app: {}}")
	for _, policies := range []string{"upstream", "strict"} {
		for _, text := range []string{documents[0].String(), documents[1].String()} {
			r := open(t, w, setup{policies: text, config: rego.Config{Policies: policies}})
			if d := r.decide(t, byDigest(t, w, "app")); !d.Allowed || len(d.Images[0].Policies) != 30 {
				t.Errorf("%s: got allowed %t, %d policies, %q, want an admission by 30 that may warn", policies, d.Allowed, len(d.Images[0].Policies), d.Reasons)
			}
		}
	}
}
