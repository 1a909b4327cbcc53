package rego_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego"
)

// admits is a ClusterImagePolicy that every image passes.
var admits = static("everything", "**", "pass", "")

// innocent is a policy in Rego that denies what is labelled bad, beside others that do
// what they should not.
const innocent = `# METADATA
# title: Nothing bad
# description: Bad things are labelled.
# custom: {severity: high, docs: "https://example.com/bad", owner: team-a}
package policies.innocent

deny contains "it is bad" if input.request.object.metadata.labels.bad
`

// labelled is a Pod of an image with a label.
func labelled(image, label string) []byte {
	return review("", "Pod", map[string]any{
		"metadata": map[string]any{"labels": map[string]any{label: "true"}},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": "c", "image": image}}},
	})
}

// outcomes are the policies in Rego of a decision by name.
func outcomes(d rego.Decision) map[string]rego.RawPolicy {
	out := map[string]rego.RawPolicy{}
	for _, p := range d.Rego {
		out[p.Name] = p
	}
	return out
}

// TestOnePolicyHurtsNoOther: whatever is wrong with a policy in Rego, that policy fails
// with the cause, and the others decide.
func TestOnePolicyHurtsNoOther(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	for _, tt := range []struct {
		name, body, code, text string
		loads                  bool // compiles
	}{
		{"recursion", `deny contains "x" if deny`, "unresolved", "guilty.rego:3: rego_recursion_error", false},
		{"two kinds of rule", "deny := true\ndeny contains 1", "unresolved", "guilty.rego:3: rego_type_error", false},
		{"a wrong operand", `deny contains "x" if startswith(1, "a")`, "unresolved", "guilty.rego:3: rego_type_error: startswith", false},
		{"an unknown builtin", `deny contains "x" if cosign.verfy("x", {}).ok`, "unresolved", "undefined function cosign.verfy", false},
		{"a member that no answer has", `deny contains "x" if oci.parse("x").okay`, "unresolved", "undefined ref", false},
		{"a builtin that is off", `deny contains "x" if http.send({"method": "get", "url": "http://127.0.0.1"}).body`, "unresolved", "guilty.rego:3: rego_type_error: undefined function http.send, which is off in this installation", false},
		{"another that is off", `deny contains "x" if opa.runtime().env`, "unresolved", "undefined function opa.runtime, which is off", false},
		{"a host looked up", `deny contains "x" if net.lookup_ip_addr("localhost")`, "unresolved", "undefined function net.lookup_ip_addr, which is off", false},
		{"the product's own question", `deny contains "x" if assay.policy("innocent", input).ok`, "unresolved", "undefined function assay.policy", false},
		{"another policy", `deny contains "x" if data.policies.innocent.deny`, "unresolved", "got a reference to data.policies.innocent.deny, which is none of this policy's", false},
		{"a compiled policy", `deny contains "x" if data.cip.everything.matched`, "unresolved", "which is none of this policy's", false},
		{"the library's decision", `deny contains "x" if data.assay.admission.decision.allowed`, "unresolved", "none of this policy's", false},
		{"data of a name that is not known", `deny contains "x" if data[input.x].y`, "unresolved", "want data that is written out", false},
		{"all data", `deny contains "x" if { walk(data, [_, "x"]) }`, "unresolved", "want data that is written out", false},
		{"data through an import", "import data.policies as p\ndeny contains \"x\" if p[input.x].deny", "unresolved", "which is none of this policy's", false},
		{"data that is not there", `deny contains "x" if data.kubernetes.ingresses[_][_].spec`, "unresolved", "which no module and no data document defines", false},
		{"a rule of a library that is not there", `deny contains "x" if data.lib.helpers.missing`, "unresolved", "which no module and no data document defines", false},
		{"no rule that denies", `dney contains "x" if input`, "unresolved", "got no rule deny and no rule warn", false},
		{"a function that denies", `deny(x) := x`, "unresolved", "guilty.rego:3: rego_compile_error: got deny as a function", false},
		{"literals that explode", explosion(), "unresolved", "more than 262144 terms", false},
		{"a conflict", "deny := 1 if input.request\ndeny := 2 if input.request.object", "malformed", "guilty.rego:4: eval_conflict_error: rule data.policies.guilty.deny", true},
		{"a builtin that fails", `deny contains "x" if to_number("x") == 1`, "malformed", "eval_builtin_error: to_number", true},
		{"a panic", `deny contains "x" if test.panic("x")`, "malformed", "evaluation panicked", true},
		{"an endless comprehension", "deny contains \"x\" if { n := numbers.range(1, 3000); count([1 | n[_]; n[_]; n[_]]) == 1 }", "timeout", "evaluation took too long", true},
		{"strings that double", hog(), "too_large", "more than 128 MiB", true},
		{"an answer of megabytes", "deny contains y if { some i in numbers.range(1, 400); y := sprintf(\"%d %s\", [i, concat(\"\", [x | some _ in numbers.range(1, 600); x := \"12345678\"])]) }", "too_large", "answer: got more than 1048576 bytes", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := open(t, w, setup{policies: admits, modules: map[string]string{
				"innocent.rego": innocent,
				"guilty.rego":   "package policies.guilty\n\n" + tt.body + "\n",
				"lib.rego":      "package lib.helpers\n\nfine := true\n",
			}})
			if loads := len(r.Set().Warnings()) == 0; loads != tt.loads {
				t.Errorf("warnings: got %q, want them %t", r.Set().Warnings(), !tt.loads)
			}
			d := withinOr(t, r, 8*time.Second, func(d rego.Decision) bool {
				e := outcomes(d)["innocent"].Error
				return e != nil && e.Code == "timeout"
			}, pod(byDigest(t, w, "app")))
			got := outcomes(d)
			if d.Allowed || got["guilty"].Outcome != "failed" || got["guilty"].Mode != "enforce" || got["innocent"].Outcome != "passed" {
				t.Fatalf("got %s, want guilty alone to fail", encode(t, d))
			}
			late := tt.code == "too_large" && got["guilty"].Error != nil && got["guilty"].Error.Code == "timeout" // a busy machine
			if e := got["guilty"].Error; !late && (e == nil || e.Code != tt.code || !strings.Contains(e.Message, tt.text)) {
				t.Errorf("error: got %+v, want %s with %q", e, tt.code, tt.text)
			}
			if len(d.Reasons) != 1 || !strings.HasPrefix(d.Reasons[0], "failed policy: guilty: ") {
				t.Errorf("reasons: got %q, want one of guilty", d.Reasons)
			}
			if len(d.Images) != 1 || len(d.Images[0].Policies) != 1 || d.Images[0].Policies[0].Outcome != "passed" {
				t.Errorf("images: got %+v, want the ClusterImagePolicy to pass", d.Images)
			}
			bad, err := r.Decide(t.Context(), labelled(byDigest(t, w, "app"), "bad"))
			if err != nil || !slices.Contains(bad.Reasons, "failed policy: innocent: it is bad") {
				t.Errorf("got %+v and %v, want innocent to deny what is bad", bad.Reasons, err)
			}
		})
	}
}

