package hook

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// Operation is one of a JSON patch (RFC 6902). It always adds.
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// Default says which defaults the stored object is to have (CRD-8, TR-4), so that people
// see what holds. It refuses nothing, and patches nothing that [Judge.Validate] would
// refuse, nor an update that leaves the spec alone: to that, defaults would be a change.
//
// Upstream writes the whole object anew and with it null for lists that are absent, which
// the API server then refuses (VAL-12). Here a patch adds texts, and nothing else.
func (j Judge) Default(r Request) Verdict {
	verdict := Verdict{Allowed: true}
	if isOwn(r.Kind) { // it has none
		return verdict
	}
	if r.SubResource != "" || r.Operation != "CREATE" && r.Operation != "UPDATE" || r.unchanged() {
		return verdict
	}
	docs, _ := j.parse(r)
	if docs == nil {
		return verdict
	}
	for _, policy := range docs.Policies {
		verdict.Patch = patch(r.Object, policy.Spec)
	}
	for _, root := range docs.TrustRoots {
		verdict.Patch = patch(r.Object, root.Spec)
	}
	return verdict
}

// patch is what the spec has beyond the object that it was read from.
func patch(of []byte, spec any) []Operation {
	var written object
	text, err := json.Marshal(spec)
	if err != nil || utiljson.Unmarshal(of, &written) != nil {
		return nil
	}
	var full any
	if utiljson.Unmarshal(text, &full) != nil {
		return nil
	}
	return missing("/spec", written.Spec, full)
}

// missing are the texts of full that written has not. Both have the same shape: names of
// fields need no escaping, and what people name themselves is in both.
func missing(path string, written, full any) (operations []Operation) {
	switch full := full.(type) {
	case map[string]any:
		object, ok := written.(map[string]any)
		if !ok {
			return nil
		}
		for _, name := range slices.Sorted(maps.Keys(full)) {
			at := path + "/" + name
			if text, ok := full[name].(string); ok {
				if before := object[name]; text != "" && (before == nil || before == "") {
					operations = append(operations, Operation{Op: "add", Path: at, Value: text})
				}
				continue
			}
			operations = append(operations, missing(at, object[name], full[name])...)
		}
	case []any:
		list, ok := written.([]any)
		if !ok || len(list) != len(full) {
			return nil
		}
		for i := range full {
			operations = append(operations, missing(path+"/"+strconv.Itoa(i), list[i], full[i])...)
		}
	}
	return operations
}
