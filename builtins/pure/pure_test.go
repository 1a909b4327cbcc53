package pure_test

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/sigstore/fulcio"
	"github.com/assay-dev/assay/predicate/purl"
	"github.com/assay-dev/assay/predicate/sbom"
	"github.com/assay-dev/assay/predicate/slsa"
	"github.com/assay-dev/assay/predicate/vex"
	"github.com/assay-dev/assay/predicate/vuln"
)

// TestMembersAreThoseOfTheTypes: what is declared is what is answered, all the way
// down, or policies could ask for what never comes.
func TestMembersAreThoseOfTheTypes(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]reflect.Type{
		"slsa.provenance": reflect.TypeFor[slsa.Provenance](), "sbom.packages": reflect.TypeFor[sbom.Document](),
		"vuln.findings": reflect.TypeFor[vuln.Report](), "vex.apply": reflect.TypeFor[vex.Result](),
		"purl.parse": reflect.TypeFor[purl.PURL](), "x509.extensions": reflect.TypeFor[fulcio.Certificate](),
	} {
		value := builtin(t, name).Members[0]
		members(t, name+".value", value.Members, of)
	}
}

func members(t *testing.T, path string, declared []declare.Field, of reflect.Type) {
	t.Helper()
	var names []string
	for _, field := range declared {
		names = append(names, field.Name)
	}
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		at := slices.Index(names, name)
		if at < 0 {
			t.Errorf("%s.%s: not declared", path, name)
			continue
		}
		inner := of.Field(i).Type
		list := inner.Kind() == reflect.Slice
		for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() {
			if declaredList := strings.HasPrefix(declared[at].Type.String(), "array"); declaredList != list {
				t.Errorf("%s.%s: got a list declared %t, want %t", path, name, declaredList, list)
			}
			members(t, path+"."+name, declared[at].Members, inner)
		}
		names[at] = ""
	}
	for _, name := range names {
		if name != "" {
			t.Errorf("%s.%s: got no such field", path, name)
		}
	}
}

// TestMisspelledMembersDoNotCompile, at every depth.
func TestMisspelledMembersDoNotCompile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ right, wrong string }{
		{`slsa.provenance(input).value.builder.id`, `slsa.provenance(input).value.builder.uri`},
		{`slsa.provenance(input).value.materials[_].digest.sha256`, `slsa.provenance(input).value.materials[_].digests.sha256`},
		{`sbom.packages(input).value.packages[_].licenses[_].expression`, `sbom.packages(input).value.packages[_].licenses[_].spdx`},
		{`vuln.findings(input).value.findings[_].package.purl`, `vuln.findings(input).value.findings[_].package.url`},
		{`vex.apply([], [], [], 0).value.removed[_].statement.status`, `vex.apply([], [], [], 0).value.removed[_].status`},
		{`purl.parse("").value.qualifiers.arch`, `purl.parse("").value.qualifier.arch`},
		{`x509.extensions("").value.not_after`, `x509.extensions("").value.notAfter`},
		{`purl.is_valid("").error.code`, `purl.is_valid("").value`},
	} {
		if _, err := rego.New(rego.Query(tt.right)).PrepareForEval(t.Context()); err != nil {
			t.Errorf("%s: %v", tt.right, err)
		}
		if _, err := rego.New(rego.Query(tt.wrong)).PrepareForEval(t.Context()); err == nil || !strings.Contains(err.Error(), "undefined ref") {
			t.Errorf("%s: got error %v, want an undefined reference", tt.wrong, err)
		}
	}
}

// readers are the builtins that read documents.
func readers() []string {
	return []string{"slsa.provenance(%s)", "sbom.packages(%s)", "vuln.findings(%s)", `vex.apply(object.get({}, "x", %s), [], [], 0)`, `vex.apply([], [%s], ["x"], 0)`}
}

