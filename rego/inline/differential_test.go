package inline_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/inline"
)

// at is the time of the evaluations.
func at() time.Time { return time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC) }

// documents are what the forms are asked about.
func documents() []string {
	return []string{
		`{"a": 1, "b": 2, "list": [3, 4], "nested": {"x": [1, 2], "y": [3]}}`,
		`{"a": 2, "b": 1, "list": []}`,
		`{}`,
		`[1, "a", null]`,
	}
}

// plain evaluates a module as upstream does: alone, in its own package, in v0.
// Undefined is nil; an error stands for every error.
func plain(ctx context.Context, t *testing.T, source, document string) (any, bool) {
	t.Helper()
	results, err := rego.New(
		rego.Query("data.sigstore.isCompliant"),
		rego.ParsedInput(ast.MustParseTerm(document).Value),
		rego.SetRegoVersion(ast.RegoV0),
		rego.Module("sigstore.rego", source),
		rego.Time(at()),
	).Eval(ctx)
	if err != nil {
		return nil, false
	}
	if len(results) == 0 {
		return nil, true
	}
	return results[0].Expressions[0].Value, true
}

// ours is the same of a compiled module.
func ours(ctx context.Context, t *testing.T, module *inline.Module, document string) (any, *apart.Failure) {
	t.Helper()
	value, failure := module.Evaluate(ctx, ast.MustParseTerm(document).Value, at())
	if failure != nil || value == nil {
		return nil, failure
	}
	got, err := ast.JSON(value)
	if err != nil {
		t.Fatal(err)
	}
	return got, nil
}

// TestFormsKeepTheirValue compares every form, moved and printed, with what it
// is alone in package sigstore.
func TestFormsKeepTheirValue(t *testing.T) {
	t.Parallel()
	for name, form := range forms() {
		t.Run("REGO-9: "+name, func(t *testing.T) {
			t.Parallel()
			source := "package sigstore\n" + form
			module, err := inline.Compile(t.Context(), []string{"cip", `a.b/c-"d"`, "policy"}, source)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("v%d:\n%s", module.Version(), module.Text())
			for _, document := range documents() {
				want, ok := plain(t.Context(), t, source, document)
				got, failure := ours(t.Context(), t, module, document)
				if name == "function" { // upstream's query does not compile
					ok = true
				}
				if ok != (failure == nil) {
					t.Errorf("%s: got failure %v, want %v", document, failure, !ok)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: value differs (-want +got):\n%s", document, diff)
				}
			}
		})
	}
}
