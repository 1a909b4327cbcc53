package cip_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

// withLists is a policy with one glob and one authority, and more fields of its spec.
func withLists(images, authorities, more string) []byte {
	return []byte("apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: p}\nspec:\n" +
		"  images: [" + images + "]\n  authorities: [" + authorities + "]\n" + more)
}

// repeated repeats an element of a list; %d in it is its index.
func repeated(element string, n int) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(strings.ReplaceAll(element, "%d", fmt.Sprint(i)) + ",")
	}
	return out.String()
}

const (
	anyGlob    = `{glob: "**"}`
	staticPass = "{static: {action: pass}}"
)

// TestParseBoundsLists: each bound is accepted, one more is named with its field,
// and alone: ten thousand lines would hide it.
func TestParseBoundsLists(t *testing.T) {
	t.Parallel()
	attestations := func(n int) []byte {
		return withLists(anyGlob, "{keyless: {identities: [{issuer: i, subject: s}]}, attestations: ["+repeated("{name: a%d, predicateType: 'https://a/%d'}", n)+"]}", "")
	}
	for _, tt := range []struct {
		name   string
		policy func(n int) []byte
		most   int
		want   string
	}{
		{"globs", func(n int) []byte { return withLists(repeated("{glob: a%d}", n), staticPass, "") }, 10_000,
			"too many images: got 10001, want at most 10000: spec.images"},
		{"authorities", func(n int) []byte { return withLists(anyGlob, repeated("{name: a%d, static: {action: pass}}", n), "") }, 256,
			"too many authorities: got 257, want at most 256: spec.authorities"},
		{"attestations", attestations, 256,
			"too many attestations: got 257, want at most 256: spec.authorities[0].attestations"},
		{"identities", func(n int) []byte {
			return withLists(anyGlob, "{keyless: {identities: ["+repeated("{issuer: i, subject: s%d}", n)+"]}}", "")
		}, 10_000,
			"too many identities: got 10001, want at most 10000: spec.authorities[0].keyless.identities"},
		{"match", func(n int) []byte {
			return withLists(anyGlob, staticPass, "  match: ["+repeated("{group: apps, version: v1, resource: deployments}", n)+"]\n")
		}, 1_000,
			"too many entries: got 1001, want at most 1000: spec.match"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := cip.Parse(tt.policy(tt.most)); err != nil {
				t.Errorf("%d: got error %.300v", tt.most, err)
			}
			_, err := cip.Parse(tt.policy(tt.most + 1))
			want := "document 0: ClusterImagePolicy p: validation failed: " + tt.want
			if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
				t.Errorf("%d: error (-want +got):\n%.2000s", tt.most+1, diff)
			}
		})
	}
}

