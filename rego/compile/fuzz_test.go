package compile_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/compile"
)

// FuzzPolicy wants every policy that is accepted to compile, to strict Rego that
// opa fmt leaves alone and that says what the policy says; or to be refused for
// a reference that is not resolved.
func FuzzPolicy(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		story, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(story.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, policy []byte) {
		docs, err := cip.Parse(policy)
		if err != nil {
			t.Skip()
		}
		checkOrRefused(t, docs.Policies)
	})
}

// FuzzStrings puts any text in every place of a policy that takes any text.
func FuzzStrings(f *testing.F) {
	for _, text := range []string{
		"", "a", `"`, "`", `\`, "\\`", "`\n}", "%s%d%!", "}])", "\x00\a\v\x7f", "\r\n", "\u202e", "\ufeff", "\u2028",
		"\U0001f600", "\U000e0001", "\xff\xfe", "\ufffd", `$"{input}"`, "{x}", `\u0041`, `^https://a\.b/.*$`, "a\tb # c", "<&>",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "\ufffd") // as every text is that was YAML
		checkModules(t, []cip.Policy{{Name: "p", Version: "v1beta1", Spec: cip.Spec{
			Mode:   cip.ModeWarn,
			Images: []cip.ImagePattern{{Glob: "**"}},
			Match: []cip.Match{{Group: text, Version: text, Resource: "pods" + text, Selector: &cip.LabelSelector{
				MatchLabels:      map[string]string{text: text, "key": "value"},
				MatchExpressions: []cip.LabelRequirement{{Key: text, Operator: text, Values: []string{text, ""}}},
			}}},
			Authorities: []cip.Authority{
				{Name: text, Static: &cip.StaticRef{Action: "fail", Message: text}},
				{Name: "a", Key: &cip.KeyRef{Data: text}, CTLog: &cip.TLog{URL: cip.URL(text)}},
				{
					Name: text + text,
					Keyless: &cip.KeylessRef{Identities: []cip.Identity{
						{Issuer: text, SubjectRegExp: text + `\d`}, {IssuerRegExp: `\d` + text, Subject: text},
					}},
					Attestations: []cip.Attestation{
						{Name: text, PredicateType: text, Policy: &cip.PolicyRef{Type: "cue", Data: text}},
						{Name: "b", PredicateType: text, Policy: &cip.PolicyRef{Type: "cue", Data: "assay\n\t" + text + "\n"}},
						{Name: "c", PredicateType: text, Policy: &cip.PolicyRef{Type: "rego", Data: text}},
					},
				},
				{Name: text, Key: &cip.KeyRef{SecretRef: &cip.SecretRef{Name: text}}},
			},
			Policy: &cip.PolicyRef{Type: "cue", Data: text + "\n" + text},
		}, Gaps: map[string]string{"spec.authorities[3]": text}}})
	})
}

// checkOrRefused checks the policies that compile, and wants the others to be
// refused by names of fields alone.
func checkOrRefused(t *testing.T, policies []cip.Policy) {
	t.Helper()
	var ready []cip.Policy
	for _, p := range policies {
		_, err := compile.Policy(p)
		if err == nil {
			ready = append(ready, p)
			continue
		}
		for line := range strings.SplitSeq(errors.Unwrap(err).Error(), "\n") {
			if !strings.HasPrefix(line, "spec.") || !strings.HasSuffix(line, ": not resolved") {
				t.Errorf("policy %s: got error %v, want references that are not resolved", p.Name, line)
			}
		}
	}
	checkModules(t, ready)
}
