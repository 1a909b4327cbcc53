package raw_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/raw"
)

// named is an object of one module.
func named(name, text string) raw.Object {
	return raw.Object{Name: name, Modules: map[string]string{"cluster/" + name + "/policy.rego": text}}
}

const warnsAlways = "mode := \"warn\"\n\ndeny contains \"no\"\n"

// TestObjectsThatFail: whatever is wrong with one, its policy fails with the cause, nothing
// is refused, and the policy beside it decides.
func TestObjectsThatFail(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		object     raw.Object
		want       string
		policy     string // "" for the name of the object
		file, warn bool
	}{
		"it cannot be read":          {raw.Object{Name: "RegoPolicy bad", Refused: "spec.modules: got a string"}, "got a string", "", false, false},
		"no modules":                 {raw.Object{Name: "RegoPolicy bad"}, "got no modules", "", false, false},
		"no Rego":                    {named("RegoPolicy bad", "package policies.bad\n\ndeny contains {"), "policy.rego:3", "", false, false},
		"of the product":             {named("RegoPolicy bad", "package assay.admission\n\ndecision := true"), "the product's own", "", false, false},
		"of a compiled policy":       {named("RegoPolicy bad", "package cip[\"p\"]\n\nmatched := false"), "the product's own", "", false, false},
		"system.main":                {named("RegoPolicy bad", "package system\n\nmain := true"), "the product's own", "", false, false},
		"no package of a policy":     {named("RegoPolicy bad", "package main\n\ndeny contains 1"), "libraries alone", "", false, false},
		"data of the product":        {raw.Object{Name: "RegoPolicy bad", Modules: map[string]string{"m": "package policies.bad\n\ndeny := false"}, Data: map[string]any{"assay": 1}}, "the product's own", "", false, false},
		"two policies":               {raw.Object{Name: "RegoPolicy bad", Modules: map[string]string{"a": "package policies.a\n\ndeny := false", "b": "package policies.b\n\ndeny := false"}}, "got the policies a, b, want one", "", false, false},
		"it does not compile":        {named("RegoPolicy bad", "package policies.bad\n\ndeny contains x"), "policy.rego:3", "bad", true, false},
		"a library of another":       {named("RegoPolicy bad", "package policies.bad\n\nimport data.lib.good\n\ndeny contains 1 if good.yes"), "no module and no data document defines", "bad", true, false},
		"data of another":            {named("RegoPolicy bad", "package policies.bad\n\ndeny contains 1 if data.teams"), "no module and no data document defines", "bad", true, false},
		"the other policy":           {named("RegoPolicy bad", "package policies.bad\n\ndeny contains 1 if data.policies.good.deny"), "none of this policy's", "bad", true, false},
		"it would warn":              {named("RegoPolicy bad", "package policies.bad\n\n"+warnsAlways+"x := unknown(1)"), "policy.rego:6", "bad", true, true},
		"the package of a file":      {named("RegoPolicy bad", "package policies.filed.below\n\ny := 1"), "there are 2 policies of that name, in RegoPolicy bad and in the files", "filed", true, false},
		"the package of the other":   {named("RegoPolicy bad", "package policies.good\n\ndeny := false"), "there are 2 policies of that name, in RegoPolicy bad and in RegoPolicy good", "good", true, false},
		"and it alone of them warns": {named("RegoPolicy bad", "package policies.good\n\n"+warnsAlways), "there are 2 policies", "good", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := raw.Object{Name: "RegoPolicy good", Modules: map[string]string{
				"good.rego": "package policies.good\n\nimport data.lib.good\n\ndeny contains \"good\" if good.yes\n", "lib.rego": "package lib.good\n\nyes := data.teams.yes\n",
			}, Data: map[string]any{"teams": map[string]any{"yes": true}}}
			policies := compile(t, raw.Source{
				Modules: map[string]string{"filed.rego": "package policies.filed\n\ndeny := false\n", "other.rego": "package policies.other\n\ndeny contains \"other\"\n"},
				Objects: []raw.Object{good, tt.object},
			})
			want := tt.policy
			if want == "" {
				want = tt.object.Name
			}
			p := policies.Policy(want)
			if p == nil || p.Failure() == nil || !strings.Contains(p.Failure().Message, tt.want) {
				t.Fatalf("policy %s: got %+v, want it to fail: %s", want, p, tt.want)
			}
			if path, line := p.Place(); (path != "" && line > 0) != tt.file {
				t.Errorf("got the place %s:%d, want one: %t", path, line, tt.file)
			}
			if p.Warns() != tt.warn {
				t.Errorf("got a policy that warns: %t, want %t", p.Warns(), tt.warn)
			}
			if got := denies(t, policies.Policy("other"), "{}"); got != `["other"]` {
				t.Errorf("the policy beside it: got %s, want it to decide", got)
			}
			if got := denies(t, policies.Policy("good"), "{}"); tt.policy != "good" && got != `["good"]` {
				t.Errorf("the object beside it: got %s, want it to decide", got)
			}
		})
	}
}

// TestObjectsBesideFiles: each has its own libraries and data, also where they have one name.
func TestObjectsBesideFiles(t *testing.T) {
	t.Parallel()
	const library = "package lib\n\nsaid := data.said\n"
	object := func(name string) raw.Object {
		return raw.Object{
			Name: "RegoPolicy " + name, Data: map[string]any{"said": name},
			Modules: map[string]string{"cluster/" + name + "/p.rego": "package policies." + name + "\n\ndeny contains data.lib.said\n", "cluster/" + name + "/lib.rego": library},
		}
	}
	policies := compile(t, raw.Source{
		Modules: map[string]string{"p.rego": "package policies.file\n\ndeny contains data.lib.said\n", "lib.rego": library},
		Data:    map[string]any{"said": "file"}, Objects: []raw.Object{object("one"), object("two")},
	})
	got := map[string]string{}
	for _, p := range policies.All() {
		got[p.Name+" of "+strings.Join(p.Objects(), "+")] = denies(t, p, "{}")
	}
	want := map[string]string{"file of ": `["file"]`, "one of RegoPolicy one": `["one"]`, "two of RegoPolicy two": `["two"]`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(policies.Texts()); n != 6 {
		t.Errorf("got %d texts, want all six", n)
	}
}
