package schema_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"

	"github.com/assay-dev/assay/rego/schema"
)

// rule is a module whose rule has an input of a kind.
func rule(kind, body string) string {
	return "package p\n\n# METADATA\n# schemas:\n#   - input: schema." + kind + "\nr if { " + body + " }\n"
}

// check compiles a module as the engine does: without a network.
func check(t *testing.T, text string, set func(*ast.Module) *ast.SchemaSet) error {
	t.Helper()
	module, err := ast.ParseModuleWithOpts("p.rego", text, ast.ParserOptions{ProcessAnnotation: true})
	if err != nil {
		t.Fatal(err)
	}
	capabilities := ast.CapabilitiesForThisVersion()
	capabilities.AllowNet = []string{}
	compiler := ast.NewCompiler().WithCapabilities(capabilities).WithSchemas(set(module)).WithUseTypeCheckAnnotations(true).WithStrict(true)
	if compiler.Compile(map[string]*ast.Module{"p.rego": module}); compiler.Failed() {
		return compiler.Errors
	}
	return nil
}

// fields are, for each schema, a reference that is right and one that is misspelt.
func fields() map[string][][2]string {
	return map[string][][2]string{
		"slsa_v02": {
			{`builder.id == "b"`, `biulder.id == "b"`},
			{`invocation.configSource.digest.sha1 == "a"`, `invocation.configSource.digests.sha1 == "a"`},
			{`materials[_].uri == "a"`, `materials[_].url == "a"`},
			{`invocation.environment.github_ref == "a"`, `invocation.enviroment.github_ref == "a"`},
			{`metadata.completeness.parameters`, `metadata.completeness.params`},
			{`builder.id == "b"`, `builder.id == 1`},
		},
		"slsa_v1": {
			{`runDetails.builder.id == "b"`, `runDetails.builder.ID == "b"`},
			{`buildDefinition.externalParameters.workflow.ref == "a"`, `buildDefinition.externalParamters.workflow.ref == "a"`},
			{`buildDefinition.resolvedDependencies[_].digest.gitCommit == "a"`, `buildDefinition.resolvedDependencies[_].disgest.gitCommit == "a"`},
			{`runDetails.metadata.invocationId == "a"`, `runDetails.metadata.invocationID == "a"`},
		},
		"spdx_v23": {
			{`packages[_].versionInfo == "1"`, `packages[_].version == "1"`},
			{`packages[_].externalRefs[_].referenceLocator == "pkg:a/b"`, `packages[_].externalRefs[_].locator == "pkg:a/b"`},
			{`relationships[_].relationshipType == "CONTAINS"`, `relationship[_].relationshipType == "CONTAINS"`},
			{`creationInfo.created == "1"`, `creationInfo.creation == "1"`},
		},
		"cyclonedx": {
			{`components[_].purl == "pkg:a/b"`, `components[_].prul == "pkg:a/b"`},
			{`components[_].components[_].components[_].name == "a"`, `components[_].components[_].components[_].names == "a"`},
			{`components[_].licenses[_].license.id == "MIT"`, `components[_].licenses[_].id == "MIT"`},
			{`metadata.component["bom-ref"] == "a"`, `metadata.component.bomref == "a"`},
			{`vulnerabilities[_].ratings[_].severity == "high"`, `vulnerabilities[_].rating[_].severity == "high"`},
		},
		"vuln": {
			{`scanner.result.runs[_].results == []`, `scaner.result.runs[_].results == []`},
			{`metadata.scanFinishedOn == "a"`, `metadata.finishedOn == "a"`},
			{`scanner.db.version == "a"`, `scanner.database.version == "a"`},
			{`invocation["builder.id"] == "a"`, `invocation.builder.id == "a"`},
		},
	}
}

func engines(t *testing.T) map[string]func(*ast.Module) *ast.SchemaSet {
	t.Helper()
	dir := t.TempDir()
	files, err := schema.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stock, err := loader.Schemas(dir)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(*ast.Module) *ast.SchemaSet{
		"ours": func(m *ast.Module) *ast.SchemaSet {
			set, err := schema.Set(m)
			if err != nil {
				t.Fatal(err)
			}
			return set
		},
		// opa check --schema DIR
		"stock": func(*ast.Module) *ast.SchemaSet { return stock },
	}
}

// What is misspelt is an error that names it; what is right is none. The same in the
// statement around it, and for the stock opa with the files.
func TestFieldsAreChecked(t *testing.T) {
	t.Parallel()
	for engine, set := range engines(t) {
		for kind, pairs := range fields() {
			for _, prefix := range []string{"assay.predicate." + kind + ": input.", "assay.statement." + kind + ": input.predicate."} {
				name, prefix, _ := strings.Cut(prefix, ": ")
				for _, pair := range pairs {
					if err := check(t, rule(name, prefix+pair[0]), set); err != nil {
						t.Errorf("%s: %s: %s: got %v, want no error", engine, name, pair[0], err)
					}
					err := check(t, rule(name, prefix+pair[1]), set)
					if err == nil || !strings.Contains(err.Error(), "p.rego:6: rego_type_error") {
						t.Errorf("%s: %s: %s: got %v, want a type error of line 6", engine, name, pair[1], err)
					}
				}
			}
		}
	}
	for name := range mustFiles(t) {
		kind := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
		if len(fields()[kind]) == 0 {
			t.Errorf("%s: got no pair of fields of %s, want some", name, kind)
		}
	}
}

func mustFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := schema.Files()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The wrapper is checked as well, and a function reads a statement by way of input.
func TestStatementIsChecked(t *testing.T) {
	t.Parallel()
	const text = `package p

# METADATA
# schemas:
#   - input: schema.assay.statement.slsa_v1
builder := input.predicate.%s.builder.id

built_by(statement, id) if builder == id with input as statement

r if built_by(input.anything, "b")
`
	ours := engines(t)["ours"]
	if err := check(t, fmt.Sprintf(text, "runDetails"), ours); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if err := check(t, fmt.Sprintf(text, "rundetails"), ours); err == nil {
		t.Error("got no error, want one")
	}
	for body, want := range map[string]bool{
		`input.subject[_].digest.sha256 == "a"`: true, `input.subject[_].digests.sha256 == "a"`: false,
		`input.predicateType == "a"`: true, `input.predicate_type == "a"`: false,
	} {
		if err := check(t, rule("assay.statement.vuln", body), ours); (err == nil) != want {
			t.Errorf("%s: got %v, want no error: %t", body, err, want)
		}
	}
}

// Schemas that others bring to their tools are theirs; one that should be ours and
// is not is misspelt itself.
func TestSetKnowsWhoseSchemasAre(t *testing.T) {
	t.Parallel()
	ours := engines(t)["ours"]
	if err := check(t, rule("mine", `input.whatever == 1`), ours); err != nil {
		t.Errorf("a schema of others: got %v, want no error", err)
	}
	err := check(t, rule("assay.statement.slsa_v3", `input.whatever == 1`), ours)
	if err == nil || !strings.Contains(err.Error(), "undefined schema: schema.assay.statement.slsa_v3") {
		t.Errorf("a schema that is not ours: got %v, want it undefined", err)
	}
	module := ast.MustParseModule("package p\nr := 1")
	if set, err := schema.Set(module); set != nil || err != nil {
		t.Errorf("without annotations: got %v, %v, want none", set, err)
	}
}

// No schema names another by URL: nothing is fetched, whatever the capabilities are.
func TestSchemasReferToThemselves(t *testing.T) {
	t.Parallel()
	var walk func(string, any)
	walk = func(name string, value any) {
		switch value := value.(type) {
		case map[string]any:
			if ref, ok := value["$ref"].(string); ok && !strings.HasPrefix(ref, "#/definitions/") {
				t.Errorf("%s: got a reference to %s, want one to its own definitions", name, ref)
			}
			for _, key := range []string{"oneOf", "anyOf", "allOf", "$id", "id"} {
				if _, ok := value[key].(string); ok || key[len(key)-2:] == "Of" && value[key] != nil {
					t.Errorf("%s: got %s, which the type checker reads otherwise than validators", name, key)
				}
			}
			for _, inner := range value {
				walk(name, inner)
			}
		case []any:
			for _, inner := range value {
				walk(name, inner)
			}
		}
	}
	for name, text := range mustFiles(t) {
		var tree any
		if err := json.Unmarshal(text, &tree); err != nil {
			t.Fatal(err)
		}
		walk(name, tree)
	}
}

// TestFilesForNamesOfOthers: each has a schema that admits everything, and none of them
// takes the place of ours or leads out of the directory.
func TestFilesForNamesOfOthers(t *testing.T) {
	t.Parallel()
	ours := mustFiles(t)
	for text, want := range map[string]string{
		rule("mine", "input.x"):                                  "mine.json",
		rule(`team["a-b"].own`, "input.x"):                       "team/a-b/own.json",
		strings.Replace(rule("v0", "input.x"), "r if", "r", 1):   "v0.json",
		rule("assay.statement.slsa_v9", "input.x"):               "",
		rule("assay.predicate.vuln", "input.x"):                  "",
		rule(`a["../../b"]`, "input.x"):                          "",
		rule(`a[".."]["b"]`, "input.x"):                          "",
		rule(`a[".."][".."]["assay"].statement.vuln`, "true"):    "",
		rule(`a["\\"]`, "input.x"):                               "",
		"package p\n\n# METADATA\n# schemas: whatever\nr if 1\n": "",
		"no Rego, with schemas: all the same":                    "",
	} {
		got, err := schema.FilesFor([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		var more []string
		for name := range got {
			if string(ours[name]) != string(got[name]) {
				more = append(more, name)
			}
		}
		if len(got) < len(ours) || strings.Join(more, " ") != want {
			t.Errorf("%s\ngot %q and %d files, want %q beside ours", text, more, len(got), want)
		}
	}
}