// TestBadDocuments: whatever a document is, it is answered with a code and the name
// of the operand.
func TestBadDocuments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, document string
		codes          []string
		input          func() ast.Value
	}{
		{"null", `null`, []string{"malformed", "unsupported"}, nil},
		{"a number", `1`, []string{"malformed"}, nil},
		{"a set", `{"a", "b"}`, []string{"malformed"}, nil},
		{"a set within", `{"_type": {"a"}}`, []string{"malformed"}, nil},
		{"a member without a name", `{1: 2}`, []string{"malformed"}, nil},
		{"another document", `{"a": 1}`, []string{"malformed", "unsupported"}, nil},
		{"an empty text", `""`, []string{"malformed"}, nil},
		{"a text that is no JSON", `"{"`, []string{"malformed"}, nil},
		{"a text with a key twice", `"{\"a\": 1, \"a\": 2}"`, []string{"malformed"}, nil},
		{"a long text", `input`, []string{"too_large"}, func() ast.Value { return ast.String(strings.Repeat("x", 20<<20)) }},
		{"a long document", `input`, []string{"too_large"}, func() ast.Value { return repeated(strings.Repeat("x", 1000), 20_000) }},
		{"many values", `input`, []string{"too_large"}, func() ast.Value { return repeated("", 1_100_000) }},
		{"a deep document", `json.unmarshal("` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `")`, []string{"too_large"}, nil},
		{"a very deep document", `json.unmarshal("` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `")`, []string{"too_large"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var input ast.Value
			if tt.input != nil {
				input = tt.input()
			}
			calls := readers()
			if input != nil { // which takes time: the operand is read by one function
				calls = []string{"sbom.packages(%s)", `vex.apply([], [%s], ["x"], 0)`}
			}
			for _, call := range calls {
				expression := fmt.Sprintf(call, tt.document)
				code, message := refused(t, evaluated(t, expression, input))
				operand := map[bool]string{true: "documents[0]", false: "document"}[strings.Contains(call, "[%s]")]
				if strings.HasPrefix(call, "vex.apply(object") {
					operand = "findings"
				}
				if !slices.Contains(tt.codes, code) || !strings.HasPrefix(message, operand) || len(message) > 1000 {
					t.Errorf("%.100s: got %s: %.200s, want one of %s, about the %s", expression, code, message, tt.codes, operand)
				}
			}
		})
	}
}

// repeated is an array of the same text.
func repeated(text string, n int) ast.Value {
	elements := make([]*ast.Term, n)
	for i := range elements {
		elements[i] = ast.StringTerm(text)
	}
	return ast.NewArray(elements...)
}

func TestBadOperands(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ call, code, says string }{
		{`purl.parse(json.unmarshal("1"))`, "malformed", "purl: got number, want a string"},
		{`purl.parse("")`, "malformed", "purl: got"},
		{`purl.parse("npm/app")`, "malformed", "purl: got"},
		{`purl.parse(sprintf("pkg:npm/%05000d", [1]))`, "too_large", "purl: got a package URL of"},
		{`purl.is_valid(1)`, "malformed", "purl: got number, want a string"},
		{`purl.is_valid("app")`, "malformed", "purl: got"},
		{`x509.extensions("")`, "malformed", "certificate: got text that is neither PEM nor base64"},
		{`x509.extensions(sprintf("%070000d", [1]))`, "too_large", "certificate: got 70000 bytes, want at most 65536"},
		{`x509.extensions(json.unmarshal("{}"))`, "malformed", "certificate: got object, want a string"},
		{`vex.apply([], json.unmarshal("{}"), [], 0)`, "malformed", "documents: got object, want an array"},
		{`vex.apply([], [], json.unmarshal("[1]"), 0)`, "malformed", "products[0]: got number, want a string"},
		{`vex.apply([], [], [], 0.5)`, "malformed", "at: got number, want a whole number of nanoseconds"},
		{`vex.apply([], [], [], json.unmarshal("\"now\""))`, "malformed", "at: got string"},
		{`vex.apply([], [], [sprintf("%d", [x]) | some x in numbers.range(1, 100)], 0)`, "too_large", "products: got 100"},
		{`vex.apply([{"id": 1}], [], [], 0)`, "malformed", "findings[0].id: got a number, want a string"},
		{`vex.apply([{"id": "CVE-1", "severity": "dreadful"}], [], [], 0)`, "malformed", "findings[0].severity: got"},
		{`vex.apply(json.unmarshal("null"), [], [], 0)`, "malformed", "findings: got null, want a"},
		{`vex.apply(json.unmarshal("{}"), [], [], 0)`, "malformed", "findings: got an object, want a list"},
		{`sbom.packages({"spdxVersion": "SPDX-2.3", "documentDescribes": 1})`, "malformed", "document.documentDescribes: got a number, want a list"},
	} {
		if code, message := refused(t, evaluated(t, tt.call, nil)); code != tt.code || !strings.HasPrefix(message, tt.says) {
			t.Errorf("%s: got %s: %s, want %s: %s", tt.call, code, message, tt.code, tt.says)
		}
	}
}

