package inline_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego/inline"
)

// compile compiles a module that stands in package sigstore.
func compile(t testing.TB, body string, options ...inline.Option) *inline.Module {
	t.Helper()
	module, err := inline.Compile(t.Context(), []string{"cip", "p", "policy"}, "package sigstore\n"+body, options...)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// TestRefusals names each thing that an inline module may not be, do or see.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const impure, foreign = "undefined function ", "got a reference to "
	for name, c := range map[string]struct{ source, want string }{
		"REGO-1: another package":       {"package other\nisCompliant { true }", "got package other, want package sigstore"},
		"REGO-1: a package below":       {"package sigstore.sub\nisCompliant { true }", "got package sigstore.sub, want package sigstore"},
		"REGO-1: two packages":          {"package sigstore\npackage sigstore\nisCompliant { true }", "unexpected package"},
		"REGO-1: no package":            {"isCompliant { true }", "package expected"},
		"neither v0 nor v1, seen as v1": {"package sigstore\nisCompliant if true\n\nx if {", "cip/p/policy.rego:4"},
		"neither v0 nor v1, seen as v0": {"package sigstore\nisCompliant { true }\n\nx {", "cip/p/policy.rego:4"},
		"empty":                         {"", "empty module"},
		"blank":                         {" \t\r\n", "empty module"},
		"comments only":                 {"# package sigstore\n", "empty module"},
		"bytes that are no text":        {"package sigstore\nx = \"\xff\"", "no UTF-8"},
		"a NUL":                         {"package sigstore\nx = \"a\x00\"", "illegal"},
		"a module of 1 MB":              {"package sigstore\n" + strings.Repeat("# comment\n", 100_000), "got 1000017 bytes, want at most 262144"},
		"brackets without end":          {"package sigstore\nx = " + strings.Repeat("[", 100_000), "brackets 100000 deep, want at most 200"},
		"brackets that close":           {"package sigstore\nx = " + strings.Repeat("[", 201) + strings.Repeat("]", 201), "brackets 201 deep"},
		"braces that close":             {"package sigstore\nx = " + strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500), "brackets 500 deep"},
		"an unsafe variable":            {"package sigstore\nisCompliant { x > 1 }", "var x is unsafe"},
		"recursion":                     {"package sigstore\nisCompliant { isCompliant }", "recursive"},
		"default and set":               {"package sigstore\ndefault isCompliant = false\nisCompliant[x] { x := 1 }", "conflicting rules"},

		// REGO-8, T26: nothing that reaches the world, by any name.
		"REGO-8: http.send":           {call(`http.send({"method": "get", "url": "http://x"})`), impure + "http.send"},
		"REGO-8: net.lookup_ip_addr":  {call(`net.lookup_ip_addr("x")`), impure + "net.lookup_ip_addr"},
		"REGO-8: opa.runtime":         {call(`opa.runtime()`), impure + "opa.runtime"},
		"REGO-8: rand.intn":           {call(`rand.intn("x", 5)`), impure + "rand.intn"},
		"REGO-8: uuid.rfc4122":        {call(`uuid.rfc4122("x")`), impure + "uuid.rfc4122"},
		"REGO-8: trace":               {call(`trace("x")`), impure + "trace"},
		"REGO-8: rego.parse_module":   {call(`rego.parse_module("x", "package x")`), impure + "rego.parse_module"},
		"REGO-8: rego.metadata.rule":  {call(`rego.metadata.rule()`), "rego.metadata.rule"},
		"REGO-8: rego.metadata.chain": {call(`rego.metadata.chain()`), "rego.metadata.chain"},
		"REGO-8: json.match_schema":   {call(`json.match_schema({}, {"$ref": "http://x"})`), impure + "json.match_schema"},
		"REGO-8: json.verify_schema":  {call(`json.verify_schema({"$ref": "http://x"})`), impure + "json.verify_schema"},
		"REGO-8: io.jwt.encode_sign":  {call(`io.jwt.encode_sign({}, {}, {})`), impure + "io.jwt.encode_sign"},
		"REGO-8: io.jwt.encode_sign_raw": {
			call(`io.jwt.encode_sign_raw("", "", "")`), impure + "io.jwt.encode_sign_raw"},
		"REGO-8: io.jwt.decode_verify": {call(`io.jwt.decode_verify("", {})`), impure + "io.jwt.decode_verify"},
		"REGO-8: in a comprehension":   {call(`[y | y := http.send({})]`), impure + "http.send"},
		"REGO-8: in a set":             {call(`{http.send({})}`), impure + "http.send"},
		"REGO-8: in an object's key":   {call(`{http.send({}): 1}`), impure + "http.send"},
		"REGO-8: in not":               {"package sigstore\nisCompliant { not http.send({}) }", impure + "http.send"},
		"REGO-8: in every":             {"package sigstore\nimport future.keywords\nisCompliant { every x in [1] { http.send({}) } }", impure + "http.send"},
		"REGO-8: in a head":            {"package sigstore\nisCompliant = http.send({}) { true }", impure + "http.send"},
		"REGO-8: in a function":        {"package sigstore\nf(x) = y { y := http.send(x) }\nisCompliant { f({}) }", impure + "http.send"},
		"REGO-8: in else":              {"package sigstore\nisCompliant { false } else = x { x := http.send({}) }", impure + "http.send"},
		"T26: with a function as http.send": {
			"package sigstore\nf(x) = 1\nisCompliant { f({}) with data.sigstore.f as http.send }", "var http is unsafe"},
		"T26: with a builtin as http.send": {
			"package sigstore\nisCompliant { count([1]) with count as http.send }", "var http is unsafe"},
		"T26: with an input as http.send": {
			"package sigstore\nisCompliant { input.x with input.x as http.send({}) }", impure + "http.send"},
		"T26: with http.send as a function": {
			"package sigstore\nf(x) = 1\nisCompliant { f(1) with http.send as f }", "with keyword target must reference existing"},
		"T26: by a rule of the same name": {
			"package sigstore\nhttp = {\"x\": 1}\nisCompliant { http.send({}) }", "http.send"},

		// 9e: nothing without end that does not look at the clock.
		"9e: bits.lsh":                {call(`bits.lsh(1, 2000000000)`), impure + "bits.lsh"},
		"9e: graph.reachable_paths":   {call(`graph.reachable_paths({}, {"a"})`), impure + "graph.reachable_paths"},
		"9e: strings.render_template": {call(`strings.render_template("{{.}}", {})`), impure + "strings.render_template"},
		"9e: graphql.parse_query":     {call(`graphql.parse_query("{a}")`), impure + "graphql.parse_query"},

		"9e: literals of literals":             {"package sigstore\nisCompliant { x0 := [1]; " + nesting(40) + "x40 == input }", "literals in literals"},
		"9e: literals of literals, backwards":  {"package sigstore\n" + rules(40) + "isCompliant { x40 == input }", "literals in literals"},
		"9e: literals of literals, of objects": {"package sigstore\nisCompliant { x0 := {}; " + strings.NewReplacer("[", `{"a": `, ", ", `, "b": `, "]", "}").Replace(nesting(40)) + "x40 == input }", "literals in literals"},

		// 9d: nothing of what others say.
		"9d: all data":                  {call(`data`), foreign + "data,"},
		"9d: data of the library":       {call(`data.assay.config`), foreign + "data.assay.config"},
		"9d: another policy":            {call(`data.cip.other.policy`), foreign + "data.cip.other.policy"},
		"9d: where it will stand":       {call(`data.cip.p.policy.isCompliant`), foreign + "data.cip.p.policy"},
		"9d: a policy by variable":      {call(`data.cip[y].policy`), foreign},
		"9d: in brackets":               {call(`data["assay"]["config"]`), foreign + "data.assay.config"},
		"9d: print":                     {"package sigstore\nisCompliant { print(data.assay) }", foreign + "data.assay"},
		"9d: print of all data":         {"package sigstore\nisCompliant { print(data) }", foreign + "data,"},
		"9d: walk":                      {"package sigstore\nisCompliant { walk(data, [p, v]) }", foreign + "data,"},
		"9d: with a value":              {"package sigstore\nisCompliant { input.x with input.x as data.assay }", foreign + "data.assay"},
		"9d: with a target":             {"package sigstore\nisCompliant { true with data.assay.config as 1 }", foreign + "data.assay.config"},
		"9d: with a target by variable": {"package sigstore\nx { true }\nisCompliant { x with data as {} }", foreign + "data,"},
		"9d: an import":                 {"package sigstore\nimport data.assay.config as c\nisCompliant { c.x }", foreign + "data.assay.config"},
		"9d: an import that is not used": {
			"package sigstore\nimport data.assay.config\nisCompliant { true }", foreign + "data.assay.config"},
		"9d: an import of all data": {"package sigstore\nimport data as d\nisCompliant { d.assay }", foreign + "data,"},
		"9d: an import as data":     {"package sigstore\nimport input.x as data\nisCompliant { data.sigstore.y }", "must not be a reserved name, got: data"},
		"9d: a longer name":         {call(`data.sigstore2.x`), foreign + "data.sigstore2.x"},
		"9d: in a head":             {"package sigstore\nisCompliant = data.assay.config { true }", foreign + "data.assay.config"},
		"9d: in a default":          {"package sigstore\ndefault isCompliant = data.assay", "default"},
		"9d: in else":               {"package sigstore\nisCompliant { false } else = data.assay.x { true }", foreign + "data.assay.x"},
		"9d: in a comprehension":    {call(`[y | y := data.assay[_]]`), foreign + "data.assay"},
		"9d: inside of a reference": {call(`input[data.assay.x]`), foreign + "data.assay.x"},
		"9d: a call":                {call(`data.assay.verify.signatures("x", {})`), "data.assay.verify.signatures"},

		// 9b: what the move would change.
		"9b: data by a variable, which fails open": {
			"package sigstore\nbad { true }\nisCompliant { x := \"sigstore\"; not data[x].bad }", foreign},
		"9b: data by an input, which fails open": {
			"package sigstore\nbad { true }\nisCompliant { not data[input.x].bad }", foreign},
		"9b: data given to a function": {"package sigstore\nf(x) { x }\nisCompliant { f(data) }", foreign + "data,"},
		"9b: an argument named data":   {"package sigstore\nf(data) { data }\nisCompliant { f(1) }", "data"},
		"9b: a local named data beside a self reference": {
			"package sigstore\nbad { true }\nok { data := {\"sigstore\": input}; not data.sigstore.bad }\nisCompliant { ok }",
			"data is also the name of a variable or a rule"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inline.Compile(t.Context(), []string{"cip", "p", "policy"}, c.source)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q in it", err, c.want)
			}
		})
	}
}

