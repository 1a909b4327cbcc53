package assay_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/lint"
)

// TestDocsListEveryLintRule holds docs/lint.md to the rules: each has a section
// with its severity, what to avoid is found by the rule, what to prefer is not.
func TestDocsListEveryLintRule(t *testing.T) {
	t.Parallel()
	sections := strings.Split(read(t, "docs/lint.md"), "\n## ")[1:]
	var documented, present []string
	for _, rule := range lint.Rules() {
		present = append(present, rule.ID)
	}
	for _, section := range sections {
		id, text, _ := strings.Cut(section, "\n")
		documented = append(documented, id)
		i := slices.Index(present, id)
		if i < 0 {
			continue // said below
		}
		if severity := string(lint.Rules()[i].Severity); !strings.HasPrefix(strings.ToLower(text), "\n"+severity) {
			t.Errorf("%s: got a section that does not begin with %s", id, severity)
		}
		for _, example := range regexp.MustCompile("(?ms)^(Avoid|Prefer):\n\n```yaml\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
			file, err := lint.Parse(id, []byte(wholePolicy(example[2])))
			if err != nil {
				t.Errorf("%s: %s: %v", id, example[1], err)
				continue
			}
			found := slices.ContainsFunc(lint.Run([]lint.File{file}), func(f lint.Finding) bool { return f.Rule == id })
			if want := example[1] == "Avoid"; found != want {
				t.Errorf("%s: %s: got the finding: %t, want %t", id, example[1], found, want)
			}
		}
	}
	if !slices.Equal(documented, present) {
		t.Errorf("docs/lint.md: got sections %v, want the rules %v", documented, present)
	}
}

// wholePolicy makes a policy of the part of a spec that an example shows.
func wholePolicy(example string) string {
	if strings.Contains(example, "kind: ClusterImagePolicy\n") {
		return example
	}
	if !strings.Contains(example, "images:\n") {
		example += "images:\n  - glob: ghcr.io/acme/**\n"
	}
	if !strings.Contains(example, "authorities:\n") {
		example += "authorities:\n  - static: {action: fail}\n"
	}
	return "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: example}\nspec:\n" +
		"  " + strings.ReplaceAll(strings.TrimSuffix(example, "\n"), "\n", "\n  ") + "\n"
}
