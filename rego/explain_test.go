package rego_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/world"
)

const explainedImages = `
images:
  good: {signatures: [{signer: release}], attestations: [{signer: release, predicateType: "` + provenance + `"}]}
  other: {signatures: [{signer: laptop}], attestations: [{signer: release, predicateType: vuln}]}
  bare: {}
`

// explainedPolicies are of every kind that asks something.
func explainedPolicies() string {
	return policy("signed", "", "") + "---\n" + policy("attested", "", attested) + "---\n" +
		policy("judged", "  policy: {type: rego, fetchConfigFile: true, data: \"package sigstore\\nisCompliant { input.config.x }\"}\n", "") + "---\n" +
		policy("soft", "  mode: warn\n", bundled)
}

// TestExplainDecidesTheSame: with the same requests, in as many evaluations.
func TestExplainDecidesTheSame(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(w *world.World) []string{
		"what passes":           func(w *world.World) []string { return []string{byDigest(t, w, "good")} },
		"by tag":                func(w *world.World) []string { return []string{byTag(t, w, "good")} },
		"what fails":            func(w *world.World) []string { return []string{byDigest(t, w, "other")} },
		"what is not signed":    func(w *world.World) []string { return []string{byDigest(t, w, "bare")} },
		"a tag that is missing": func(w *world.World) []string { return []string{byTag(t, w, "bare") + "-missing"} },
		"all of them": func(w *world.World) []string {
			return []string{byDigest(t, w, "good"), byDigest(t, w, "other"), byDigest(t, w, "bare")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := openWorld(t, explainedImages) // whose requests are of this test alone
			images := of(w)
			setup := setup{policies: explainedPolicies(), config: rego.Config{Tags: "resolve"}}
			w.ResetRequests()
			plain := open(t, w, setup)
			want := plain.decide(t, images...)
			requests := len(w.Requests())
			w.ResetRequests()
			setup.explains = true
			explaining := open(t, w, setup)
			got, tree, err := explaining.Explain(t.Context(), pod(images...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("decision (-decide +explain):\n%s", diff)
			}
			if asked := len(w.Requests()); asked > requests {
				t.Errorf("got %d requests, want %d at most", asked, requests)
			}
			if got, want := explaining.last(), plain.last(); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if (tree.Outcome != "failed") != want.Allowed || len(tree.Because) != len(images) {
				t.Errorf("got %+v, want a branch for each of %d images", tree, len(images))
			}
		})
	}
}

// TestExplainNamesRulesAndLines, of the compiled policy and of the Rego inside it.
func TestExplainNamesRulesAndLines(t *testing.T) {
	t.Parallel()
	w := openWorld(t, explainedImages)
	r := open(t, w, setup{explains: true, policies: policy("judged", `  match: [{version: "*", resource: pods}]
  policy:
    type: rego
    data: |
      package sigstore

      isCompliant {
        input.authorityMatches.main

        input.authorityMatches.other
      }
`, "")})
	_, tree, err := r.Explain(t.Context(), pod(byDigest(t, w, "good")))
	if err != nil {
		t.Fatal(err)
	}
	text, err := rego.Modules(t.Context(), r.source.Policies)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, node := range tree.Because[0].Because[0].Because {
		if node.Source == nil || node.Source.Line == 0 {
			t.Fatalf("got no line of %+v", node)
		}
		lines := strings.Split(text.Modules[node.Source.Path], "\n")
		got[node.Source.Field], _, _ = strings.Cut(lines[node.Source.Line-1], "(")
		if node.What == "inside" {
			rule := node.Because[0]
			if rule.Name != "isCompliant" || rule.Source.Line != 6 || rule.Text != "not true: input.authorityMatches.other" {
				t.Errorf("got rule %+v, want line 6 of the policy's text", rule)
			}
		}
	}
	want := map[string]string{
		"spec.images[0].glob": "matched if {", "spec.match[0]": "_resource_matched if {",
		"spec.authorities[0]": "authorities[0] := verify.signatures", "spec.policy": "policy := policies.judge",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// TestExplainComesNear an image that no policy matches.
func TestExplainComesNear(t *testing.T) {
	t.Parallel()
	w := openWorld(t, explainedImages)
	image := byDigest(t, w, "good")
	host, _, _ := strings.Cut(image, "/")
	near := strings.Replace(policy("near", "", ""), `"**"`, `"`+host+`/goods/**"`, 1)
	kind := strings.Replace(policy("kind", "  match: [{group: apps, version: \"*\", resource: deployments}]\n", ""), `"**"`, `"`+host+`/**"`, 1)
	far := strings.Replace(policy("far", "", ""), `"**"`, `"elsewhere.example/**"`, 1)
	r := open(t, w, setup{explains: true, policies: near + "---\n" + kind + "---\n" + far})
	_, tree, err := r.Explain(t.Context(), pod(image))
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Name, Code string
		Differs    []rego.Difference
	}
	var got []row
	for _, node := range tree.Because[0].Because {
		got = append(got, row{node.Name, node.Code, node.Differs})
	}
	want := []row{
		{"kind", "resource_differs", []rego.Difference{{What: "resource", Got: "v1/pods", Want: "apps/*/deployments"}}},
		{"near", "glob_differs", []rego.Difference{{What: "glob", Got: image, Want: host + "/goods/**"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" || tree.Because[0].Code != string(rego.NoPolicy) {
		t.Errorf("%s: nearest (-want +got):\n%s", tree.Because[0].Code, diff)
	}
}

// TestExplainRefusesWhatDecideRefuses.
func TestExplainRefusesWhatDecideRefuses(t *testing.T) {
	t.Parallel()
	r := open(t, openWorld(t, explainedImages), setup{explains: true})
	for _, review := range []string{"", "[]", "{"} {
		_, want := r.Decide(t.Context(), []byte(review))
		_, _, got := r.Explain(t.Context(), []byte(review))
		if got == nil || want == nil || got.Error() != want.Error() {
			t.Errorf("%q: got %v, want %v", review, got, want)
		}
	}
}

// TestExplainAsksNoMoreOfPoliciesInRego: a rule that cannot hold is not begun to tell
// which did, and asks nobody.
func TestExplainAsksNoMoreOfPoliciesInRego(t *testing.T) {
	t.Parallel()
	w := openWorld(t, explainedImages)
	with := setup{policies: static("everything", "**", "pass", ""), modules: map[string]string{"asks.rego": fmt.Sprintf(`package policies.asks

deny contains "gone" if {
	oci.manifest(%q).ok
	input.request.operation == "DELETE"
}

deny contains "not now" if input.request.operation == "CREATE"
`, byDigest(t, w, "bare"))}}
	good := byDigest(t, w, "good")
	plain := open(t, w, with)
	want := plain.decide(t, good)
	requests, evaluations := len(w.Requests()), plain.last()
	w.ResetRequests()
	with.explains = true
	explaining := open(t, w, with)
	got, tree, err := explaining.Explain(t.Context(), pod(good))
	if err != nil || len(tree.Because) == 0 {
		t.Fatalf("got %+v, %v, want a tree", tree, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decision (-decide +explain):\n%s", diff)
	}
	if asked := len(w.Requests()); asked != requests || explaining.last() != evaluations {
		t.Errorf("got %d requests, %+v, want %d, %+v", asked, explaining.last(), requests, evaluations)
	}
}

// TestDecisionIsAboutEveryPolicyInRego, or there is none.
func TestDecisionIsAboutEveryPolicyInRego(t *testing.T) {
	t.Parallel()
	w := openWorld(t, explainedImages)
	r := open(t, w, setup{
		modules:  map[string]string{"quiet.rego": "package policies.quiet\n\ndeny contains \"no\" if input.no\n"},
		query:    `{"allowed": true, "images": [], "reasons": [], "warnings": [], "patch": []}`,
		explains: true,
	})
	full, err := rego.Compile(t.Context(), r.source)
	if err != nil {
		t.Fatal(err)
	}
	r.Set().Speak(full)
	const want = "the decision is about 0 policies in Rego, want 1"
	if d, err := r.Decide(t.Context(), pod(byDigest(t, w, "good"))); err == nil || err.Error() != want || d.Allowed {
		t.Errorf("Decide: got allowed %t, %v, want %s", d.Allowed, err, want)
	}
	if d, _, err := r.Explain(t.Context(), pod(byDigest(t, w, "good"))); err == nil || err.Error() != want || d.Allowed {
		t.Errorf("Explain: got allowed %t, %v, want %s", d.Allowed, err, want)
	}
}

// TestExplainWantsASetThatExplains: without one there is no decision either.
func TestExplainWantsASetThatExplains(t *testing.T) {
	t.Parallel()
	w := openWorld(t, explainedImages)
	decision, _, err := open(t, w, setup{}).Explain(t.Context(), pod(byDigest(t, w, "good")))
	if err == nil || decision.Allowed {
		t.Errorf("got allowed %t, %v, want an error", decision.Allowed, err)
	}
}

// TestExplainOfManyPolicies ends in time for the decision, though none matches.
func TestExplainOfManyPolicies(t *testing.T) {
	t.Parallel()
	w := openWorld(t, explainedImages)
	r := open(t, w, setup{explains: true, policies: manyPolicies(300)})
	decision, tree, err := r.Explain(t.Context(), pod("ghcr.io/org-x/app@sha256:"+strings.Repeat("0", 64)))
	if err != nil || decision.Allowed || len(tree.Because[0].Because) != 3 {
		t.Errorf("got %+v, %v, want the three nearest", tree, err)
	}
}

// TestExplainNamesTheRulesThatDeny of a policy in plain Rego, by file and line.
func TestExplainNamesTheRulesThatDeny(t *testing.T) {
	t.Parallel()
	w := openWorld(t, explainedImages)
	r := open(t, w, setup{explains: true, modules: map[string]string{"rules/latest.rego": `package kubernetes.admission

deny contains "never" if input.request.operation == "DELETE"

deny contains "not now" if {
	input.request.operation == "CREATE"
}
`}})
	decision, tree, err := r.Explain(t.Context(), pod(byDigest(t, w, "good")))
	if err != nil || decision.Allowed {
		t.Fatalf("got %+v, %v, want a denial", decision, err)
	}
	node := tree.Because[len(tree.Because)-1]
	if node.What != "rego" || node.Outcome != "failed" || len(node.Because) != 2 || node.Because[0].Text != "not now" {
		t.Fatalf("got %+v, want the denial and its rule", node)
	}
	if diff := cmp.Diff(&rego.Place{Path: "rules/latest.rego", Line: 5}, node.Because[1].Source); diff != "" {
		t.Errorf("place (-want +got):\n%s", diff)
	}
}
