package rego_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

// sourceOf is a source of the policies that opens no answers.
func sourceOf(t *testing.T, documents string) rego.Source {
	t.Helper()
	parsed, err := cip.Parse([]byte(documents))
	if err != nil {
		t.Fatal(err)
	}
	return rego.Source{Policies: parsed.Policies, Open: func(string) rego.Answers { return nil }}
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

func TestModuleAtAPathOfTheProductIsRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"cip/signed.rego", "cip/_index.rego", "lib/assay/admission/admission.rego"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			source := sourceOf(t, policy("signed", "", ""))
			source.Modules = map[string]string{path: "package policies.mine\n"}
			refusesToCompile(t, source, path, "the path is the product's own")
		})
	}
}

func TestModuleThatDoesNotCompileIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, text string }{
		{"not Rego", "package policies.mine\n\nallowed = = true\n", "rego_parse_error"},
		{"nothing", "", "empty module"},
		{"version 0 syntax", "package policies.mine\n\ndeny[msg] { msg := \"x\" }\n", "rego_parse_error"},
		{"unknown function", "package policies.mine\n\nallowed := cosign.verfy(\"x\", {})\n", "undefined function cosign.verfy"},
		{"a member that no answer has", "package policies.mine\n\nallowed := cosign.verify(\"x\", {}).okay\n", "undefined ref"},
		{"an operand of another type", "package policies.mine\n\nallowed := oci.resolve(1).ok\n", "invalid argument"},
		{"an import that nothing uses", "package policies.mine\n\nimport data.assay.images\n", "unused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source := sourceOf(t, policy("signed", "", ""))
			source.Modules = map[string]string{"mine.rego": tt.body}
			refusesToCompile(t, source, "mine.rego", tt.text)
		})
	}
}

// TestBuiltinsThatReachOutAreUnavailable to every policy alike.
func TestBuiltinsThatReachOutAreUnavailable(t *testing.T) {
	t.Parallel()
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://127.0.0.1"})`, "opa.runtime()", `net.lookup_ip_addr("localhost")`,
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			source := sourceOf(t, policy("signed", "", ""))
			source.Modules = map[string]string{"mine.rego": "package policies.mine\n\nx := " + call + "\n"}
			name, _, _ := strings.Cut(call, "(")
			refusesToCompile(t, source, "undefined function "+name)
		})
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
	hash := func(change func(*rego.Source)) string {
		source := sourceOf(t, policy("signed", "", "")+"---\n"+policy("other", "", ""))
		change(&source)
		set, err := rego.Compile(t.Context(), source)
		if err != nil {
			t.Fatal(err)
		}
		return set.Hash()
	}
	want := hash(func(*rego.Source) {})
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
		{"a module", false, func(s *rego.Source) { s.Modules = map[string]string{"a.rego": "package policies.a"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := hash(tt.change); (got == want) != tt.equal {
				t.Errorf("got equal %t, want %t", got == want, tt.equal)
			}
		})
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

// TestModulesAreCheckedBySchemas: a further module that says what its input is does
// not compile with a misspelt field of it.
func TestModulesAreCheckedBySchemas(t *testing.T) {
	t.Parallel()
	const text = "package mine\n\n# METADATA\n# schemas:\n#   - input: schema.assay.statement.slsa_v1\nr if input.predicate.%s.builder.id == \"b\"\n"
	for field, want := range map[string]string{"runDetails": "", "rundetails": "mine.rego:6: rego_type_error: undefined ref: input.predicate.rundetails.builder.id"} {
		_, err := rego.Compile(t.Context(), rego.Source{
			Open: func(string) rego.Answers { return nil }, Modules: map[string]string{"mine.rego": fmt.Sprintf(text, field)},
		})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: got %v, want no error", field, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want …%s…", field, err, want)
		}
	}
}
