package rego_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/raw"
)

// sourceOf is a source of the policies that opens no answers.
func sourceOf(t *testing.T, documents string) rego.Source {
	t.Helper()
	parsed, err := cip.Parse([]byte(documents))
	if err != nil {
		t.Fatal(err)
	}
	return rego.Source{Policies: parsed.Policies, Open: func(rego.Workload) rego.Answers { return nil }}
}

// refusesToCompile wants no set, and an error with all of the texts.
func refusesToCompile(t *testing.T, source rego.Source, texts ...string) {
	t.Helper()
	set, err := rego.Compile(t.Context(), source)
	if err == nil || set != nil {
		t.Fatalf("got a set, want an error with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q in it", err, text)
		}
	}
}

func TestModuleUnderAPackageOfTheProductIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"assay", "assay.admission", "assay.extra", "cip", `cip["signed"]`, "cip_index", "system", "system.log", "sigstore", "sigstore.x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := sourceOf(t, policy("signed", "", ""))
			source.Modules = map[string]string{"mine.rego": "package " + name + "\n\nallowed := true\n"}
			refusesToCompile(t, source, "mine.rego", "the package is the product's own")
		})
	}
}

// TestModuleThatIsNoPolicyIsRefused: nobody can say which policy it would have been, so
// nothing of the set serves.
func TestModuleThatIsNoPolicyIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, text string }{
		{"not Rego", "package policies.mine\n\nallowed = = true\n", "dir/mine.rego:3: rego_parse_error"},
		{"nothing", "", "empty module"},
		{"version 0 syntax", "package policies.mine\n\ndeny[msg] { msg := \"x\" }\n", "dir/mine.rego is Rego v0: opa fmt --write --v0-v1 dir/mine.rego makes it v1"},
		{"METADATA that is none", "# METADATA\n# title: [x\npackage policies.mine\n", "dir/mine.rego:"},
		{"no name", "package policies\n\ndeny := true\n", "want policies.NAME"},
		{"a name that would be another line", "package policies[\"a\\nb\"]\n\ndeny := true\n", "got the name \"a\\nb\""},
		{"the name of another form", "package policies[\"kubernetes.admission\"]\n\ndeny := true\n", "the name is that of package kubernetes.admission"},
		{"OPA's own answer", "package system\n\nmain := {}\n", "leave it out"},
		{"brackets without end", "package policies.mine\n\nx := " + strings.Repeat("[", 300) + strings.Repeat("]", 300), "brackets 300 deep, want at most 200"},
		{"too long", "package policies.mine\n\n#" + strings.Repeat("x", 300_000), "bytes, want at most 262144"},
		{"no UTF-8", "package policies.mine\n\n#\xff", "no UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source := sourceOf(t, policy("signed", "", ""))
			source.Modules = map[string]string{"dir/mine.rego": tt.body}
			refusesToCompile(t, source, "dir/mine.rego", tt.text)
		})
	}
}

// TestDataOfTheProductIsRefused: no document may stand where the library reads.
func TestDataOfTheProductIsRefused(t *testing.T) {
	t.Parallel()
	for _, root := range []string{"assay", "cip", "cip_index", "system", "sigstore"} {
		source := sourceOf(t, policy("signed", "", ""))
		source.Data = map[string]any{root: map[string]any{}}
		refusesToCompile(t, source, "data."+root, "the document is the product's own")
	}
}

// TestAllowanceThatMeansNothingIsRefused.
func TestAllowanceThatMeansNothingIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allow raw.Allow
		text  string
	}{
		{raw.Allow{Builtins: []string{"http.sned"}}, "builtin http.sned: got one that nothing turns on"},
		{raw.Allow{Builtins: []string{"json.match_schema"}}, "builtin json.match_schema: got one that nothing turns on"},
		{raw.Allow{Builtins: []string{"json.verify_schema"}}, "builtin json.verify_schema: got one that nothing turns on"},
		{raw.Allow{Builtins: []string{"http.send"}}, "builtin http.send: got no hosts"},
	} {
		source := sourceOf(t, policy("signed", "", ""))
		source.Allow = tt.allow
		refusesToCompile(t, source, tt.text)
	}
}

func TestTwoPoliciesOfOneNameAreRefused(t *testing.T) {
	t.Parallel()
	source := sourceOf(t, policy("signed", "", ""))
	source.Policies = append(source.Policies, source.Policies[0])
	refusesToCompile(t, source, "policy signed", "two of that name")
}

// TestReferencesThatAreNotResolvedAreNamed: all of them at once.
func TestReferencesThatAreNotResolvedAreNamed(t *testing.T) {
	t.Parallel()
	refusesToCompile(t, sourceOf(t, `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: ambitious}
spec:
  images: [{glob: "**"}]
  authorities:
  - key: {kms: "hashivault://release"}
  - key: {secretRef: {name: release}}
`), "policy ambitious", "spec.authorities[0].key.kms", "spec.authorities[1].key.secretRef", "not resolved")
}

func TestSetWithoutAnswersIsRefused(t *testing.T) {
	t.Parallel()
	source := sourceOf(t, policy("signed", "", ""))
	source.Open = nil
	refusesToCompile(t, source, "Open is nil")
}

