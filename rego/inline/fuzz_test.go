package inline_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/inline"
)

// FuzzCompile wants of any source an error, or a module whose text is Rego of its
// version that compiles to itself, and whose evaluation ends.
func FuzzCompile(f *testing.F) {
	for _, form := range forms() {
		f.Add("package sigstore\n" + form)
	}
	for _, source := range []string{
		"", "package", "package sigstore", "package other\nx = 1", "package sigstore\nimport data.x\nisCompliant { data[x] }",
		"package sigstore\nimport rego.v1\nisCompliant contains x if { some x in data.sigstore.xs }",
		"package sigstore\nisCompliant if $\"{input.a} b\" == \"c\"", "package sigstore\nisCompliant = http.send({})",
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		path := []string{"cip", "p", "policy"}
		module, err := inline.Compile(t.Context(), path, source, inline.WithTimeout(100*time.Millisecond))
		if err != nil {
			return
		}
		version := []ast.RegoVersion{ast.RegoV0, ast.RegoV1}[module.Version()]
		text, err := ast.ParseModuleWithOpts(module.Path(), module.Text(), ast.ParserOptions{RegoVersion: version, ProcessAnnotation: true})
		if err != nil {
			t.Fatalf("got %v for the text of version %d:\n%s", err, module.Version(), module.Text())
		}
		if got, want := text.Package.Path.String(), "data.cip.p.policy"; got != want {
			t.Errorf("got package %s, want %s", got, want)
		}
		for _, document := range documents() {
			start := time.Now()
			module.Evaluate(t.Context(), ast.MustParseTerm(document).Value, at())
			if took := time.Since(start); took > time.Minute {
				t.Errorf("evaluation took %s", took)
			}
		}
	})
}

// FuzzRelocate wants what compiles to have the value that it has alone, in its
// own package and as upstream reads it.
func FuzzRelocate(f *testing.F) {
	for _, form := range forms() {
		f.Add(form, "p")
	}
	f.Add(`isCompliant { not data.sigstore.x }`, "a\"b`c\\d")
	f.Fuzz(func(t *testing.T, body, name string) {
		source := "package sigstore\n" + body
		module, err := inline.Compile(t.Context(), []string{"cip", name, "policy"}, source, inline.WithTimeout(100*time.Millisecond))
		if err != nil {
			return
		}
		if _, err := ast.ParseModuleWithOpts("", source, ast.ParserOptions{RegoVersion: ast.RegoV0}); err != nil {
			return // v1, which upstream does not read
		}
		for _, document := range documents() {
			got, failure := ours(t.Context(), t, module, document)
			if failure != nil && failure.Code != apart.Malformed {
				return // more than we allow
			}
			want, ok := plain(t.Context(), t, source, document)
			if !ok && failure == nil && got == nil {
				continue // a function, for which upstream's query does not compile
			}
			if ok != (failure == nil) {
				t.Errorf("%s: got failure %v, want %v; text:\n%s", document, failure, !ok, module.Text())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: value differs (-want +got):\n%s\ntext:\n%s", document, diff, module.Text())
			}
		}
	})
}