// call is a module that assigns an expression.
func call(expression string) string {
	return "package sigstore\nisCompliant { x := " + expression + "; x }"
}

// TestNoFalseAlarm has names that look like what is refused.
func TestNoFalseAlarm(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"9d: a rule named http":          "http = {\"send\": 1}\nisCompliant { http.send == 1 }",
		"9d: a local named http":         `isCompliant { http := {"send": 1}; http.send == 1 }`,
		"9d: an argument named http":     "f(http) { http.send == 1 }\nisCompliant { f({\"send\": 1}) }",
		"9d: a local named data":         `isCompliant { data := {"assay": 1}; data.assay == 1 }`,
		"9d: a local named data by some": `isCompliant { some data; data = {"assay": 1}; data.assay == 1 }`,
		"9d: with on an own rule":        "bad { true }\nisCompliant { not bad with bad as false }",
		"9d: with on an own path":        "bad { true }\nisCompliant { not bad with data.sigstore.bad as false }",
		"9d: a string that says data":    `isCompliant { x := "data.assay http.send(1)"; x }`,
		"a module that is only v1":       "isCompliant if { some x in [1]; x == 1 }",
		"a set that is only v1":          "xs contains 1\nisCompliant if 1 in xs",
		"many rules":                     "isCompliant { true }\n" + strings.Repeat("x { input.a == 1 }\n", 2_000),
		"200 brackets":                   "x = " + strings.Repeat("[", 199) + strings.Repeat("]", 199) + "\nisCompliant { true }",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, failure := ours(t.Context(), t, compile(t, body), `{}`)
			if failure != nil || got != true {
				t.Errorf("got %v, %v, want true", got, failure)
			}
		})
	}
}

