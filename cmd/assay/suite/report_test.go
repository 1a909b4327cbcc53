package suite

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jstemmer/go-junit-report/v2/junit"
)

// TestJUnit: what CI systems read has every test, each row of a table, and why it
// failed.
func TestJUnit(t *testing.T) {
	t.Parallel()
	dir := unpacked(t, pureRego+`
-- failing/f_test.yaml --
world: {registry: ghcr.io, images: {bare: {}}}
cases:
- {name: wrong, image: "${bare}", want: allowed}
- {name: right, image: "${bare}", want: denied}
`)
	run := assay(t, dir, "failing", "erring", "skipped", "--format", "junit")
	if run.Code != exitFailed || run.Errors != "" {
		t.Errorf("got code %d and errors %q", run.Code, run.Errors)
	}
	var got junit.Testsuites
	if err := xml.Unmarshal([]byte(run.Output), &got); err != nil {
		t.Fatalf("%v\n%s", err, run.Output)
	}
	type row struct{ Suite, File, Name, Failure, Error, Skipped string }
	var rows []row
	for _, suite := range got.Suites {
		for _, c := range suite.Testcases {
			rows = append(rows, row{suite.Name, suite.File, c.Name, dataOf(c.Failure), messageOf(c.Error), messageOf(c.Skipped)})
		}
	}
	if len(rows) != 8 {
		t.Fatalf("got %d test cases, want 8:\n%s", len(rows), run.Output)
	}
	want := []row{
		{Suite: `data.assay.fixtures["failing/f_test.yaml"]`, File: "failing/f_test.yaml", Name: "test_wrong", Failure: rows[0].Failure},
		{Suite: `data.assay.fixtures["failing/f_test.yaml"]`, File: "failing/f_test.yaml", Name: "test_right"},
		{Suite: "data.erring_test", File: "erring/erring_test.rego", Name: "test_conflict", Error: rows[2].Error},
		{Suite: "data.failing_test", File: "failing/failing_test.rego", Name: "test_fails", Failure: "failing/failing_test.rego:3\nx is 1"},
		{Suite: "data.failing_test", File: "failing/failing_test.rego", Name: "test_table/one"},
		{Suite: "data.failing_test", File: "failing/failing_test.rego", Name: "test_table/two", Failure: "failing/failing_test.rego:9"},
		{Suite: "data.failing_test", File: "failing/failing_test.rego", Name: "test_fine"},
		{Suite: "data.skipped", File: "skipped/skipped_test.rego", Name: "todo_test_later", Skipped: "todo"},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Tests != 8 || got.Failures != 3 || got.Errors != 1 || got.Skipped != 1 {
		t.Errorf("totals: got %d tests, %d failures, %d errors, %d skipped, want 8, 3, 1, 1", got.Tests, got.Failures, got.Errors, got.Skipped)
	}
	for _, tt := range []struct{ got, want string }{
		{rows[0].Failure, "failing/f_test.yaml:3\ngot denied, want allowed\nreason: "},
		{rows[2].Error, "erring/erring_test.rego:7: eval_conflict_error: "},
	} {
		if !strings.HasPrefix(tt.got, tt.want) {
			t.Errorf("got %q, want it to begin with %q", tt.got, tt.want)
		}
	}
}

func dataOf(r *junit.Result) string {
	if r == nil {
		return ""
	}
	return r.Data
}

func messageOf(r *junit.Result) string {
	if r == nil {
		return ""
	}
	return r.Message
}
