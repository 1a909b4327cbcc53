package assay_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
)

// The tables of docs/reference.md are made from the types of rego/cip and rego/resource: paths and
// types by reflection, the meaning from the comments. A comment becomes a row by
// few rules, so that it reads well in both places:
//
//   - only its first paragraph is for users; "Name is" at its start is left out
//   - "text in quotes", [Links] and the names of constants are set as code
//   - what its last sentence says after "Required" or "Default:" is the last column
//   - a type whose comment says "exactly one of" adds that to the rows of its fields
//   - constants of a named type are listed with their comments
//
// The fields of a type stand where it comes first, nearest to the root; elsewhere
// the row says where.

var update = flag.Bool("update", false, "write the golden files anew")

const reference = "docs/reference.md"

// A block begins with the kind and the path below which it has all rows that no
// other block has.
var referenceBlock = regexp.MustCompile(`(?s)(<!-- fields of (\w+): (\S+), written by make golden -->\n).*?(<!-- end -->)`)

func TestReferenceIsMadeFromTheTypes(t *testing.T) {
	t.Parallel()
	text, comments := read(t, reference), readComments(t, "rego/cip", "rego/resource")
	blocks := referenceBlock.FindAllStringSubmatch(text, -1)
	written := map[string]string{}
	for kind, schema := range map[string]reflect.Type{
		"ClusterImagePolicy": reflect.TypeFor[cip.Spec](), "TrustRoot": reflect.TypeFor[cip.TrustRootSpec](),
		resource.RegoPolicyKind: reflect.TypeFor[resource.RegoPolicySpec](), resource.WorkloadPathsKind: reflect.TypeFor[resource.WorkloadPathsSpec](),
	} {
		for _, row := range comments.rows(t, schema) {
			home := ""
			for _, block := range blocks {
				if block[2] == kind && strings.HasPrefix(row.path, block[3]) && len(block[3]) > len(home) {
					home = block[3]
				}
			}
			if home == "" {
				t.Errorf("%s: got no block for %s of %s", reference, row.path, kind)
			}
			written[kind+" "+home] += row.String()
		}
	}
	got := referenceBlock.ReplaceAllStringFunc(text, func(block string) string {
		parts := referenceBlock.FindStringSubmatch(block)
		head := "\n| field | type | meaning | default |\n|---|---|---|---|\n"
		return parts[1] + head + written[parts[2]+" "+parts[3]] + "\n" + parts[4]
	})
	if *update {
		if err := os.WriteFile(reference, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text, got); diff != "" {
		t.Errorf("%s is older than the types, run make golden (-want +got):\n%s", reference, diff)
	}
}

// comments are the first paragraphs of the comments of a package: of types under
// their names, of fields and constants under Type.Name.
type comments struct {
	texts map[string]string
	// values are those of constants of named types, in their order.
	values map[string][]value
	// fields are the names in JSON of the fields of structs.
	fields map[string]string
}

type value struct{ name, text string }

// referenceRow is a field of a resource.
type referenceRow struct{ path, kind, meaning, preset string }

func (r referenceRow) String() string {
	if r.preset != "" {
		r.preset += " "
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s|\n", r.path, r.kind, r.meaning, r.preset)
}

func readComments(t *testing.T, dirs ...string) comments {
	t.Helper()
	var paths []string
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	out := comments{texts: map[string]string{}, values: map[string][]value{}, fields: map[string]string{}}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			if general, ok := declaration.(*ast.GenDecl); ok {
				out.declaration(general)
			}
		}
	}
	return out
}

func (c *comments) declaration(declaration *ast.GenDecl) {
	for _, spec := range declaration.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			c.texts[spec.Name.Name] = paragraph(declaration.Doc)
			if structure, ok := spec.Type.(*ast.StructType); ok {
				c.structure(spec.Name.Name, structure)
			}
		case *ast.ValueSpec:
			of, named := spec.Type.(*ast.Ident)
			if declaration.Tok != token.CONST || !named {
				continue
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				continue
			}
			text, _ := strconv.Unquote(literal.Value)
			c.texts[of.Name+"."+spec.Names[0].Name] = paragraph(spec.Doc)
			c.values[of.Name] = append(c.values[of.Name], value{spec.Names[0].Name, text})
		}
	}
}

func (c *comments) structure(name string, structure *ast.StructType) {
	for _, field := range structure.Fields.List {
		for _, ident := range field.Names {
			c.texts[name+"."+ident.Name] = paragraph(field.Doc)
			if field.Tag != nil {
				tag, _ := strconv.Unquote(field.Tag.Value)
				c.fields[name+"."+ident.Name], _, _ = strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			}
		}
	}
}

// paragraph is the first of a comment, on one line.
func paragraph(doc *ast.CommentGroup) string {
	first, _, _ := strings.Cut(doc.Text(), "\n\n")
	return strings.Join(strings.Fields(first), " ")
}

