package inline_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

// TestVersions has the forms that v1 cannot say. All others are printed as v1.
func TestVersions(t *testing.T) {
	t.Parallel()
	v0 := []string{
		"rule named if", "rule named contains", "rule named in", "rule named every",
		"variable named in", "variable named every", "variable named if",
		"local named input", "local named data", "local named data, no mention",
		"deprecated any", "deprecated all", "deprecated re_match",
		"imports twice",
	}
	for name, form := range forms() {
		want := 1
		if slices.Contains(v0, name) {
			want = 0
		}
		t.Run("9c: "+name, func(t *testing.T) {
			t.Parallel()
			if module := compile(t, form); module.Version() != want {
				t.Errorf("got v%d, want v%d:\n%s", module.Version(), want, module.Text())
			}
		})
	}
}

// TestText has what people read.
func TestText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"9b: an import keeps its name": {
			"import data.sigstore\nimport data.sigstore.bad\nbad { input.a }\nisCompliant { not sigstore.bad; not bad }",
			"package cip.p.policy\n\nimport data.cip.p.policy as sigstore\nimport data.cip.p.policy.bad as bad\n\n" +
				"bad if input.a\n\nisCompliant if {\n\tnot sigstore.bad\n\tnot bad\n}\n",
		},
		"9b: a self reference is moved, also below with": {
			"bad { input.a }\nisCompliant { not data.sigstore.bad with data.sigstore.bad as data.sigstore.no }\nno = false",
			"package cip.p.policy\n\nbad if input.a\n" +
				"isCompliant if not data.cip.p.policy.bad with data.cip.p.policy.bad as data.cip.p.policy.no\nno := false\n",
		},
		"9c: comments and order stay": {
			"# why\ndefault isCompliant = false # no\n\nisCompliant { input.a == 1 } # yes",
			"package cip.p.policy\n\n# why\ndefault isCompliant := false # no\n\nisCompliant if input.a == 1 # yes\n",
		},
		"9c: v0 stays v0": {
			"isCompliant { any([data.sigstore.x]) }\nx { true }",
			"package cip.p.policy\n\nisCompliant {\n\tany([data.cip.p.policy.x])\n}\n\nx = true\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, compile(t, c.body).Text()); diff != "" {
				t.Errorf("text differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBundle puts a module of each version into one bundle, as its manifest says.
func TestBundle(t *testing.T) {
	t.Parallel()
	first, second := compile(t, `isCompliant { any([true]) }`), compile(t, `isCompliant { true }`)
	manifest, err := json.Marshal(map[string]any{
		"rego_version":       1,
		"file_rego_versions": map[string]int{"/" + first.Path(): first.Version(), "/cip/q/policy.rego": second.Version()},
	})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	zipped := gzip.NewWriter(&file)
	archive := tar.NewWriter(zipped)
	for name, text := range map[string]string{
		"/.manifest":         string(manifest),
		"/" + first.Path():   first.Text(),
		"/cip/q/policy.rego": strings.Replace(second.Text(), "cip.p.", "cip.q.", 1),
	} {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	read, err := bundle.NewReader(&file).Read()
	if err != nil {
		t.Fatalf("9c: got %v, want a bundle of both versions", err)
	}
	modules := map[string]*ast.Module{}
	for _, module := range read.Modules {
		modules[module.Path] = module.Parsed
	}
	compiler := ast.NewCompiler()
	if compiler.Compile(modules); compiler.Failed() || len(modules) != 2 {
		t.Errorf("9c: got %d modules and %v, want 2 that compile together", len(modules), compiler.Errors)
	}
}