// TestParseBoundsExpressions: RE2 knows no backtracking, so nested quantifiers are
// harmless. What it takes is time and memory for what is written out, counted
// repetitions and groups above all.
func TestParseBoundsExpressions(t *testing.T) {
	t.Parallel()
	const at = "spec.authorities[0].keyless.identities[0].subjectRegExp\nregex is invalid: "
	for _, tt := range []struct{ name, expression, want string }{
		{"nested quantifiers", `^(a+)+(a|aa)*(.*)*$`, ""},
		{"a large repetition", `a{1000}`, ""},
		{"many alternatives", strings.Repeat("(?:https://github.com/acme/some-repository)|", 400), ""},
		{"a repetition above RE2's bound", `a{1001}`, "invalid value: a{1001}: " + at + "error parsing regexp: invalid repeat count: `{1001}`"},
		{"a repetition of repetitions", `(a{1000}){1000}`, "invalid value: (a{1000}){1000}: " + at + "error parsing regexp: invalid repeat count: `{1000}`"},
		{"small repetitions that multiply", `(((a{10}){10}){10}){10}`, "invalid value: (((a{10}){10}){10}){10}: " + at + "error parsing regexp: invalid repeat count: `{10}`"},
		{"deep groups", strings.Repeat("(", 1001) + strings.Repeat(")", 1001),
			"invalid value: " + strings.Repeat("(", 512) + "…: " + at + "error parsing regexp: expression nests too deeply: `" + strings.Repeat("(", 442) + "…"},
		{"repetitions side by side", strings.Repeat("a{1000}", 66),
			"invalid value: " + strings.Repeat("a{1000}", 73)[:462] + ": " + at + "got an expression of 66002 instructions, want at most 65536"},
		{"a megabyte", strings.Repeat("a*", 500_000),
			"invalid value: " + strings.Repeat("a*", 256) + "…: " + at + "got 1000000 characters, want at most 65536"},
		{"groups that are noted", strings.Repeat("(a|b)*", 2_000),
			"invalid value: " + strings.Repeat("(a|b)*", 86)[:512] + "…: " + at +
				"got 2000 groups in an expression of 8002 instructions, want fewer, or (?:…) that capture nothing"},
		{"groups that are not", strings.Repeat("(?:a|b)*", 2_000), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := cip.Parse(withAuthority("{keyless: {identities: [{issuer: i, subjectRegExp: '" + tt.expression + "'}]}}"))
			got, want := "", tt.want
			if err != nil {
				got = err.Error()
			}
			if want != "" {
				want = "document 0: ClusterImagePolicy p: validation failed: " + want
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("error (-want +got):\n%.3000s", diff)
			}
		})
	}
}

// TestParseBoundsExpressionsTogether: each of them may be fine, and all of them take gigabytes.
func TestParseBoundsExpressionsTogether(t *testing.T) {
	t.Parallel()
	identities := func(n, repetitions int) []byte {
		identity := "{issuer: i, subjectRegExp: '" + strings.Repeat("a{1000}", repetitions) + "'}"
		return withAuthority("{keyless: {identities: [" + strings.TrimSuffix(strings.Repeat(identity+", ", n), ", ") + "]}}")
	}
	if _, err := cip.Parse(identities(1000, 2)); err != nil {
		t.Errorf("2,002,000 instructions: got error %.300v", err)
	}
	_, err := cip.Parse(identities(60, 60))
	want := "document 0: ClusterImagePolicy p: validation failed: too many instructions: got more than 2097152 in all expressions of the policy: " +
		"spec.authorities[0].keyless.identities[34].subjectRegExp"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%.2000s", diff)
	}
}

// TestParseBoundsStreams: what is larger or deeper than any policy is refused before
// it is looked at, and what is merely wrong ten thousand times is said.
func TestParseBoundsStreams(t *testing.T) {
	t.Parallel()
	const tooDeep = "is nested deeper than 100 levels"
	for _, tt := range []struct{ name, data, want string }{
		{"5 MB", strings.Repeat("# five bytes\n", 5<<20/13), "got more than 4194304 bytes of policies"},
		{"5 MB of JSON", "[" + strings.Repeat("{},", 5<<20/3) + "{}]", "got more than 4194304 bytes of policies"},
		{"deep flow YAML", string(withLists(anyGlob, staticPass, "  match: "+strings.Repeat("[", 200)+strings.Repeat("]", 200))), tooDeep},
		{"deeper than the YAML library reads", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "exceeded max depth of 10000"},
		{"deep block YAML", strings.Repeat("- ", 5_000) + "a", tooDeep},
		{"deep JSON", `{"a":` + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000) + "}", tooDeep},
		{"unknown fields", string(withLists(anyGlob, staticPass, "  x: 1\n"+strings.ReplaceAll(repeated("  y%d: 1\n", 10_000), ",", ""))), `json: unknown field "y9999"`},
		{"bad globs", string(withLists(repeated("{glob: a%d+}", 10_000), staticPass, "")), "invalid value: a9999+: spec.images[9999].glob"},
		{"a long mode", string(withLists(anyGlob, staticPass, "  mode: "+strings.Repeat("x", 1<<20))), "invalid value: " + strings.Repeat("x", 512) + "…: spec.mode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := cip.Parse([]byte(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %.300v, want %s", err, tt.want)
			}
		})
	}
}