// rows are all fields below spec, each before those within it.
func (c *comments) rows(t *testing.T, schema reflect.Type) []referenceRow {
	t.Helper()
	homes := homesOf(schema)
	var out []referenceRow
	var walk func(path string, of reflect.Type)
	walk = func(path string, of reflect.Type) {
		for i := range of.NumField() {
			field := of.Field(i)
			row, inner, below := c.row(t, path, of, field)
			if inner != nil && homes[inner] != below {
				row.meaning += fmt.Sprintf(". Fields as of `%s`", homes[inner])
			}
			out = append(out, row)
			if inner != nil && homes[inner] == below {
				walk(below, inner)
			}
		}
	}
	walk("spec", schema)
	return out
}

// homesOf says where each type has its rows: nearest to the root.
func homesOf(schema reflect.Type) map[reflect.Type]string {
	homes := map[reflect.Type]string{schema: "spec"}
	for queue := []reflect.Type{schema}; len(queue) > 0; queue = queue[1:] {
		for i := range queue[0].NumField() {
			_, inner, list := shape(queue[0].Field(i).Type)
			if _, known := homes[inner]; inner != nil && !known {
				homes[inner] = below(homes[queue[0]], queue[0].Field(i), list)
				queue = append(queue, inner)
			}
		}
	}
	return homes
}

func below(path string, field reflect.StructField, list bool) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if path += "." + name; list {
		path += "[]"
	}
	return path
}

// shape is what a reader of YAML calls a type, and the struct that it is made of,
// where it is one of ours.
func shape(of reflect.Type) (kind string, inner reflect.Type, list bool) {
	switch {
	case of.Kind() == reflect.Pointer:
		return shape(of.Elem())
	case of == reflect.TypeFor[time.Time]():
		return "time (RFC 3339)", nil, false
	case of == reflect.TypeFor[cip.URL]():
		return "URL", nil, false
	case of == reflect.TypeFor[[]byte]():
		return "base64", nil, false
	case of.Kind() == reflect.Slice:
		kind, inner, _ = shape(of.Elem())
		return "list of " + kind + "s", inner, true
	case of.Kind() == reflect.Struct:
		return "object", of, false
	case of.Kind() == reflect.Map && of.Elem().Kind() == reflect.Interface:
		return "object", nil, false
	case of.Kind() == reflect.Map:
		return "map of strings", nil, false
	case of.Kind() == reflect.Bool:
		return "boolean", nil, false
	}
	return of.Kind().String(), nil, false
}

func (c *comments) row(t *testing.T, path string, of reflect.Type, field reflect.StructField) (referenceRow, reflect.Type, string) {
	t.Helper()
	kind, inner, list := shape(field.Type)
	text := c.texts[of.Name()+"."+field.Name]
	if text == "" {
		t.Errorf("rego/cip: %s.%s: got no comment, want one: it is what users read", of.Name(), field.Name)
	}
	text, preset := cutPreset(text)
	meaning := c.plain(text, field.Name, c.fields[of.Name()+"."+field.Name])
	if inner != nil {
		if _, constraint, found := strings.Cut(c.texts[inner.Name()], "exactly one of "); found {
			constraint, _, _ = strings.Cut(constraint, ". ")
			meaning += map[bool]string{true: ". Each has e", false: ". E"}[list] + "xactly one of " +
				c.plain(strings.TrimSuffix(constraint, "."), "", "")
		}
	}
	for i, v := range c.values[field.Type.Name()] {
		separator := map[bool]string{true: ". ", false: "; "}[i == 0]
		meaning += separator + c.plain(strings.TrimSuffix(c.texts[field.Type.Name()+"."+v.name], "."), v.name, v.text)
	}
	at := below(path, field, false)
	return referenceRow{path: at, kind: kind, meaning: meaning, preset: c.plain(preset, "", "")}, inner, below(path, field, list)
}

var presetSentence = regexp.MustCompile(`(?:^|\. )(Required[^.]*|Default: .*)\.$`)

// cutPreset takes the last sentence away if it is about the default.
func cutPreset(text string) (meaning, preset string) {
	at := presetSentence.FindStringSubmatchIndex(text)
	if at == nil {
		return strings.TrimSuffix(text, "."), ""
	}
	preset = strings.TrimPrefix(text[at[2]:at[3]], "Default: ")
	if rest, required := strings.CutPrefix(preset, "Required"); required {
		preset = "required" + rest
	}
	return text[:at[0]], preset
}

var (
	quoted = regexp.MustCompile(`"([^"]+)"`)
	linked = regexp.MustCompile(`\[([A-Za-z0-9]+\.[A-Za-z0-9]+)\]`)
)

// plain is the text without the name of what it is about, if it starts with it
// and with "is"; otherwise with the name that users know.
func (c *comments) plain(text, name, public string) string {
	if rest, found := strings.CutPrefix(text, name+" "); found && name != "" {
		switch verb, object, _ := strings.Cut(rest, " "); {
		case (verb == "is" || verb == "are") && !c.constant(name):
			text = object
		default:
			text = "`" + public + "` " + rest
		}
	}
	text = quoted.ReplaceAllString(text, "`$1`")
	return linked.ReplaceAllStringFunc(text, func(link string) string { return "`" + c.fields[strings.Trim(link, "[]")] + "`" })
}

// constant says whether the name is that of a constant: its value is the point.
func (c *comments) constant(name string) bool {
	for _, values := range c.values {
		if slices.ContainsFunc(values, func(v value) bool { return v.name == name }) {
			return true
		}
	}
	return false
}