// TestADocumentIsReadOnce in an evaluation, whichever rules ask for it.
func TestADocumentIsReadOnce(t *testing.T) {
	t.Parallel()
	bctx := topdown.BuiltinContext{Cache: builtins.Cache{}}
	call := func(document string) *ast.Term {
		t.Helper()
		var got *ast.Term
		if err := builtin(t, "sbom.packages").Call(bctx, []*ast.Term{ast.MustParseTerm(document)}, func(answer *ast.Term) error {
			got = answer
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	bill := `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "a"}]}`
	first := call(bill)
	if call(bill) != first {
		t.Error("got another answer for the same document, want the one of before")
	}
	if other := call(strings.Replace(bill, `"a"`, `"b"`, 1)); other == first || other.Equal(first) {
		t.Errorf("got %v for another document, want its own", other)
	}
	for i := range 100 {
		call(fmt.Sprint(i))
	}
	for key, calls := range bctx.Cache {
		if n := reflect.ValueOf(calls).Len(); n > 32 {
			t.Errorf("%v: got %d answers remembered, want 32 at most", key, n)
		}
	}
	bctx.Cache = nil
	if !call(bill).Equal(first) {
		t.Error("got another answer without a cache, want the same")
	}
}

// TestADocumentIsReadWhereverACallStands: with its answer in a variable, or by itself.
func TestADocumentIsReadWhereverACallStands(t *testing.T) {
	t.Parallel()
	got := evaluated(t, `[answer.ok | answer := sbom.packages("{}"); sbom.packages("{}"); other := sbom.packages("{}"); answer == other]`, nil)
	if want := []any{false}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestMemoryIsBounded: a document of the largest size that is read costs some times
// its own, and one that is larger costs nothing much.
func TestMemoryIsBounded(t *testing.T) {
	var bill strings.Builder
	bill.WriteString(`{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [`)
	for i := range 50_000 {
		if i > 0 {
			bill.WriteByte(',')
		}
		fmt.Fprintf(&bill, `{"type": "library", "name": "package-%d", "version": "1.2.%d", "purl": "pkg:npm/package-%d@1.2.%d"}`, i, i, i, i)
	}
	bill.WriteString("]}")
	for _, tt := range []struct {
		name, document string
		ok             bool
		most           uint64 // MB
	}{
		{"the largest", bill.String(), true, 1000},
		// What others allocate meanwhile is counted too.
		{"a million packages", bill.String()[:len(bill.String())-2] + strings.Repeat(`,{"type": "library", "name": "a"}`, 1_000_000) + "]}", false, 8},
		{"100 MB", `{"a": "` + strings.Repeat("x", 100<<20) + `"}`, false, 8},
	} {
		document := ast.StringTerm(tt.document)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var ok bool
		var answer *ast.Term
		if err := builtin(t, "sbom.packages").Call(topdown.BuiltinContext{}, []*ast.Term{document}, func(got *ast.Term) error {
			answer = got
			ok = got.Get(ast.StringTerm("ok")).Equal(ast.BooleanTerm(true))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		took := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s: %d MB of document, %d MB allocated", tt.name, len(tt.document)>>20, took)
		if ok != tt.ok || took > tt.most {
			t.Errorf("%s: got ok %t after %d MB, want %t and at most %d: %.300v", tt.name, ok, took, tt.ok, tt.most, answer)
		}
	}
}
