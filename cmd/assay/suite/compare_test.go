package suite

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/assay-dev/assay/cmd/assay/opa"
)

// TestFlagsAreOPAs: all of them, and no other, with one more value of one.
func TestFlagsAreOPAs(t *testing.T) {
	t.Parallel()
	type flag struct{ Name, Shorthand, Usage, Default, Type string }
	list := func(flags *pflag.FlagSet) (out []flag) {
		flags.VisitAll(func(f *pflag.Flag) {
			if f.Name == "format" {
				f.Value = nil
			}
			out = append(out, flag{f.Name, f.Shorthand, f.Usage, f.DefValue, ""})
		})
		return out
	}
	if diff := cmp.Diff(list(opa.Test().Flags()), list(Command().Flags())); diff != "" {
		t.Errorf("flags (-opa +assay):\n%s", diff)
	}
}

const pureRego = `
-- policy/authz.rego --
package authz

default allow := false

allow if input.path == ["users"]

allow if {
	input.method == "GET"
	input.path == ["users", input.user_id]
}

unused if input.never
-- policy/authz_test.rego --
package authz_test

import data.authz

test_users if authz.allow with input as {"path": ["users"]}

test_own if authz.allow with input as {"method": "GET", "path": ["users", "bob"], "user_id": "bob"}

test_other if not authz.allow with input as {"method": "GET", "path": ["users", "bob"], "user_id": "eve"}

test_roles if data.policy.roles.bob[0] == "admin"

todo_test_later if false
-- policy/roles/data.yaml --
unrelated: true
-- policy/policy.yaml --
policy: {roles: {bob: [admin]}}
-- failing/failing_test.rego --
package failing_test

test_fails if {
	x := 1
	print("x is", x)
	x == 2
}

test_table[name] if {
	some name, tc in {"one": {"a": 1, "b": 1}, "two": {"a": 1, "b": 2}}
	tc.a == tc.b
}

test_fine if true
-- erring/erring_test.rego --
package erring_test

test_conflict if f(1) == 1

f(x) := x

f(x) := x + 1
-- broken/broken_test.rego --
package broken

test_x if {
-- unsafe/unsafe_test.rego --
package unsafe

test_x if y == 1
-- skipped/skipped_test.rego --
package skipped

todo_test_later if false
-- empty/empty.rego --
package empty

x := 1
-- same/a.rego --
package same

test_same if true

test_same if 1 == 1
-- legacy/v0_test.rego --
package legacy

test_v0 { input.x == 1 with input as {"x": 1} }
-- bundle/.manifest --
{"roots": ["b"]}
-- bundle/b/b.rego --
package b

test_data if data.b.x == 1
-- bundle/b/data.json --
{"x": 1}
-- schemas/input.json --
{"type": "object", "properties": {"path": {"type": "string"}}}
-- pure.json --
{"builtins": [], "features": ["rego_v1"]}
`

