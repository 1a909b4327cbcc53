package admission

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRespond(t *testing.T) {
	t.Parallel()
	pin := []PatchOperation{{Op: "replace", Path: "/spec/containers/0/image", Value: "a/b:v1@sha256:00"}}
	for name, test := range map[string]struct {
		phase   Phase
		verdict Verdict
		want    string
	}{
		"an admission": {
			Validation, Verdict{Allowed: true},
			`{"uid":"u","allowed":true}`,
		},
		"MSG-1: the zero verdict denies": {
			Validation, Verdict{},
			`{"uid":"u","allowed":false,"status":{"metadata":{},"status":"Failure",
			"message":"validation failed: denied without a reason","reason":"BadRequest","code":400}}`,
		},
		"MSG-2: a denial joins its reasons by newline": {
			Validation, Verdict{Reasons: []string{
				"failed policy: p: spec.containers[0].image\na/b@sha256:00 no signatures found",
				"no matching policies: spec.containers[1].image\nc/d",
			}},
			`{"uid":"u","allowed":false,"status":{"metadata":{},"status":"Failure",
			"message":"validation failed: failed policy: p: spec.containers[0].image\na/b@sha256:00 no signatures found\nno matching policies: spec.containers[1].image\nc/d",
			"reason":"BadRequest","code":400}}`,
		},
		"MSG-2: a denial while mutating": {
			Mutation, Verdict{Reasons: []string{"could not decide: x"}},
			`{"uid":"u","allowed":false,"status":{"metadata":{},"status":"Failure",
			"message":"mutation failed: could not decide: x","reason":"BadRequest","code":400}}`,
		},
		"a denial of what could not be decoded": {
			Validation, Verdict{Undecoded: true, Reasons: []string{"unknown field \"spec.imagez\""}},
			`{"uid":"u","allowed":false,"status":{"metadata":{},"status":"Failure",
			"message":"decoding request failed: unknown field \"spec.imagez\"","reason":"BadRequest","code":400}}`,
		},
		"MSG-5: every line of a warning is a warning": {
			Validation, Verdict{Allowed: true, Warnings: []string{
				"failed policy: p: spec.containers[0].image\na/b no signatures found\n", "one line", "", "a\r\nb",
			}},
			`{"uid":"u","allowed":true,"warnings":["failed policy: p: spec.containers[0].image",
			"a/b no signatures found","one line","a","b"]}`,
		},
		"a denial warns too": {
			Validation, Verdict{Reasons: []string{"r"}, Warnings: []string{"w"}},
			`{"uid":"u","allowed":false,"status":{"metadata":{},"status":"Failure",
			"message":"validation failed: r","reason":"BadRequest","code":400},"warnings":["w"]}`,
		},
		"a patch while mutating": {
			Mutation, Verdict{Allowed: true, Patch: pin},
			`{"uid":"u","allowed":true,"patchType":"JSONPatch","patch":
			"W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6Ii9zcGVjL2NvbnRhaW5lcnMvMC9pbWFnZSIsInZhbHVlIjoiYS9iOnYxQHNoYTI1NjowMCJ9XQ=="}`,
		},
		"defaults of any type": {
			Mutation, Verdict{Allowed: true, Patch: []PatchOperation{
				{Op: "add", Path: "/spec/mode", Value: ""},
				{Op: "add", Path: "/spec/match", Value: []any{map[string]any{"version": "v1"}}},
				{Op: "remove", Path: "/spec/none"},
			}},
			`{"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"` + base64.StdEncoding.EncodeToString([]byte(
				`[{"op":"add","path":"/spec/mode","value":""},{"op":"add","path":"/spec/match","value":[{"version":"v1"}]},`+
					`{"op":"remove","path":"/spec/none"}]`)) + `"}`,
		},
		"a validation never patches": {
			Validation, Verdict{Allowed: true, Patch: pin},
			`{"uid":"u","allowed":true}`,
		},
		"a denial never patches": {
			Mutation, Verdict{Patch: pin, Reasons: []string{"r"}},
			`{"uid":"u","allowed":false,"status":{"metadata":{},"status":"Failure",
			"message":"mutation failed: r","reason":"BadRequest","code":400}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, version := range []string{"admission.k8s.io/v1", "admission.k8s.io/v1beta1"} {
				got, err := Respond(Review{APIVersion: version, UID: "u"}, test.phase, test.verdict)
				if err != nil {
					t.Fatal(err)
				}
				want := `{"kind":"AdmissionReview","apiVersion":"` + version + `","response":` + test.want + `}`
				if diff := cmp.Diff(decoded(t, []byte(want)), decoded(t, got)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", version, diff)
				}
			}
		})
	}
}

// decoded reads JSON into plain values, to be compared.
func decoded(t *testing.T, document []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	return value
}

func TestBoundedVerdict(t *testing.T) {
	t.Parallel()
	few := Verdict{Reasons: []string{"a", "b"}, Warnings: []string{"c"}}
	if got := few.Bounded(); len(got.Reasons) != 2 || len(got.Warnings) != 1 {
		t.Errorf("few texts: got %v", got)
	}
	many := Verdict{Reasons: make([]string, 1000)}
	for i := range many.Reasons {
		many.Reasons[i] = strings.Repeat("x", 1<<10)
	}
	got := many.Bounded().Reasons
	if len(got) != 65 || got[64] != "and 936 more" {
		t.Errorf("many texts: got %d, the last %q, want 64 and what is left out", len(got), got[len(got)-1])
	}
	if one := (Verdict{Reasons: []string{strings.Repeat("x", 1<<20)}}).Bounded(); len(one.Reasons) != 1 {
		t.Error("a single long text was left out")
	}
}
