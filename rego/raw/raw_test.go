package raw_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/lib"
	"github.com/assay-dev/assay/rego/raw"
)

func TestMain(m *testing.M) {
	builtins.Register() // rego/lib calls them
	os.Exit(m.Run())
}

// compile compiles files with rego/lib beside them.
func compile(t testing.TB, source raw.Source) *raw.Policies {
	t.Helper()
	library, err := lib.Modules()
	if err != nil {
		t.Fatal(err)
	}
	source.Library = library
	out, err := raw.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// judge asks a policy about a review in JSON.
func judge(t testing.TB, p *raw.Policy, review string) (raw.Answer, *apart.Failure) {
	t.Helper()
	return p.Judge(t.Context(), raw.Asked{Review: ast.MustParseTerm(review).Value, Now: time.Unix(1, 0)})
}

// denies is what a policy denies of a review, as JSON.
func denies(t testing.TB, p *raw.Policy, review string) string {
	t.Helper()
	answer, failure := judge(t, p, review)
	if failure != nil {
		return "failure: " + failure.Message
	}
	return answer.Deny.String()
}

func TestFilesBelongToPolicies(t *testing.T) {
	t.Parallel()
	policies := compile(t, raw.Source{Modules: map[string]string{
		"a.rego": "package kubernetes.admission\n\ndeny contains \"a\"\n",
		"b.rego": "package kubernetes.admission\n\ndeny contains \"b\" if data.kubernetes.admission.more.yes\n",
		"c.rego": "package kubernetes.admission.more\n\nyes := true\n",
		"d.rego": "package policies.one\n\ndeny contains x if some x in data.policies.one.sub.found\n",
		"e.rego": "package policies.one.sub\n\nfound contains \"d\"\n",
		"f.rego": "package policies[\"two.and/three-4\"]\n\nwarn := \"w\"\n",
		"g.rego": "package kubernetes.helpers\n\nx := 1\n",
		"h.rego": "package unused\n\nx := y\n", // does not compile, and nobody wants it
	}})
	got := map[string]string{}
	for _, p := range policies.All() {
		got[p.Name] = denies(t, p, "{}")
	}
	want := map[string]string{"kubernetes.admission": `["a", "b"]`, "one": `["d"]`, "two.and/three-4": "[]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if policies.Policy("one") == nil || policies.Policy("sub") != nil {
		t.Error("got another policy by name")
	}
}

// TestLibraries are compiled with the policies that refer to them, and through each other.
func TestLibraries(t *testing.T) {
	t.Parallel()
	libraries := map[string]string{
		"first.rego":  "package lib.first\n\nimport data.lib.second\n\nanswer := second.answer\n",
		"second.rego": "package lib.second\n\nanswer := 42\n",
		"broken.rego": "package broken\n\nanswer := 1 + \"x\"\n",
	}
	for name, tt := range map[string]struct{ body, want string }{
		"imported":                {"import data.lib.first\n\ndeny contains first.answer", "[42]"},
		"imported as another":     {"import data.lib.first as f\n\ndeny contains f.answer", "[42]"},
		"a whole tree":            {"import data.lib\n\ndeny contains lib.first.answer", "[42]"},
		"by its path":             {"deny contains data.lib.second.answer", "[42]"},
		"any of a tree":           {"deny contains x if x := data.lib[_].answer", "[42]"},
		"the product's":           {"import data.assay.images\n\ndeny contains count(images.found)", "[0]"},
		"settings":                {"deny contains data.assay.config.no_match", `["deny"]`},
		"one that is broken":      {"deny contains data.broken.answer", "failure: broken.rego:3: rego_type_error: plus: invalid argument(s)"},
		"one that is not there":   {"deny contains data.lib.third.answer", "failure: policy.rego:3: rego_compile_error: got a reference to data.lib.third.answer, which no module and no data document defines"},
		"a rule that is not":      {"import data.lib\n\ndeny contains 1 if not lib.first.ansewr", "failure: policy.rego:5: rego_compile_error: got a reference to data.lib.first.ansewr, which no module and no data document defines"},
		"the product's admission": {"import data.assay.admission\n\ndeny contains 1 if admission.allowed", "none of this policy's"},
		"the product's questions": {"deny contains 1 if data.assay.raw.asked[_]", "undefined function assay.policy"},
		"the settings of all":     {"deny contains 1 if data.assay[_].no_match", "none of this policy's"},
		"the product's index":     {"deny contains 1 if data.cip_index.candidates[_]", "none of this policy's"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			modules := map[string]string{"policy.rego": "package policies.p\n\n" + tt.body + "\n"}
			for path, text := range libraries {
				modules[path] = text
			}
			policies := compile(t, raw.Source{Modules: modules, Config: map[string]any{"no_match": "deny"}})
			got := denies(t, policies.Policy("p"), `{"request": {"kind": {"group": "", "kind": "Pod"}, "object": {}}}`)
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestData(t *testing.T) {
	t.Parallel()
	data := map[string]any{
		"teams": map[string]any{"known": []any{"a"}}, "kubernetes": map[string]any{"namespaces": map[string]any{}},
		"policies": map[string]any{"p": map[string]any{"limit": 3}, "other": map[string]any{"limit": 4}},
	}
	for name, tt := range map[string]struct{ body, want string }{
		"a document":              {"deny := data.teams.known", `["a"]`},
		"a name that is an input": {"deny := [x | x := data.teams[input.x]]", "[]"},
		"its own":                 {"deny := data.policies.p.limit", "3"},
		"another policy's":        {"deny := data.policies.other.limit", "which is none of this policy's"},
		"one that is empty":       {"deny := [x | some x in data.kubernetes.namespaces]", "[]"},
		"one that is not there":   {"deny := data.teams.unknown", "which no module and no data document defines"},
		"below no object":         {"deny := data.teams.known.x", "which no module and no data document defines"},
		"one that a mock makes":   {"deny := x if x := data.teams.nothing with data.teams.nothing as 1", "which no module and no data document defines"},
		"where a rule stands":     {"limit := 5\n\ndeny := limit", "conflict"},
		"all with policies in it": {"deny := data.kubernetes[_]", "which has policies in it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policies := compile(t, raw.Source{Data: data, Modules: map[string]string{"p.rego": "package policies.p\n\n" + tt.body + "\n"}})
			if got := denies(t, policies.Policy("p"), "{}"); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestMode(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body  string
		warns bool
		mode  string
	}{
		"none":                {"", false, "null"},
		"warn":                {`mode := "warn"`, true, `"warn"`},
		"enforce":             {`mode := "enforce"`, false, `"enforce"`},
		"on a condition":      {`mode := "warn" if input.soft`, false, `"warn"`},
		"with a default":      {"default mode := \"enforce\"\n\nmode := \"warn\" if input.soft", false, `"warn"`},
		"the default":         {"default mode := \"warn\"\n\nmode := \"enforce\" if input.hard", false, `"warn"`},
		"otherwise":           {"mode := \"warn\" if {\n\tinput.soft\n} else := \"enforce\"", false, `"warn"`},
		"a set":               {`mode contains "warn"`, false, `["warn"]`},
		"of another package":  {"mode_of := data.policies.p.sub.mode", false, "null"},
		"an object of a name": {`mode.warn := "warn"`, false, `{"warn": "warn"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, raw.Source{Modules: map[string]string{
				"p.rego": "package policies.p\n\ndeny := false\n\n" + tt.body + "\n", "sub.rego": "package policies.p.sub\n\nmode := \"warn\"\n",
			}}).Policy("p")
			answer, failure := judge(t, p, `{"soft": true}`)
			if failure != nil {
				t.Fatal(failure.Message)
			}
			if p.Warns() != tt.warns || answer.Mode.String() != tt.mode {
				t.Errorf("got %t and %s, want %t and %s", p.Warns(), answer.Mode, tt.warns, tt.mode)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		metadata string
		want     raw.Metadata
	}{
		"none":        {"", raw.Metadata{}},
		"a comment":   {"# title: x\n", raw.Metadata{}},
		"of subtrees": {"# METADATA\n# scope: subpackages\n# title: T\n", raw.Metadata{Title: "T"}},
		"all of it": {
			"# METADATA\n# title: T\n# description: D\n# related_resources: [https://a.example, https://b.example]\n# organizations: [o]\n# authors: [jane <jane@example.com>]\n# custom: {severity: high}\n",
			raw.Metadata{Title: "T", Description: "D", Severity: "high", Docs: "https://a.example", Owner: "o"},
		},
		"custom first": {
			"# METADATA\n# related_resources: [https://a.example]\n# organizations: [o]\n# custom: {severity: 7, docs: https://c.example, owner: me}\n",
			raw.Metadata{Severity: "7", Docs: "https://c.example", Owner: "me"},
		},
		"an author": {"# METADATA\n# authors: [jane <jane@example.com>]\n", raw.Metadata{Owner: "jane <jane@example.com>"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, raw.Source{Modules: map[string]string{
				"p.rego":   tt.metadata + "package policies.p\n\n# METADATA\n# title: a rule\ndeny := false\n",
				"sub.rego": "# METADATA\n# title: below\npackage policies.p.sub\n",
			}}).Policy("p")
			if diff := cmp.Diff(tt.want, p.Metadata); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestMetadataOfTwoFiles: which of them is meant nobody can say.
func TestMetadataOfTwoFiles(t *testing.T) {
	t.Parallel()
	const text = "# METADATA\n# title: T\npackage policies.p\n\ndeny := false\n"
	p := compile(t, raw.Source{Modules: map[string]string{"a.rego": text, "b.rego": text}}).Policy("p")
	if f := p.Failure(); f == nil || !strings.Contains(f.Message, "package annotation redeclared") {
		t.Errorf("got %+v, want a policy that fails", f)
	}
}

// TestVersionZero is for those who ask for it.
func TestVersionZero(t *testing.T) {
	t.Parallel()
	policies := compile(t, raw.Source{V0: true, Modules: map[string]string{
		"old.rego": "package kubernetes.admission\n\nimport data.lib\n\ndeny[msg] {\n\tlib.yes\n\tmsg := \"old\"\n}\n",
		"new.rego": "package lib\n\nyes if input.a == 1\n",
	}})
	if got := denies(t, policies.Policy("kubernetes.admission"), `{"a": 1}`); got != `["old"]` {
		t.Errorf("got %s, want old", got)
	}
	for _, text := range policies.Texts() {
		if text.V0 != (text.File == "old.rego") {
			t.Errorf("%s: got version 0 %t", text.File, text.V0)
		}
	}
}

// TestWhatIsOffIsTurnedOnSingly.
func TestWhatIsOffIsTurnedOnSingly(t *testing.T) {
	t.Parallel()
	modules := map[string]string{
		"a.rego": "package policies.a\n\ndeny := opa.runtime()\n", "b.rego": "package policies.b\n\ndeny := bits.lsh(1, 3)\n",
		"c.rego": "package policies.c\n\ndeny := f(1)\n\nf(x) := bits.lsh(x, 1)\n\ng := 2 if f(1) with f as bits.lsh\n",
	}
	policies := compile(t, raw.Source{Modules: modules, Allow: raw.Allow{Builtins: []string{"bits.lsh"}}})
	if got := denies(t, policies.Policy("a"), "{}"); !strings.Contains(got, "opa.runtime, which is off in this installation") {
		t.Errorf("a: got %s, want it off", got)
	}
	if got := denies(t, policies.Policy("b"), "{}"); got != "8" {
		t.Errorf("b: got %s, want it on", got)
	}
	for _, name := range raw.Off() {
		if name == "bits.lsh" || strings.HasPrefix(name, "graphql.") {
			continue
		}
		p := compile(t, raw.Source{Modules: map[string]string{"m.rego": "package policies.m\n\ndeny if 1 with count as " + name + "\n"}}).Policy("m")
		if p.Failure() == nil {
			t.Errorf("%s: got a policy that calls it in the place of another", name)
		}
	}
}

// TestMisspeltFieldOfAPredicate is found where the author says what a value is.
func TestMisspeltFieldOfAPredicate(t *testing.T) {
	t.Parallel()
	for field, fails := range map[string]bool{"predicate.runDetails.builder.id": false, "predicate.runDetials.builder.id": true} {
		p := compile(t, raw.Source{Modules: map[string]string{"p.rego": `package policies.p

deny contains "x" if not built with input as input.statement

# METADATA
# schemas:
#   - input: schema.assay.statement.slsa_v1
built if input.` + field + ` == "b"
`}}).Policy("p")
		if f := p.Failure(); (f != nil) != fails || fails && !strings.Contains(f.Message, "undefined ref: input.predicate.runDetials") {
			t.Errorf("%s: got %+v, want a failure %t", field, f, fails)
		}
	}
}

// TestCompilingEnds with its context, which is no fault of a policy.
func TestCompilingEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out, err := raw.Compile(ctx, raw.Source{Modules: map[string]string{"p.rego": "package policies.p\n\ndeny := false\n"}})
	if err == nil {
		t.Errorf("got %+v, want an error", out)
	}
}

// TestGrowthAcrossPackages: literals of literals explode in a library just as well.
func TestGrowthAcrossPackages(t *testing.T) {
	t.Parallel()
	chain := func(of string) string {
		var out strings.Builder
		names := "abcdefghijklmnop"
		for i := range len(names) {
			out.WriteString("x" + names[i:i+1] + " := [" + of + ", " + of + "]\n\n")
			of = "x" + names[i:i+1]
		}
		return out.String()
	}
	p := compile(t, raw.Source{Modules: map[string]string{
		"lib.rego": "package lib\n\n" + chain("1"), "p.rego": "package policies.p\n\ndeny := false\n\n" + chain("data.lib.xp"),
	}}).Policy("p")
	if f := p.Failure(); f == nil || !strings.Contains(f.Message, "more than 262144 terms") {
		t.Errorf("got %+v, want a policy that fails", f)
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	policies := compile(t, raw.Source{Modules: map[string]string{
		"dir/labels.rego":        "package policies.labels\n\ndeny := false\n",
		"other/labels.rego":      "package policies.labels\n\nwarn := false\n",
		"some/labels-2.rego":     "package policies.labels\n\nx := false\n",
		"../../etc/x.rego":       "package lib\n",
		"/abs/dots.rego":         "package lib[\"..\"]\n",
		"slashes.rego":           "package policies[\"a/b\"]\n\ndeny := false\n",
		"/etc/cron.d/admit.rego": "package kubernetes.admission\n\ndeny := false\n",
	}})
	got := map[string]string{}
	for _, text := range policies.Texts() {
		got[text.Path] = text.File
	}
	want := map[string]string{
		"policies/labels/labels.rego": "dir/labels.rego", "policies/labels/labels-2.rego": "other/labels.rego", "lib/x.rego": "../../etc/x.rego",
		"policies/labels/labels-2-2.rego": "some/labels-2.rego",
		"lib/_/dots.rego":                 "/abs/dots.rego", "policies/a_b/slashes.rego": "slashes.rego", "kubernetes/admission/admit.rego": "/etc/cron.d/admit.rego",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzCompile: whatever a file says, it is a policy, a library, a policy that fails, or an
// error, and never a panic. What is a policy gives an answer or a failure.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		"package policies.a\n\ndeny contains \"x\" if input.a\n", "package kubernetes.admission\n\ndeny[x] { x := 1 }\n", "package lib\n",
		"package policies[\"a\"].b\n\nmode := data[x]\n", "# METADATA\n# custom: {severity: []}\npackage policies.a\n\nwarn := {1}\n",
		"package policies.a\n\nimport data.assay.images as i\n\ndeny := i.found\n",
	} {
		f.Add(text)
	}
	library, err := lib.Modules()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		policies, err := raw.Compile(t.Context(), raw.Source{Modules: map[string]string{"f.rego": text}, V0: true, Library: library})
		if err != nil {
			return
		}
		for _, p := range policies.All() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			answer, failure := p.Judge(ctx, raw.Asked{Review: ast.MustParseTerm(`{"a": 1}`).Value})
			cancel()
			if failure == nil && (answer.Deny == nil || answer.Warn == nil || answer.Mode == nil) {
				t.Errorf("got no answer and no failure of\n%s", text)
			}
		}
	})
}