// TestPathsAndOptionsRefused names what a caller can get wrong.
func TestPathsAndOptionsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path    []string
		options []inline.Option
		want    string
	}{
		"no path":               {nil, nil, "path: got none"},
		"an empty name":         {[]string{"cip", "", "policy"}, nil, "path: got"},
		"a name that is none":   {[]string{"cip", "\xff"}, nil, "path: got"},
		"a timeout of nothing":  {[]string{"cip"}, []inline.Option{inline.WithTimeout(0)}, "timeout: got 0s"},
		"an input of less":      {[]string{"cip"}, []inline.Option{inline.WithMaxInput(-1)}, "max input: got -1"},
		"a name of odd letters": {[]string{"cip", "a.b/c-\"d\"`\\\n\u202e", "policy"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inline.Compile(t.Context(), c.path, "package sigstore\nisCompliant { true }", c.options...)
			if got := fmt.Sprint(err); !strings.Contains(got, c.want) || c.want == "" && err != nil {
				t.Errorf("got error %q, want %q in it", got, c.want)
			}
		})
	}
}

// TestCompileEnds: neither a caller that has left nor a bomb is waited for.
func TestCompileEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	_, err := inline.Compile(ctx, []string{"cip"}, "package sigstore\n"+strings.Repeat("x { input.a == 1 }\n", 10_000))
	if err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got error %v, want canceled in it", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %s for a caller that had left", took)
	}
}
