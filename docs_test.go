package assay_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/assay-dev/assay/builtins"
	mounted "github.com/assay-dev/assay/cmd/assay/opa"
)

// The tests of this file hold the documents to the program: what it has is
// documented, and what the documents say it has is there.

// helps are the help texts of the program by command, "" for the program itself.
// They are asked of the binary, which is what a reader has. A cached result is no
// stale one: TestFileLengths reads every file, so the go command sees a change.
var helps = sync.OnceValues(func() (map[string]string, error) {
	dir, err := os.MkdirTemp("", "assay-docs-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "assay")
	if out, err := exec.Command("go", "build", "-o", binary, "./cmd/assay").CombinedOutput(); err != nil {
		return nil, errors.Join(err, errors.New(string(out)))
	}
	texts := map[string]string{}
	help := func(command ...string) error {
		out, err := exec.Command(binary, append(command, "--help")...).CombinedOutput()
		texts[strings.Join(command, " ")] = string(out)
		return err
	}
	if err := help(); err != nil {
		return nil, err
	}
	for _, found := range regexp.MustCompile(`(?m)^  ([a-z-]+) +[A-Z]`).FindAllStringSubmatch(texts[""], -1) {
		if err := help(found[1]); err != nil {
			return nil, err
		}
	}
	return texts, nil
})

// helpTexts are helps for a test.
func helpTexts(t *testing.T) map[string]string {
	t.Helper()
	texts, err := helps()
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

var flagPattern = regexp.MustCompile(`--[a-z][a-z0-9-]*`)

// flagsOf are the flags that a help text lists.
func flagsOf(help string) []string {
	_, list, _ := strings.Cut(help, "\nFlags:\n")
	var out []string
	for line := range strings.Lines(list) {
		if flag := flagPattern.FindString(line); flag != "" && flag != "--help" {
			out = append(out, flag)
		}
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// codeSpans are the texts in backquotes in the first column of the tables.
func codeSpans(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "| "); ok {
			cell, _, _ := strings.Cut(rest, " |")
			for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
				out = append(out, span[1])
			}
		}
	}
	return out
}

// same reports what one list has and the other lacks.
func same(t *testing.T, path string, documented, present []string) {
	t.Helper()
	for _, name := range present {
		if !slices.Contains(documented, name) {
			t.Errorf("%s: got no row of %s, want one", path, name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(present, name) {
			t.Errorf("%s: got a row of %s, which does not exist", path, name)
		}
	}
}

func matching(names []string, pattern string) []string {
	expression := regexp.MustCompile(pattern)
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !expression.MatchString(name) })
}

func TestDocsListEveryFlag(t *testing.T) {
	t.Parallel()
	texts := helpTexts(t)
	for _, command := range []string{"verify", "serve"} {
		path := filepath.Join("docs", command+".md")
		flags := flagsOf(texts[command])
		if len(flags) < 10 {
			t.Fatalf("%s --help: got %d flags, want those of its list", command, len(flags))
		}
		same(t, path, matching(codeSpans(read(t, path)), `^--`), flags)
	}
	all, theirs := readDocuments(t), mounted.Flags() // OPA's reference documents these
	for command, text := range texts {
		if command == "completion" || command == "help" {
			continue // cobra's
		}
		for _, flag := range flagsOf(text) {
			if !slices.Contains(theirs[command], flag) && !strings.Contains(all, flag) {
				t.Errorf("docs: got no mention of %s of %q, want one", flag, command)
			}
		}
	}
}

// TestDocsListOPAsCommands wants a row for each, which links to OPA's reference.
func TestDocsListOPAsCommands(t *testing.T) {
	t.Parallel()
	path := filepath.Join("docs", "test-policies.md")
	text := read(t, path)
	_, section, _ := strings.Cut(text, "\n## OPA's commands\n")
	var present []string
	for _, name := range mounted.Names() {
		present = append(present, "assay "+name)
		if link := "[`assay " + name + "`](https://www.openpolicyagent.org/docs/cli#" + name + ")"; !strings.Contains(section, link) {
			t.Errorf("%s: got no %s, want it", path, link)
		}
	}
	same(t, path, codeSpans(section), present)
}

func TestDocsListEveryBuiltin(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/builtins.md")
	for _, builtin := range builtins.Declarations() {
		if !strings.Contains(text, "\n## "+builtin.Name+"\n") || !strings.Contains(text, "`"+builtin.Name+"(") {
			t.Errorf("docs/builtins.md: got no section and call of %s, want both", builtin.Name)
		}
		for _, argument := range builtin.Decl.NamedFuncArgs().Args {
			if name, _, _ := strings.Cut(argument.String(), ":"); !strings.Contains(text, name) {
				t.Errorf("docs/builtins.md: got no argument %s of %s", name, builtin.Name)
			}
		}
	}
}

// TestDocsListEveryCode reads the codes from the source: Go has no list of the
// constants of a type.
func TestDocsListEveryCode(t *testing.T) {
	t.Parallel()
	present := []string{"static_policy", "unresolved"} // of the library alone
	file, err := parser.ParseFile(token.NewFileSet(), "builtins/declare/problem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Code" {
			code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			present = append(present, code)
		}
		return true
	})
	_, codes, _ := strings.Cut(read(t, "docs/debug-a-denial.md"), "\n## Codes\n")
	codes, _, _ = strings.Cut(codes, "\n## ")
	same(t, "docs/debug-a-denial.md", codeSpans(codes), present)
	moving := read(t, "docs/moving-from-policy-controller.md")
	for _, code := range present {
		if !regexp.MustCompile("(?m)^\\| .* \\| `" + code + "`[^|]*\\|$").MatchString(moving) {
			t.Errorf("docs/moving-from-policy-controller.md: got no message of %s, want one", code)
		}
	}
}
