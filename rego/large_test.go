package rego_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLargePoliciesFailAlone: a policy of a megabyte is read, and what is too large
// in it fails it, with the cause, and no other.
func TestLargePoliciesFailAlone(t *testing.T) {
	t.Parallel()
	const megabyte = 1 << 20
	w := openWorld(t, signedApp)
	image := byDigest(t, w, "app")
	inside := func(kind, text string) string {
		return "  policy: {type: " + kind + ", data: " + fmt.Sprintf("%q", text) + "}\n"
	}
	attestation := func(kind, text string) string {
		return strings.Replace(attested, "}]", ", policy: {type: "+kind+", data: "+fmt.Sprintf("%q", text)+"}}]", 1)
	}
	fields := strings.Repeat("a: 1\n", megabyte/5)
	for _, tt := range []struct{ name, policy, reason, warning string }{
		{
			"CUE", static("large", "**", "pass", inside("cue", fields)),
			"failed evaluating cue policy for ClusterImagePolicy: the cue policy: got 1048575 bytes, want at most 262144 (too_large)", "",
		},
		{
			"Rego", static("large", "**", "pass", inside("rego", "package sigstore\n"+strings.Repeat("a = 1\n", megabyte/6))),
			"failed evaluating rego policy for type ClusterImagePolicy: module: got 1048589 bytes, want at most 262144 (unresolved)",
			"policy large: spec.policy fails whatever it judges: module: got 1048589 bytes, want at most 262144",
		},
		{
			"Rego of an attestation", policy("large", "", attestation("rego", strings.Repeat("#", megabyte))),
			"authority main: failed evaluating rego policy for type provenance: module: got 1048576 bytes, want at most 262144 (unresolved)",
			"policy large: spec.authorities[0] fails whatever it judges: " +
				"failed evaluating rego policy for type provenance: module: got 1048576 bytes, want at most 262144",
		},
		{
			"Rego that nests", static("large", "**", "pass", inside("rego", "package sigstore\nx = "+strings.Repeat("[", 1000)+strings.Repeat("]", 1000))),
			"failed evaluating rego policy for type ClusterImagePolicy: module: got brackets 1000 deep, want at most 200 (unresolved)",
			"policy large: spec.policy fails whatever it judges: module: got brackets 1000 deep, want at most 200",
		},
		{
			"a message", strings.Replace(static("large", "**", "fail", ""), "action: fail", "action: fail, message: '"+strings.Repeat("no ", megabyte/3)+"'", 1),
			"disallowed by static policy: " + strings.Repeat("no ", megabyte/3), "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := open(t, w, setup{policies: tt.policy + "---\n" + policy("small", "", "")})
			d := r.decide(t, image)
			if diff := cmp.Diff([]string{"failed policy: large: spec.containers[0].image\n" + image + " " + tt.reason}, d.Reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%.2000s", diff)
			}
			if got := strings.Join(r.Set().Warnings(), "\n"); got != tt.warning {
				t.Errorf("got warnings %q, want %q", got, tt.warning)
			}
			if got := d.Images[0].Policies[1]; got.Name != "small" || got.Outcome != "passed" {
				t.Errorf("got %s %s, want small passed", got.Name, got.Outcome)
			}
		})
	}
}

// TestAsManyAsThereMayBe: a policy that is at its bounds is compiled and decides.
func TestAsManyAsThereMayBe(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	image := byDigest(t, w, "app")
	repeat := func(element string, n int) string {
		var out strings.Builder
		for i := range n {
			out.WriteString(strings.ReplaceAll(element, "%d", fmt.Sprint(i)))
		}
		return out.String()
	}
	attestations := strings.Replace(attested, "{name", repeat("{name: a%d, predicateType: https://a.example/%d}, ", 255)+"{name", 1)
	for _, tt := range []struct {
		name, policy string
		allowed      bool
	}{
		{"authorities", policy("p", "", repeat("  - {name: a%d, static: {action: fail}}\n", 255)), true},
		{"attestations", policy("p", "", attestations), false},
		{"identities", strings.Replace(policy("p", "", ""), "identities:\n", "identities:\n"+repeat("      - {issuer: i, subject: s%d}\n", 9_999), 1), true},
		{"match", static("p", "**", "pass", "  match: ["+repeat("{group: apps, version: v1, resource: deployments}, ", 999)+"{version: v1, resource: pods}]\n"), true},
		{"globs that begin with a star", strings.Replace(static("p", "**", "pass", ""), `[{glob: "**"}`, "["+repeat("{glob: '**/team-%d/**'}, ", 9_999)+`{glob: "**"}`, 1), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if d := open(t, w, setup{policies: tt.policy}).decide(t, image); d.Allowed != tt.allowed {
				t.Errorf("got %t and %.300q, want %t", d.Allowed, d.Reasons, tt.allowed)
			}
		})
	}
}
