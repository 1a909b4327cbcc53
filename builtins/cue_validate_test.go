package builtins_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
)

// cueCalls are both builtins, and which of them wants every value to be there.
func cueCalls() map[string]bool {
	return map[string]bool{"cue.validate": false, "cue.validate_concrete": true}
}

// TestCUEAnswers, with a session and without: stock tools have none.
func TestCUEAnswers(t *testing.T) {
	t.Parallel()
	sessions := map[string]*builtins.Session{"session": factsOf(t, openWorld(t)).Open(oci.Credentials{}, tenant.Workload{}), "no session": nil}
	for _, tt := range []struct {
		name, policy, document string
		code, message          string // empty when it complies
		concrete               string // the message of the concrete mode, when it is another
	}{
		{name: "a document that complies", policy: `a: >1`, document: `{"a": 2}`},
		{name: "CUE-1: what is missing complies, unless concrete", policy: `a: string`, document: `{}`,
			concrete: "failed to evaluate the policy with error: a: incomplete value string"},
		{name: "CUE-2: a policy that is not CUE", policy: `a: {`, document: `{}`, code: "malformed",
			message: "failed to compile the cue policy with error: expected '}', found 'EOF'"},
		{name: "CUE-2: a policy that says no", policy: `config: [string]: config: User: "65532"`,
			document: `{"config": {"linux/amd64": {"config": {"User": "55554"}}}}`, code: "not_compliant",
			message: `failed to evaluate the policy with error: config."linux/amd64".config.User: conflicting values "65532" and "55554"`},
		{name: "CUE-3: packages of CUE", policy: `import "strings"` + "\n" + `a: strings.HasPrefix("x")`, document: `{"a": "xy"}`},
		{name: "a number with an exponent is whole", policy: `a: int`, document: `{"a": 1e3}`},
		{name: "a number with a fraction of zero is whole", policy: `a: int & 1`, document: `{"a": 1.0}`},
		{name: "a fraction", policy: `a: 0.25`, document: `{"a": 2.5e-1}`},
		{name: "a whole number keeps its digits", policy: `a: 12345678901234567891`, document: `{"a": 12345678901234567891}`},
		{name: "a number that no double holds", policy: `a: number`, document: `{"a": 1e999}`, code: "malformed",
			message: "document: got the number 1e999, want one that a double holds"},
		{name: "a set is not JSON", policy: `a: _`, document: `{"a": {1, 2}}`, code: "malformed",
			message: "document: got set, want JSON"},
		{name: "a member without a name", policy: `a: _`, document: `{"a": {1: 2}}`, code: "malformed",
			message: "document: got number for the name of a member, want a string"},
		{name: "null", policy: `null`, document: `null`},
		{name: "a text", policy: `"<&>\u2028"`, document: `"<&>\u2028"`},
	} {
		for session, s := range sessions {
			for call, concrete := range cueCalls() {
				t.Run(tt.name+", "+call+", "+session, func(t *testing.T) {
					t.Parallel()
					got := answer(t, s, fmt.Sprintf("%s(%q, %s)", call, tt.policy, tt.document))
					code, message := tt.code, tt.message
					if concrete && tt.concrete != "" {
						code, message = "not_compliant", tt.concrete
					}
					if code == "" {
						if got.(map[string]any)["ok"] != true {
							t.Errorf("got %v, want ok", got)
						}
						return
					}
					if gotCode, gotMessage := problem(t, got); gotCode != code || gotMessage != message {
						t.Errorf("got  %s: %s\nwant %s: %s", gotCode, gotMessage, code, message)
					}
				})
			}
		}
	}
}

func TestCUEWantsATextAndJSONOfSomeSize(t *testing.T) {
	t.Parallel()
	deep := `json.unmarshal("` + strings.Repeat("[", 1002) + strings.Repeat("]", 1002) + `")`
	for _, tt := range []struct{ name, operands, code, message string }{
		{"a policy that is no text", `json.unmarshal("1"), {}`, "malformed", "policy: got number, want a string"},
		{"a policy that is a set", `object.get({1: {"a"}}, json.unmarshal("1"), {"x"}), {}`, "malformed", "policy: got set, want a string"},
		{"a deep document", `"", ` + deep, "too_large", "document: got more than 1000 values within each other"},
		{"a long document", `"", [x | numbers.range(1, 5000)[_]; x := sprintf("%01000d", [1])]`, "too_large", "document: got more than 4194304 bytes"},
		{"a long text", `"", sprintf("%05000000d", [1])`, "too_large", "the document: got 5000002 bytes, want at most 4194304"},
		{"a long number", `"", json.unmarshal(sprintf("1%0999d", [0]))`, "too_large", "document: got a number of 1000 characters, want at most 400"},
		{"a long policy", `sprintf("%0300000d", [1]), {}`, "too_large", "the cue policy: got 300000 bytes, want at most 262144"},
	} {
		for call := range cueCalls() {
			t.Run(tt.name+", "+call, func(t *testing.T) {
				t.Parallel()
				if code, message := problem(t, answer(t, nil, call+"("+tt.operands+")")); code != tt.code || message != tt.message {
					t.Errorf("got  %s: %s\nwant %s: %s", code, message, tt.code, tt.message)
				}
			})
		}
	}
}

// TestCUEOfTheProcess: the evaluator that the options name is the one that answers,
// with its limits.
func TestCUEOfTheProcess(t *testing.T) {
	t.Parallel()
	client, err := oci.New()
	if err != nil {
		t.Fatal(err)
	}
	evaluator, err := cue.New(cue.Options{Timeout: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	facts, err := builtins.New(client, func() trust.Roots { return trust.Roots{} }, builtins.Options{CUE: evaluator})
	if err != nil {
		t.Fatal(err)
	}
	code, message := problem(t, answer(t, facts.Open(oci.Credentials{}, tenant.Workload{}), `cue.validate("", {})`))
	if code != "timeout" {
		t.Errorf("got %s: %s, want timeout", code, message)
	}
}
