package lib_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
)

var update = flag.Bool("update", false, "write the golden files anew")

var libraryBlock = regexp.MustCompile(`(?s)(<!-- the functions, written by make golden -->\n).*(<!-- end -->)`)

// TestLibraryPageIsMadeFromTheMetadata: what docs/library.md says of the functions
// for policies stands above them.
func TestLibraryPageIsMadeFromTheMetadata(t *testing.T) {
	t.Parallel()
	page := filepath.Join("..", "..", "docs", "library.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	got := libraryBlock.ReplaceAllStringFunc(string(text), func(block string) string {
		parts := libraryBlock.FindStringSubmatch(block)
		return parts[1] + functions(t) + parts[2]
	})
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), got); diff != "" {
		t.Errorf("%s is older than the library, run make golden (-want +got):\n%s", page, diff)
	}
}

// functions are the sections of the packages that policies import.
func functions(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	modules := forPolicies(t)
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		module := modules[path]
		name := strings.TrimPrefix(module.Package.Path.String(), "data.assay.lib.")
		for _, a := range module.Annotations {
			if a.Scope == "package" {
				fmt.Fprintf(&out, "\n## %s\n\n`import data.assay.lib.%s`. %s\n", a.Title, name, strings.TrimSpace(a.Description))
				continue
			}
			fmt.Fprintf(&out, "\n### %s\n\n%s\n", signature(module, name, a), strings.TrimSpace(a.Description))
			if example, ok := a.Custom["example"].(string); ok {
				fmt.Fprintf(&out, "\n```rego\n%s\n```\n", strings.TrimSpace(example))
			}
		}
	}
	return out.String()
}

// forPolicies are the modules below assay.lib, tests left out.
func forPolicies(t *testing.T) map[string]*ast.Module {
	t.Helper()
	out := parsed(t)
	maps.DeleteFunc(out, func(path string, _ *ast.Module) bool {
		return !strings.HasPrefix(path, "assay/lib/") || strings.HasSuffix(path, testSuffix)
	})
	if len(out) == 0 {
		t.Fatal("got no modules for policies")
	}
	return out
}

// signature is how a function is called: with the names that most of its definitions
// have, which are not those of the default.
func signature(module *ast.Module, name string, a *ast.Annotations) string {
	target := a.GetTargetPath()
	called := ""
	for _, rule := range module.Rules {
		if !module.Package.Path.Append(ast.StringTerm(rule.Head.Name.String())).Equal(target) {
			continue
		}
		var args []string
		for _, arg := range rule.Head.Args {
			args = append(args, arg.String())
		}
		if text := fmt.Sprintf("%s.%s(%s)", name, rule.Head.Name, strings.Join(args, ", ")); !rule.Default || called == "" {
			called = text
		}
	}
	return called
}

// TestExamplesOfTheLibraryCompile, strictly, as a policy that has them would.
func TestExamplesOfTheLibraryCompile(t *testing.T) {
	t.Parallel()
	const head = "package policies.example\n\nimport data.assay.lib.%s\n\n"
	variables := "image := input.image\nauthority := input.a\nbuilder := input.a\nscanner := input.a\nvendor := input.a\nalice := input.a\nbob := input.a\ncarol := input.a\n\n"
	for path, module := range forPolicies(t) {
		shown := map[string]bool{}
		for _, a := range module.Annotations {
			example, ok := a.Custom["example"].(string)
			if !ok {
				continue
			}
			shown[a.GetTargetPath().String()] = true
			name := strings.TrimPrefix(module.Package.Path.String(), "data.assay.lib.")
			text := fmt.Sprintf(head, name) + variables + example
			policy, err := ast.ParseModuleWithOpts("example.rego", text, ast.ParserOptions{RegoVersion: ast.RegoV1})
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			modules := parsed(t)
			modules["example.rego"] = policy
			compiler := newCompiler()
			if compiler.Compile(modules); compiler.Failed() {
				t.Errorf("%s: %v", path, compiler.Errors)
			}
		}
		for _, rule := range module.Rules {
			called := module.Package.Path.Append(ast.StringTerm(rule.Head.Name.String())).String()
			if len(rule.Head.Args) > 0 && !strings.HasPrefix(rule.Head.Name.String(), "_") && !forOthers(module) && !shown[called] {
				t.Errorf("%s: got no example of %s, want one", path, called)
			}
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "library.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```rego\n(package .*?)```").FindStringSubmatch(string(page))
	modules := parsed(t)
	modules["page.rego"] = ast.MustParseModuleWithOpts(block[1], ast.ParserOptions{RegoVersion: ast.RegoV1})
	compiler := newCompiler()
	if compiler.Compile(modules); compiler.Failed() {
		t.Errorf("docs/library.md: %v", compiler.Errors)
	}
}

// forOthers says of a package of the library that its functions are for the others in it.
func forOthers(module *ast.Module) bool {
	return slices.Contains([]string{"data.assay.lib.attested", "data.assay.lib.purls"}, module.Package.Path.String())
}