// TestOutputIsThatOfOPA runs both programs on the same tests of pure Rego.
func TestOutputIsThatOfOPA(t *testing.T) {
	t.Parallel()
	upstream, err := stock()
	if err != nil {
		t.Fatal(err)
	}
	dir := unpacked(t, pureRego)
	for _, tt := range []struct {
		name string
		args []string
		code int // that both end with
	}{
		{"tests that pass", []string{"policy"}, 2}, // one is skipped
		{"skipped tests that count as passed", []string{"policy", "-z"}, 0},
		{"each test", []string{"policy", "-v", "-z"}, 0},
		{"json", []string{"policy", "--format", "json", "-z"}, 0},
		{"json by duration", []string{"policy", "--format=json", "--sort=duration", "-z"}, 0},
		{"coverage", []string{"policy", "--coverage", "-z"}, 0},
		{"coverage of some kinds", []string{"policy", "--coverage-runs", "early_exit", "-z"}, 0},
		{"coverage of an unknown kind", []string{"policy", "--coverage-runs", "x"}, -1},
		{"a threshold that is met", []string{"policy", "--threshold", "50", "-z"}, 0},
		{"a threshold that is not met", []string{"policy", "--threshold", "99", "-z"}, 2},
		{"a threshold that is not met, in full", []string{"policy", "--threshold", "99", "-z", "-v"}, 2},
		{"a threshold that is none", []string{"policy", "--threshold", "101", "-z"}, 1},
		{"some tests", []string{"policy", "--run", "test_(own|other)$", "-v"}, 0},
		{"a pattern that is none", []string{"policy", "--run", "("}, 1},
		{"no test", []string{"empty"}, 0},
		{"no test where there should be one", []string{"empty", "--fail-on-empty"}, 1},
		{"twice", []string{"policy", "--count", "2", "-v", "-z"}, 0},
		{"a test that fails", []string{"failing"}, 2},
		{"a test that fails, in full", []string{"failing", "-v"}, 2},
		{"its variables", []string{"failing", "--var-values"}, 2},
		{"its trace", []string{"failing", "--explain", "full"}, 2},
		{"its notes", []string{"failing", "--explain", "notes"}, 2},
		{"its debug trace", []string{"failing", "--explain", "debug", "-v"}, 2},
		{"a test that fails, in json", []string{"failing", "--format", "json"}, 2},
		{"a test that fails, with coverage", []string{"failing", "--coverage", "--run", "fails|fine"}, 1},
		{"a test that fails twice", []string{"failing", "--count", "2"}, 2},
		{"a test that ends in an error", []string{"erring"}, 2},
		{"a test that ends in an error, in json", []string{"erring", "-f", "json"}, 2},
		{"a file that does not parse", []string{"broken"}, 1},
		{"a file that does not compile", []string{"unsafe"}, 1},
		{"a file that is not there", []string{"nowhere"}, 1},
		{"ignored files", []string{".", "--ignore", "broken", "--ignore", "unsafe", "--ignore", "legacy", "--ignore", "erring", "--ignore", "*.json"}, 2},
		{"two tests of one name", []string{"same", "-v"}, 0},
		{"old Rego", []string{"legacy", "--v0-compatible", "-v"}, 0},
		{"old Rego as new", []string{"legacy"}, 1},
		{"a bundle", []string{"-b", "bundle", "-v"}, 0},
		{"a bundle, with coverage", []string{"-b", "bundle", "-c"}, 0},
		{"a schema that the policy contradicts", []string{"policy", "--schema", "schemas/input.json", "-z"}, 1},
		{"a schema that is not there", []string{"policy", "--schema", "nowhere"}, 1},
		{"capabilities that do not suffice", []string{"failing", "--capabilities", "pure.json"}, 1},
		{"gobench without benchmarks", []string{"policy", "--format", "gobench"}, 0},
		{"a benchmark", []string{"policy", "--bench", "--run", "test_own", "--benchmem=false"}, 0},
		{"a benchmark in Go's format", []string{"policy", "--bench", "--run", "test_own", "-f", "gobench"}, 0},
		{"data at a path", []string{"extra:policy/policy.yaml", "same"}, 0},
		{"a deadline", []string{"policy", "--timeout", "1m", "-z"}, 0},
		{"one at a time", []string{"policy", "-p", "1", "-z"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := execute(t, dir, nil, upstream, append([]string{"test"}, tt.args...)...)
			got := assay(t, dir, tt.args...)
			if tt.code < 0 { // a wrong flag: cobra prints it for one, the program for the other
				if want.Code == 0 || got.Code == 0 {
					t.Errorf("got codes %d and %d, want neither to be 0", want.Code, got.Code)
				}
				return
			}
			want.Output, want.Errors = steady(want.Output), steady(want.Errors)
			got.Output, got.Errors = steady(got.Output), steady(got.Errors)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-opa +assay):\n%s", diff)
			}
			if got.Code != tt.code {
				t.Errorf("code: got %d, want %d", got.Code, tt.code)
			}
		})
	}
}

// TestEnvironmentIsThatOfOPA: flags can be given as OPA_TEST_….
func TestEnvironmentIsThatOfOPA(t *testing.T) {
	t.Parallel()
	dir := unpacked(t, pureRego)
	got := execute(t, dir, []string{"OPA_TEST_EXIT_ZERO_ON_SKIPPED=true"}, os.Args[0], "test", "skipped")
	if got.Code != 0 {
		t.Errorf("got %+v, want code 0", got)
	}
}
