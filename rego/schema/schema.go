// Package schema has JSON schemas of predicates, for Rego's type checker: with one
// of them a misspelt field of a predicate is an error when a policy is compiled, and
// not a rule that is silently undefined.
//
// A rule says of which kind its input is:
//
//	# METADATA
//	# schemas:
//	#   - input: schema.assay.statement.slsa_v1
//	isCompliant if input.predicate.runDetails.builder.id == "…"
//
// There are schemas of each predicate, schema.assay.predicate.NAME, and of the
// statement around it, schema.assay.statement.NAME. They are written from the
// specifications, and refer to nothing outside of themselves. OPA takes an object
// whose properties are listed to have no others; one for which none are listed is
// free-form.
//
// The checker believes the annotation and looks at no document: what a document
// really has is decided by the policy, as ever.
package schema

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

//go:embed statement.json predicate/*.json
var files embed.FS

// root is the first name of all our schemas: others are their authors' own.
const root = "assay"

// Files are the schemas by path, as `opa check --schema DIRECTORY` wants them
// below its directory: assay/predicate/slsa_v1.json is schema.assay.predicate.slsa_v1.
func Files() (map[string][]byte, error) {
	names, err := files.ReadDir("predicate")
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, entry := range names {
		name := entry.Name()
		predicate, err := files.ReadFile(path.Join("predicate", name))
		if err != nil {
			return nil, err
		}
		statement, err := around(predicate)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[path.Join(root, "predicate", name)] = predicate
		out[path.Join(root, "statement", name)] = statement
	}
	return out, nil
}

// FilesFor are [Files], and as in [Set] one that admits everything for each schema of
// others that annotations in the texts name. What is no Rego names none, and neither is
// there a file for a name that no file can have.
func FilesFor(texts []string) (map[string][]byte, error) {
	out, err := Files()
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		for _, name := range names([]*ast.Module{parsed(text)}) {
			if file := fileOf(name); file != "" && !strings.HasPrefix(file, root+"/") {
				out[file] = []byte("{}\n")
			}
		}
	}
	return out, nil
}

// parsed is a text that may have annotations with schemas, in either version of Rego.
func parsed(text string) *ast.Module {
	if !Named(text) {
		return &ast.Module{}
	}
	for _, version := range []ast.RegoVersion{ast.RegoV1, ast.RegoV0} {
		module, err := ast.ParseModuleWithOpts("", text, ast.ParserOptions{RegoVersion: version, ProcessAnnotation: true})
		if err == nil && module != nil {
			return module
		}
	}
	return &ast.Module{}
}

// fileOf is where a directory has the schema of a name.
func fileOf(name ast.Ref) string {
	parts := make([]string, 0, len(name))
	for _, term := range name[1:] {
		part, ok := term.Value.(ast.String)
		if !ok || strings.ContainsAny(string(part), "/\\\x00") {
			return ""
		}
		parts = append(parts, string(part))
	}
	file := strings.Join(parts, "/")
	if !fs.ValidPath(file) || file == "." {
		return ""
	}
	return file + ".json"
}

// around is the schema of a statement with the predicate. Definitions are referred
// to from the root of a schema, so they move there.
func around(predicate []byte) ([]byte, error) {
	text, err := files.ReadFile("statement.json")
	if err != nil {
		return nil, err
	}
	var inner, outer map[string]any
	if err := json.Unmarshal(predicate, &inner); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &outer); err != nil {
		return nil, err
	}
	if definitions, ok := inner["definitions"]; ok {
		outer["definitions"] = definitions
	}
	outer["title"] = fmt.Sprintf("%v in a statement", inner["title"])
	delete(inner, "definitions")
	delete(inner, "$schema")
	outer["properties"].(map[string]any)["predicate"] = inner
	out, err := json.MarshalIndent(outer, "", " ")
	return append(out, '\n'), err
}

// Set is what a compiler of the modules needs: our schemas, and for those of others
// that annotations name, which nobody here has, one that admits everything. One
// below schema.assay that is not there stays unknown, which OPA refuses. Where no
// annotation names any, the set is nil.
func Set(modules ...*ast.Module) (*ast.SchemaSet, error) {
	named := names(modules)
	if len(named) == 0 {
		return nil, nil
	}
	all, err := Files()
	if err != nil {
		return nil, err
	}
	set := ast.NewSchemaSet()
	for _, name := range named {
		if len(name) < 2 || !name[1].Equal(ast.StringTerm(root)) {
			set.Put(name, map[string]any{})
		}
	}
	for _, file := range slices.Sorted(maps.Keys(all)) {
		var schema any
		if err := json.Unmarshal(all[file], &schema); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		set.Put(ref(file), schema)
	}
	return set, nil
}

// names are the schemas that annotations of the modules name.
func names(modules []*ast.Module) []ast.Ref {
	var out []ast.Ref
	for _, module := range modules {
		for _, annotations := range module.Annotations {
			for _, annotation := range annotations.Schemas {
				if len(annotation.Schema) > 0 {
					out = append(out, annotation.Schema)
				}
			}
		}
	}
	return out
}

// Named says whether a text may have annotations that name schemas.
func Named(text string) bool { return strings.Contains(text, "schemas:") }

func ref(file string) ast.Ref {
	out := ast.Ref{ast.SchemaRootDocument}
	for part := range strings.SplitSeq(strings.TrimSuffix(file, ".json"), "/") {
		out = append(out, ast.StringTerm(part))
	}
	return out
}