// TestHash: equal sources have equal hashes, and everything that can change a
// decision changes the hash.
func TestHash(t *testing.T) {
	t.Parallel()
	want := hashOf(t, func(*rego.Source) {})
	for _, tt := range []struct {
		name   string
		equal  bool
		change func(*rego.Source)
	}{
		{"nothing", true, func(*rego.Source) {}},
		{"a policy's mode", false, func(s *rego.Source) { s.Policies[0].Spec.Mode = cip.ModeWarn }},
		{"a policy's name", false, func(s *rego.Source) { s.Policies[0].Name = "renamed" }},
		{"a policy less", false, func(s *rego.Source) { s.Policies = s.Policies[:1] }},
		{"what no match means", false, func(s *rego.Source) { s.Config.NoMatch = "allow" }},
		{"what tags mean", false, func(s *rego.Source) { s.Config.Tags = "resolve" }},
		{"a policy in Rego", false, inRego(func(*rego.Source) {})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := hashOf(t, tt.change); (got == want) != tt.equal {
				t.Errorf("got equal %t, want %t", got == want, tt.equal)
			}
		})
	}
}

// TestHashOfPoliciesInRego: so does everything of theirs.
func TestHashOfPoliciesInRego(t *testing.T) {
	t.Parallel()
	want := hashOf(t, inRego(func(*rego.Source) {}))
	for _, tt := range []struct {
		name   string
		equal  bool
		change func(*rego.Source)
	}{
		{"nothing", true, func(*rego.Source) {}},
		{"the text", false, func(s *rego.Source) { s.Modules["a.rego"] += "\n" }},
		{"the path", false, func(s *rego.Source) { s.Modules = map[string]string{"b.rego": s.Modules["a.rego"]} }},
		{"a library", false, func(s *rego.Source) { s.Modules["b.rego"] = "package b\n" }},
		{"the data", false, func(s *rego.Source) { s.Data = map[string]any{"a": 1} }},
		{"what is turned on", false, func(s *rego.Source) { s.Allow.Builtins = []string{"opa.runtime"} }},
		{"a host", false, func(s *rego.Source) { s.Allow.Hosts = []string{"example.com"} }},
		{"a registry", false, func(s *rego.Source) { s.Registries = []string{"example.com"} }},
		{"the version", false, func(s *rego.Source) { s.V0 = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := hashOf(t, inRego(tt.change)); (got == want) != tt.equal {
				t.Errorf("got equal %t, want %t", got == want, tt.equal)
			}
		})
	}
}

// hashOf is the hash of two policies after a change.
func hashOf(t *testing.T, change func(*rego.Source)) string {
	t.Helper()
	source := sourceOf(t, policy("signed", "", "")+"---\n"+policy("other", "", ""))
	change(&source)
	set, err := rego.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return set.Hash()
}

// inRego is a change of a source that has a policy in Rego.
func inRego(change func(*rego.Source)) func(*rego.Source) {
	return func(s *rego.Source) {
		s.Modules = map[string]string{"a.rego": "package policies.a\n\ndeny := false\n"}
		change(s)
	}
}

// TestPolicies are listed by name, and the list is the caller's own.
func TestPolicies(t *testing.T) {
	t.Parallel()
	set, err := rego.Compile(t.Context(), sourceOf(t, policy("b", "", "")+"---\n"+policy("a", "", "")))
	if err != nil {
		t.Fatal(err)
	}
	set.Policies()[0] = "changed"
	if got := strings.Join(set.Policies(), " "); got != "a b" {
		t.Errorf("got %s, want a b", got)
	}
}

// TestUnreadableReviewIsNoDecision, and what is no review at all denies.
func TestUnreadableReviewIsNoDecision(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	r := open(t, w, setup{config: rego.Config{NoMatch: "allow"}})
	for _, review := range []string{"", "{", `{"request": `, "\xff", `{"a": 1} {"b": 2}`} {
		if d, err := r.Decide(t.Context(), []byte(review)); err == nil || d.Allowed {
			t.Errorf("%q: got %+v and %v, want an error", review, d, err)
		}
	}
	for _, review := range []string{"null", "[]", `"x"`, "1", "{}", `{"request": null}`, `{"request": []}`, `{"request": {"object": 1, "kind": 2}}`} {
		if d, _ := r.Decide(t.Context(), []byte(review)); d.Allowed {
			t.Errorf("%s: got admitted, want denied", review)
		}
	}
}

// TestRawPoliciesAreCheckedBySchemas: a policy in plain Rego that says what its input
// is fails with the cause where it misspells a field of it.
func TestRawPoliciesAreCheckedBySchemas(t *testing.T) {
	t.Parallel()
	const text = "package policies.mine\n\n# METADATA\n# schemas:\n#   - input: schema.assay.statement.slsa_v1\ndeny if input.predicate.%s.builder.id == \"b\"\n"
	for field, want := range map[string]string{"runDetails": "", "rundetails": "mine.rego:6: rego_type_error: undefined ref: input.predicate.rundetails.builder.id"} {
		set, err := rego.Compile(t.Context(), rego.Source{
			Open: func(rego.Workload) rego.Answers { return nil }, Modules: map[string]string{"mine.rego": fmt.Sprintf(text, field)},
		})
		if err != nil {
			t.Fatal(err)
		}
		warnings := strings.Join(set.Warnings(), "\n")
		if (want == "") == strings.Contains(warnings, "policy mine: fails") || !strings.Contains(warnings, want) {
			t.Errorf("%s: got the warnings %q, want …%s…", field, warnings, want)
		}
	}
}
