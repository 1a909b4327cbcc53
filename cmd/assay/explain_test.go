package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/cmd/assay/why"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/world"
)

// explain explains the story: the decision is the one that it has without an
// explanation, the tree agrees with it, and nothing of it can harm a terminal.
func (s *story) explain(t *testing.T, engine *rego.Engine, request []byte, want string) string {
	t.Helper()
	decision, tree, err := engine.Explain(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	var encoded, printed bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(decision); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, s.redact(encoded.String())); diff != "" {
		t.Errorf("the decision with an explanation is another (-without +with):\n%s", diff)
	}
	checkTree(t, decision, tree)
	if err := why.Print(&printed, decision, tree); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(strings.ReplaceAll(printed.String(), "\n", ""), func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("got what does not print:\n%q", printed.String())
	}
	return s.redactIDs(printed.String())
}

var sha256Hex = regexp.MustCompile(`[0-9a-f]{64}`)

// redactIDs is redact where no quotes tell what is new in every world: all hashes but
// those of images.
func (s *story) redactIDs(text string) string {
	known := s.hashes()
	return sha256Hex.ReplaceAllStringFunc(s.world.Redact(text), func(hash string) string {
		if known[hash] {
			return hash
		}
		return "<id>"
	})
}

// hashes are those of the images of the world.
func (s *story) hashes() map[string]bool {
	out := map[string]bool{}
	description, err := world.Parse(s.file("world.yaml"))
	if err != nil {
		return out
	}
	for name := range description.Images {
		if _, digest, ok := s.world.Image(name); ok {
			out[strings.TrimPrefix(digest, "sha256:")] = true
		}
	}
	return out
}

// checkTree holds a tree to its decision: they never disagree.
func checkTree(t *testing.T, decision rego.Decision, tree rego.Explanation) {
	t.Helper()
	if (tree.Outcome != "failed") != decision.Allowed || failing(tree) == decision.Allowed {
		t.Errorf("got a tree of outcome %s, failing %t, for allowed %t", tree.Outcome, failing(tree), decision.Allowed)
	}
	checkCodes(t, tree)
	for _, image := range tree.Because {
		if image.What != "image" {
			continue
		}
		i := slices.IndexFunc(decision.Images, func(i rego.Image) bool { return i.Path == image.Path })
		if i < 0 {
			t.Errorf("got an image at %s, which the decision has not", image.Path)
			continue
		}
		for _, policy := range image.Because {
			checkPolicy(t, decision.Images[i], policy)
		}
	}
}

// failing reports whether a branch of the tree denies.
func failing(tree rego.Explanation) bool {
	return slices.ContainsFunc(tree.Because, func(n rego.Explanation) bool { return n.Outcome == "failed" })
}

func checkPolicy(t *testing.T, image rego.Image, node rego.Explanation) {
	t.Helper()
	if node.What != "policy" || node.Outcome == "unmatched" {
		return
	}
	i := slices.IndexFunc(image.Policies, func(p rego.Policy) bool { return p.Name == node.Name })
	if i < 0 {
		t.Errorf("got policy %s, which does not match", node.Name)
		return
	}
	policy := image.Policies[i]
	failed := node.Code != string(rego.Passed) && node.Code != string(rego.Warned)
	if policy.Mode != node.Mode || failed != (policy.Outcome == "failed") || node.Outcome == "failed" && policy.Mode == "warn" {
		t.Errorf("got %s %s %s %s, want what the decision says: %+v", node.Name, node.Mode, node.Code, node.Outcome, policy)
	}
	if failed && !slices.ContainsFunc(node.Because, func(n rego.Explanation) bool { return n.Code == string(rego.Matched) }) {
		t.Errorf("policy %s: got no glob that matched", node.Name)
	}
	var authorities []string
	for _, child := range node.Because {
		if child.What == "authority" {
			authorities = append(authorities, child.Name+" "+child.Outcome)
			if child.Source == nil || child.Source.Line == 0 {
				t.Errorf("authority %s: got no line of its rule", child.Name)
			}
		}
	}
	var want []string
	for _, authority := range policy.Authorities {
		want = append(want, authority.Name+" "+authority.Outcome)
	}
	if failed && !slices.Equal(authorities, want) {
		t.Errorf("policy %s: got authorities %q, want %q", node.Name, authorities, want)
	}
}

// checkCodes wants codes of the closed list, and outcomes.
func checkCodes(t *testing.T, node rego.Explanation) {
	t.Helper()
	reasons := knownCodes()
	for _, reason := range rego.Reasons() {
		reasons = append(reasons, string(reason))
	}
	if !slices.Contains(reasons, node.Code) {
		t.Errorf("%s %s: got code %q, which is not on the list", node.What, node.Name, node.Code)
	}
	if !slices.Contains([]string{"passed", "warned", "failed", "unmatched"}, node.Outcome) {
		t.Errorf("%s %s: got outcome %q", node.What, node.Name, node.Outcome)
	}
	for _, child := range node.Because {
		checkCodes(t, child)
	}
}

// knownCodes are those of the builtins and of the library.
func knownCodes() []string {
	return []string{
		"not_found", "unauthorized", "rate_limited", "timeout", "unreachable", "forbidden_host", "malformed", "digest_mismatch",
		"no_signatures", "identity_mismatch", "untrusted_root", "expired", "tlog", "timestamp", "unsupported", "too_large",
		"not_compliant", "static_policy", "unresolved",
	}
}
