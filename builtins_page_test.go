package assay_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/declare"
)

// The blocks of docs/builtins.md are made from the declarations of the builtins:
// what each does, its arguments, what it answers, its codes and its examples, which
// are run beside them. What stands around the blocks is written by hand.

const builtinsPage = "docs/builtins.md"

// A block is that of one builtin, or the list of those that need no engine.
var builtinBlock = regexp.MustCompile(`(?s)(<!-- (builtin \S+|pure builtins), written by make golden -->\n).*?(<!-- end -->)`)

func TestBuiltinsPageIsMadeFromTheDeclarations(t *testing.T) {
	t.Parallel()
	written, pure := map[string]string{}, []string{}
	for _, b := range builtins.All() {
		written["builtin "+b.Name] = builtinText(b)
		if !b.Nondeterministic {
			pure = append(pure, "`"+b.Name+"`")
		}
	}
	last := len(pure) - 1
	written["pure builtins"] = strings.Join(pure[:last], ", ") + " and " + pure[last] + "\n"
	text := read(t, builtinsPage)
	got := builtinBlock.ReplaceAllStringFunc(text, func(block string) string {
		parts := builtinBlock.FindStringSubmatch(block)
		body, ok := written[parts[2]]
		if !ok {
			t.Errorf("%s: got a block of %s twice, or of none that exists", builtinsPage, parts[2])
		}
		delete(written, parts[2])
		return parts[1] + "\n" + body + "\n" + parts[3]
	})
	for name := range written {
		t.Errorf("%s: got no block of %s, want one", builtinsPage, name)
	}
	if *update {
		if err := os.WriteFile(builtinsPage, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text, got); diff != "" {
		t.Errorf("%s is older than the declarations, run make golden (-want +got):\n%s", builtinsPage, diff)
	}
}

// builtinText is the block of one builtin.
func builtinText(b declare.Builtin) string {
	var names []string
	for _, argument := range b.Args {
		names = append(names, argument.Name)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "`%s(%s)` %s%s\n\n| argument | type | |\n|---|---|---|\n", b.Name, strings.Join(names, ", "), strings.ToLower(b.Text[:1]), b.Text[1:])
	rows := fieldRows{out: &out, homes: map[string]string{}}
	rows.write("", b.Args)
	if len(b.Members)+len(b.Error) > 0 {
		out.WriteString("\n| answer | type | |\n|---|---|---|\n")
		rows.write("", b.Members)
		rows.write("error.", b.Error)
	}
	out.WriteString("\nCodes: ")
	for i, code := range b.Codes {
		fmt.Fprintf(&out, "%s`%s`", map[bool]string{false: "", true: ", "}[i > 0], code)
	}
	out.WriteString(".\n")
	for _, example := range b.Examples {
		fmt.Fprintf(&out, "\n```text\n%s\n%s\n```\n", printed(example.Expression), printed(example.Value))
	}
	return out.String()
}

// fieldRows writes a row for each field. Members that stand twice stand where they
// come first.
type fieldRows struct {
	out   *strings.Builder
	homes map[string]string // by what the members are
}

func (r fieldRows) write(path string, fields []declare.Field) {
	for _, field := range fields {
		kind, list := typeText(field)
		below := path + field.Name
		if list {
			below += "[]"
		}
		text, members := field.Text, fmt.Sprint(field.Members)
		home, known := r.homes[members]
		if known = known && len(field.Members) > 3; known {
			text += "; members as of `" + home + "`"
		}
		fmt.Fprintf(r.out, "| `%s%s` | %s | %s |\n", path, field.Name, kind, text)
		if !known {
			r.homes[members] = below
			r.write(below+".", field.Members)
		}
	}
}

// typeText is what a reader calls the type of a field, and whether it is a list of
// objects.
func typeText(field declare.Field) (kind string, list bool) {
	written := field.Type.String()
	switch {
	case written == "any":
		return "any JSON", false
	case len(field.Members) > 0 && strings.HasPrefix(written, "array"):
		return "array of objects", true
	case len(field.Members) > 0 && strings.HasPrefix(written, "any"):
		return "object or null", false
	case len(field.Members) > 0:
		return "object", false
	}
	words := map[string]string{
		"array[string]": "array of strings", "array[any]": "array of any JSON", "any<array[string], set[string]>": "array or set of strings",
		"object[string: string]": "object of strings", "object[string: any]": "object",
	}
	if word, ok := words[written]; ok {
		return word, false
	}
	return written, false
}

// printed has names that a reader knows in place of what is minted.
func printed(text string) string {
	minted := regexp.MustCompile(`\$\{([a-z]+)(@?)\}`)
	return minted.ReplaceAllStringFunc(text, func(name string) string {
		parts := minted.FindStringSubmatch(name)
		return "ghcr.io/acme/" + parts[1] + map[bool]string{true: "@sha256:…", false: ":v1"}[parts[2] == "@"]
	})
}