// explosion is literals of literals that have a hundred million terms.
func explosion() string {
	var out strings.Builder
	out.WriteString("deny contains a if {\n\ta := 1\n")
	out.WriteString("\tx00 := [1, 1]\n")
	for i := range 26 {
		out.WriteString("\tx" + itoa(i+1) + " := [x" + itoa(i) + ", x" + itoa(i) + "]\n")
	}
	return out.String() + "\tx26 == 1\n}"
}

// hog is a string that doubles.
func hog() string {
	var out strings.Builder
	out.WriteString("deny contains \"x\" if {\n\tx00 := \"aaaaaaaaaaaaaaaa\"\n")
	for i := range 28 {
		out.WriteString("\tx" + itoa(i+1) + " := concat(\"\", [x" + itoa(i) + ", x" + itoa(i) + "])\n")
	}
	return out.String() + "\tx28 == \"\"\n}"
}

func itoa(i int) string { return string([]byte{byte('0' + i/10), byte('0' + i%10)}) }

// TestPolicyInRegoIsReported with all that its METADATA says, and its texts stand behind
// those of policy-controller.
func TestPolicyInRegoIsReported(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	r := open(t, w, setup{policies: static("nothing", "**", "fail", ""), modules: map[string]string{
		"innocent.rego": innocent,
		"details.rego":  "package policies.details\n\ndeny contains {\"msg\": \"no\", \"field\": \"spec\", \"n\": 1} if true\n\nwarn contains \"careful\"\n",
		"soft.rego":     "package policies[\"soft-one\"]\n\nmode := \"warn\"\n\ndeny contains \"only warned of\"\n",
	}})
	d, err := r.Decide(t.Context(), labelled(byDigest(t, w, "app"), "bad"))
	if err != nil {
		t.Fatal(err)
	}
	want := []rego.RawPolicy{
		{
			Name: "details", Mode: "enforce", Outcome: "failed",
			Denials:  []rego.RawMessage{{Message: "no", Details: map[string]any{"field": "spec", "n": 1.0}}},
			Warnings: []rego.RawMessage{{Message: "careful"}},
		},
		{
			Name: "innocent", Mode: "enforce", Outcome: "failed", Title: "Nothing bad", Description: "Bad things are labelled.",
			Severity: "high", Docs: "https://example.com/bad", Owner: "team-a", Denials: []rego.RawMessage{{Message: "it is bad"}},
		},
		{Name: "soft-one", Mode: "warn", Outcome: "failed", Denials: []rego.RawMessage{{Message: "only warned of"}}},
	}
	if diff := cmp.Diff(want, d.Rego); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if len(d.Reasons) != 3 || !strings.HasPrefix(d.Reasons[0], "failed policy: nothing: ") {
		t.Fatalf("reasons: got %q, want three", d.Reasons)
	}
	if diff := cmp.Diff([]string{"failed policy: details: no", "failed policy: innocent: it is bad"}, d.Reasons[1:]); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"failed policy: soft-one: only warned of", "policy details: careful"}, d.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
