package start

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

func TestWithoutFlagsFilesAreThoseOfTheTree(t *testing.T) {
	t.Parallel()
	files, err := filled(defaults())
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range files {
		want, err := os.ReadFile(filepath.Join("repository", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got other bytes than those of the tree: %v", name, err)
		}
	}
}

// TestValuesStandInTheFiles edits the files with the values that they have: whatever
// flags say, they say it in these places.
func TestValuesStandInTheFiles(t *testing.T) {
	t.Parallel()
	files, err := templates()
	if err != nil {
		t.Fatal(err)
	}
	before := string(files[fixtureFile])
	registry, err := defaults().fillFixture(files)
	if err != nil {
		t.Fatal(err)
	}
	if registry != "ghcr.io" {
		t.Errorf("got the registry %s, want ghcr.io", registry)
	}
	after := strings.ReplaceAll(string(files[fixtureFile]), "refs/tags/v1\n", "refs/tags/v1.2.3\n")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the test with examples of the default values (-want +got):\n%s", diff)
	}
}

func TestFilled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*values)
		want   string // of the error; none when empty
	}{
		{"an e-mail address", func(v *values) { v.subject = `^me@example\.com$` }, ""},
		{"text that YAML would read as something else", func(v *values) { v.subject = `^https://x\.example/#:'"{}&!$` }, ""},
		{"a glob of one repository", func(v *values) { v.glob = "ghcr.io/acme/app@*" }, ""},
		{"a glob with stars in the middle", func(v *values) { v.glob = "ghcr.io/*/app@*" }, ""},
		{"a registry in capitals", func(v *values) { v.glob = "GHCR.io/acme/**" }, ""},
		{"a registry with a port", func(v *values) { v.glob = "registry.example:5000/acme/**" }, ""},
		{"a glob without a registry", func(v *values) { v.glob = "**" }, `--glob: got "**", want a registry written out`},
		{"a registry that is not written out", func(v *values) { v.glob = "*.example/acme/**" }, "--glob: "},
		{"a glob of a tag", func(v *values) { v.glob = "ghcr.io/acme/app:v1" }, "--glob: error: "},
		{"no glob", func(v *values) { v.glob = "" }, "glob"},
		{"a new line in the glob", func(v *values) { v.glob = "ghcr.io/acme/**\nmode: warn" }, "invalid glob"},
		{"a new line in the issuer", func(v *values) { v.issuer = "https://a.example\nmode: warn" }, "--issuer: got "},
		{"no issuer", func(v *values) { v.issuer = "" }, "issuer"},
		{"an issuer that is no URL", func(v *values) { v.issuer = "gitlab" }, `--issuer: got "gitlab", want a URL`},
		{"no subject", func(v *values) { v.subject = "" }, "subject"},
		{"everybody", func(v *values) { v.subject = ".*" }, "--subject-regexp: error: "},
		{"no anchors", func(v *values) { v.subject = `https://github\.com/acme/` }, "--subject-regexp: warning: "},
		{"no expression", func(v *values) { v.subject = "^(" }, "--subject-regexp: got \"^(\", want a regular expression"},
		{"an expression without an example", func(v *values) { v.subject = `^https://x\.example/a\Bé$` }, "--subject-regexp: "},
		{"nobody's subject", func(v *values) { v.subject = "^acme$" }, `signers.release.subject: got "acme", want an e-mail address`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := defaults()
			tt.change(&v)
			files, err := filled(v)
			switch {
			case err == nil && tt.want != "":
				t.Fatalf("got files, want an error with %q", tt.want)
			case err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			case err != nil:
				return
			}
			parsed, err := cip.Parse(files[policyFile])
			if err != nil {
				t.Fatal(err)
			}
			spec := parsed.Policies[0].Spec
			identity := spec.Authorities[0].Keyless.Identities[0]
			if got := (values{identity.Issuer, identity.SubjectRegExp, spec.Images[0].Glob}); got != v || spec.Mode != cip.ModeEnforce {
				t.Errorf("got %+v in mode %q, want %+v and enforce", got, spec.Mode, v)
			}
		})
	}
}

func TestExampleSubject(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ expression, want string }{
		{`^https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v[0-9.]+$`,
			"https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"},
		{`^https://github\.com/acme/.*$`, "https://github.com/acme/v1"},
		{`^https://github\.com/acme/[^/]+/ci\.yml@refs/(heads|tags)/.+$`, "https://github.com/acme/1/ci.yml@refs/heads/v1"},
		{`^[a-z]{2,5}@acme\.example$`, "aa@acme.example"},
		{`(?i)^HTTPS://x/y?$`, "HTTPS://X/"},
	} {
		got, err := exampleSubject(tt.expression)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.expression, got, err, tt.want)
		}
	}
}

// FuzzExampleSubject wants an example that is one, or an error.
func FuzzExampleSubject(f *testing.F) {
	for _, seed := range []string{`^a.*$`, `^(a|b)?[^c]{3}\b$`, `[[:^ascii:]]\z`, `a\Bb`, `^$`, `(?s).`, `\x00`, `[^\x00-\x{10FFFF}]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		text, err := exampleSubject(expression)
		if err != nil {
			return
		}
		if !regexp.MustCompile(expression).MatchString(text) {
			t.Errorf("%q: got %q, which it does not match", expression, text)
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"a/b": []byte("new"), "c": []byte("new")}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "c"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(dir, files); err == nil || !strings.Contains(err.Error(), "got c in it, want a directory that is empty") {
		t.Errorf("a directory with a file: got %v, want an error that names it", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	if err := create(root, "c", []byte("new")); err == nil {
		t.Error("a file that is there: got it overwritten, want an error")
	}
	if got, err := os.ReadFile(filepath.Join(dir, "c")); err != nil || string(got) != "old" {
		t.Errorf("got %q, %v, want what was there before", got, err)
	}
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if err := create(root, "out/file", []byte("new")); err == nil {
		t.Error("a link out of the directory: got it followed, want an error")
	}
}

// TestTheGuideShowsTheWorkflowThatIsWritten: who copies it from there has the same.
func TestTheGuideShowsTheWorkflowThatIsWritten(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../docs/distribute.md")
	if err != nil {
		t.Fatal(err)
	}
	workflow, err := os.ReadFile("repository/.github/workflows/publish.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(guide, workflow) {
		t.Error("docs/distribute.md: got no copy of .github/workflows/publish.yaml, want it word for word")
	}
}
