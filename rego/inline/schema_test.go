package inline_test

import (
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/inline"
)

// TestSchemas: where a module says what its input is, a misspelt field is an error of
// the module, in either version of Rego; where it does not, nothing is looked at.
func TestSchemas(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, want string }{
		{"right, v0", "# METADATA\n# schemas:\n#   - input: schema.assay.statement.slsa_v02\nisCompliant { input.predicate.builder.id == \"b\" }", ""},
		{"right, v1", "# METADATA\n# schemas:\n#   - input: schema.assay.statement.slsa_v02\nisCompliant if input.predicate.builder.id == \"b\"", ""},
		{"misspelt, v0", "# METADATA\n# schemas:\n#   - input: schema.assay.statement.slsa_v02\nisCompliant { input.predicate.biulder.id == \"b\" }", "policy.rego:5: rego_type_error: undefined ref: input.predicate.biulder.id"},
		{"misspelt, v1", "# METADATA\n# schemas:\n#   - input: schema.assay.statement.slsa_v02\nisCompliant if input.predicate.biulder.id == \"b\"", "undefined ref: input.predicate.biulder.id"},
		{"misspelt, for the package", "x := 1\n\n# METADATA\n# scope: document\n# schemas:\n#   - input: schema.assay.statement.vuln\nisCompliant { input.predicate.scaner.version == \"1\" }", "undefined ref: input.predicate.scaner.version"},
		{"without an annotation", "isCompliant { input.predicate.biulder.id == \"b\" }", ""},
		{"a schema that is not there", "# METADATA\n# schemas:\n#   - input: schema.assay.slsa\nisCompliant { input.predicate }", "undefined schema: schema.assay.slsa"},
		{"a schema of others", "# METADATA\n# schemas:\n#   - input: schema.mine\nisCompliant { input.anything }", ""},
		{"an annotation that is malformed", "# METADATA\n# schemas: [\nisCompliant { input.predicate.biulder.id == \"b\" }", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			module, err := inline.Compile(t.Context(), []string{"cip", "p", "policy"}, "package sigstore\n"+tt.body)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case tt.want == "" && !module.Answers():
				t.Error("got a module without an answer, want one")
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want …%s…", err, tt.want)
			}
		})
	}
}
