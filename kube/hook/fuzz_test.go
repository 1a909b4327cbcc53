package hook_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/assay-dev/assay/kube/hook"
	"github.com/assay-dev/assay/rego/cip"
)

// FuzzHook holds whatever comes to this: nothing is stored anew that rego/cip refuses, a
// refusal has a text, and defaults are texts that make a valid object no less valid.
func FuzzHook(f *testing.F) {
	for _, object := range []string{policy(valid), policy(invalid), root, "null", `{kind: ClusterImagePolicy}`,
		policy(`{images: [{glob: "**"}], authorities: [{keyless: {identities: [{issuer: i, subject: s}]}}]}`)} {
		for _, operation := range []string{"CREATE", "UPDATE", "DELETE"} {
			f.Add(review(f, "ClusterImagePolicy", operation, "", object, object))
			f.Add(review(f, "TrustRoot", operation, "", object, policy(valid)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := hook.Read(data)
		if err != nil {
			return
		}
		j := hook.Judge{Compiler: silent{}, Finder: existing{}}
		verdict := j.Validate(t.Context(), r)
		if verdict.Allowed == (verdict.Message() != "") {
			t.Errorf("got %t with %q", verdict.Allowed, verdict.Message())
		}
		defaults := j.Default(r)
		if !defaults.Allowed {
			t.Error("got a refusal of defaults")
		}
		if r.Operation != "CREATE" || r.SubResource != "" {
			return
		}
		if verdict.Allowed {
			docs, err := cip.Parse(patched(t, r.Object, append(defaults.Patch, name(t, r.Object)...)))
			if err != nil || len(docs.Policies)+len(docs.TrustRoots) != 1 || len(docs.Secrets)+len(docs.ConfigMaps) != 0 {
				t.Errorf("got %s admitted with %+v, want what %v", r.Object, defaults.Patch, err)
			}
		} else if len(defaults.Patch) > 0 {
			t.Errorf("got a patch %+v of what is refused: %s", defaults.Patch, verdict.Message())
		}
	})
}

// silent compiles everything.
type silent struct{}

func (silent) Check(context.Context, cip.Policy) (problems, warnings []string) { return nil, nil }

// name adds one where there is none yet.
func name(t *testing.T, object []byte) []hook.Operation {
	t.Helper()
	var o struct{ Metadata struct{ Name string } }
	if err := json.Unmarshal(object, &o); err != nil || o.Metadata.Name == "" {
		return []hook.Operation{{Op: "add", Path: "/metadata/name", Value: "p"}}
	}
	return nil
}
