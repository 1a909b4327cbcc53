package rego_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// owned is an ImagePolicy that needs no registry.
func owned(namespace, name, action, spec string) string {
	text := strings.Replace(static(name, "registry.example/**", action, spec), "policy.sigstore.dev/v1beta1", "policy.assay.dev/v1alpha1", 1)
	return strings.Replace(strings.Replace(text, "ClusterImagePolicy", "ImagePolicy", 1), "metadata: {", "metadata: {namespace: "+namespace+", ", 1)
}

// in is a review in a namespace.
func in(review []byte, namespace string) []byte {
	return bytes.Replace(review, []byte(`"operation"`), []byte(`"namespace":"`+namespace+`","operation"`), 1)
}

func TestImagePoliciesTightenTheirNamespace(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	const refused = "failed policy: team-a/own: spec.containers[0].image\n" + someApp + " disallowed by static policy: "
	const uncovered = "no matching policies: spec.containers[0].image\n" + someApp
	cluster := static("all", "registry.example/**", "pass", "")
	for _, tt := range []struct {
		name, policies, namespace string
		reasons, warnings         []string
	}{
		{"it denies in its namespace", cluster + owned("team-a", "own", "fail", ""), "team-a", []string{refused}, nil},
		{"it is asked in no other", cluster + owned("team-a", "own", "fail", ""), "team-b", nil, nil},
		{"nor of what has no namespace", cluster + owned("team-a", "own", "fail", ""), "", nil, nil},
		{"it is no match", owned("team-a", "own", "pass", ""), "team-a", []string{uncovered}, nil},
		{"what it denies and what nothing matches are both said", owned("team-a", "own", "fail", ""), "team-a", []string{refused, uncovered}, nil},
		{"it warns where its mode says so", cluster + owned("team-a", "own", "fail", "  mode: warn\n"), "team-a", nil, []string{refused}},
		{"one of the same name of another namespace is another", cluster + owned("team-a", "own", "fail", "") + owned("team-b", "own", "pass", ""), "team-b", nil, nil},
		{"as is the one of the cluster", static("own", "registry.example/**", "pass", "") + owned("team-a", "own", "fail", ""), "team-a", []string{refused}, nil},
		{"without any policy it is as before", static("other", "other.example/**", "pass", ""), "team-a", []string{uncovered}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := open(t, w, setup{policies: tt.policies, explains: true})
			reasons, warnings := judge(t, r, in(pod(someApp), tt.namespace))
			if diff := cmp.Diff(tt.reasons, reasons, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("reasons: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, warnings, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("warnings: -want +got\n%s", diff)
			}
		})
	}
}

// TestRegoInsideCallsNoCUE: each call would be an evaluation that nobody can end.
func TestRegoInsideCallsNoCUE(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	for _, builtin := range []string{"cue.validate", "cue.validate_concrete"} {
		r := open(t, w, setup{policies: static("all", "**", "pass",
			"  policy: {type: rego, data: \"package sigstore\\nisCompliant if "+builtin+"(`a: 1`, {}).ok\"}\n")})
		reasons, _ := judge(t, r, pod(someApp))
		if got := strings.Join(reasons, "\n"); !strings.Contains(got, "undefined function "+builtin) {
			t.Errorf("%s: got %q, want it unknown", builtin, got)
		}
	}
}
