package status

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/kube/watch"
)

var (
	noon  = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	later = noon.Add(time.Hour)
)

func seenWith(status map[string]any) watch.Seen {
	return watch.Seen{Kind: "ClusterImagePolicy", Name: "release", UID: "u", Generation: 3, ResourceVersion: "7", Status: status}
}

// said prints the conditions of a status, a line for each.
func said(status map[string]any) string {
	var out []string
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		line := []string{text(c, "type"), text(c, "status"), text(c, "reason"), text(c, "lastTransitionTime"), text(c, "message")}
		out = append(out, strings.TrimSpace(strings.Join(line, " ")))
	}
	return strings.Join(out, "\n")
}

// CRD-11: A status says whether the object is in force, and if not, why.
func TestConditions(t *testing.T) {
	t.Parallel()
	const at = " 2026-06-01T12:00:00Z"
	tests := []struct {
		name    string
		outcome Outcome
		want    string
	}{
		{"all is well", Outcome{}, "Ready True InForce" + at + "\nCompiled True Compiled" + at + "\nKeysResolved True Resolved" + at},
		{
			"it cannot be read", Outcome{Invalid: "missing field(s): spec.images"},
			"Ready False Invalid" + at + " missing field(s): spec.images\nCompiled False Invalid" + at + " missing field(s): spec.images\n" +
				"KeysResolved Unknown Invalid" + at + " what cannot be read refers to nothing",
		},
		{
			"the change that brought it is refused", Outcome{NotLoaded: "a.yaml: no policy"},
			"Ready False NotLoaded" + at + " the version before serves, if there is one: a.yaml: no policy\n" +
				"Compiled False NotLoaded" + at + " the version before serves, if there is one: a.yaml: no policy\nKeysResolved True Resolved" + at,
		},
		{
			"it does not compile", Outcome{Uncompiled: map[string]string{"spec.policy": "cip/release/policy.rego:3: rego_parse_error"}},
			"Ready False CompileFailed" + at + " spec.policy: cip/release/policy.rego:3: rego_parse_error\n" +
				"Compiled False CompileFailed" + at + " spec.policy: cip/release/policy.rego:3: rego_parse_error\nKeysResolved True Resolved" + at,
		},
		{
			"what it refers to cannot be read",
			Outcome{Unresolved: map[string]string{"spec.authorities[1]": `secret "b" not found`, "spec.authorities[0]": `secret "a" not found`}},
			"Ready False Unresolved" + at + " spec.authorities[0]: secret \"a\" not found\nspec.authorities[1]: secret \"b\" not found\n" +
				"Compiled True Compiled" + at + "\nKeysResolved False Unresolved" + at + " spec.authorities[0]: secret \"a\" not found\nspec.authorities[1]: secret \"b\" not found",
		},
		{
			"what it refers to is not up to date", Outcome{Stale: []string{"Secret key: was deleted"}},
			"Ready True Stale" + at + " Secret key: was deleted\nCompiled True Compiled" + at + "\nKeysResolved False Stale" + at + " Secret key: was deleted",
		},
		{
			"of two failures it is the first", Outcome{Uncompiled: map[string]string{"p": "c"}, Unresolved: map[string]string{"q": "d"}},
			"Ready False CompileFailed" + at + " p: c\nCompiled False CompileFailed" + at + " p: c\nKeysResolved False Unresolved" + at + " q: d",
		},
		{
			"a failure is worse than what is stale", Outcome{Uncompiled: map[string]string{"p": "c"}, Stale: []string{"s"}},
			"Ready False CompileFailed" + at + " p: c\nCompiled False CompileFailed" + at + " p: c\nKeysResolved False Stale" + at + " s",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, differs := Of(Judged{seenWith(nil), tt.outcome}, noon)
			if diff := cmp.Diff(tt.want, said(status)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if !differs || status["observedGeneration"] != int64(3) {
				t.Errorf("got %v, %v", differs, status["observedGeneration"])
			}
			again, differs := Of(Judged{seenWith(status), tt.outcome}, later)
			if differs || said(again) != said(status) {
				t.Errorf("the same an hour later: got a difference:\n%s", said(again))
			}
		})
	}
}

func TestTimesAreThoseOfChanges(t *testing.T) {
	t.Parallel()
	good, _ := Of(Judged{seenWith(nil), Outcome{}}, noon)
	bad, differs := Of(Judged{seenWith(good), Outcome{Unresolved: map[string]string{"p": "one"}}}, later)
	want := "Ready False Unresolved 2026-06-01T13:00:00Z p: one\nCompiled True Compiled 2026-06-01T12:00:00Z\nKeysResolved False Unresolved 2026-06-01T13:00:00Z p: one"
	if diff := cmp.Diff(want, said(bad)); diff != "" || !differs {
		t.Errorf("differs %v (-want +got):\n%s", differs, diff)
	}
	other, differs := Of(Judged{seenWith(bad), Outcome{Unresolved: map[string]string{"p": "two"}}}, later.Add(time.Hour))
	if want := strings.ReplaceAll(want, "one", "two"); said(other) != want || !differs {
		t.Errorf("another message: got %v:\n%s", differs, said(other))
	}
	edited := seenWith(good)
	edited.Generation = 4
	if status, differs := Of(Judged{edited, Outcome{}}, later); !differs || said(status) != said(good) || status["observedGeneration"] != int64(4) {
		t.Errorf("another generation: got %v, %v", differs, status)
	}
}

func TestConditionsOfOthers(t *testing.T) {
	t.Parallel()
	foreign := map[string]any{"type": "Reviewed", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z", "severity": "Info"}
	before := map[string]any{"observedGeneration": int64(3), "conditions": []any{
		map[string]any{"type": "ConfigMapUpdated", "status": "True"},
		map[string]any{"type": "KeysInlined", "status": "False", "reason": "InliningKeysFailed"},
		map[string]any{"type": "PoliciesInlined", "status": "True"},
		map[string]any{"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"},
		foreign, "no condition", map[string]any{"status": "True"},
	}}
	status, differs := Of(Judged{seenWith(before), Outcome{}}, noon)
	want := "Ready True InForce 2020-01-01T00:00:00Z\nCompiled True Compiled 2026-06-01T12:00:00Z\nKeysResolved True Resolved 2026-06-01T12:00:00Z\nReviewed True  2020-01-01T00:00:00Z"
	if diff := cmp.Diff(want, said(status)); diff != "" || !differs {
		t.Errorf("differs %v (-want +got):\n%s", differs, diff)
	}
	if diff := cmp.Diff(foreign, find(status["conditions"].([]any), "Reviewed")); diff != "" { //nolint:forcetypeassert // as made above
		t.Errorf("a condition of somebody else (-want +got):\n%s", diff)
	}
}

func TestNumberOfImages(t *testing.T) {
	t.Parallel()
	none, _ := Of(Judged{seenWith(nil), Outcome{}}, noon)
	if _, said := none["matchedImages"]; said {
		t.Error("got a number of images, want none")
	}
	some, differs := Of(Judged{seenWith(none), Outcome{MatchedImages: 2}}, noon)
	if !differs || !countAlone(none, some) {
		t.Errorf("got %v, %v, want a difference in the number alone", differs, countAlone(none, some))
	}
	if back, _ := Of(Judged{seenWith(some), Outcome{}}, noon); back["matchedImages"] != int64(0) {
		t.Errorf("got %v, want 0", back["matchedImages"])
	}
	bad, _ := Of(Judged{seenWith(none), Outcome{MatchedImages: 2, Invalid: "x"}}, noon)
	if countAlone(none, bad) {
		t.Error("got a difference in the number alone, want one in the conditions")
	}
}

func TestMessagesAreCut(t *testing.T) {
	t.Parallel()
	status, _ := Of(Judged{seenWith(nil), Outcome{Invalid: strings.Repeat("ä", mostMessage) + "\xff"}}, noon)
	conditions, _ := status["conditions"].([]any)
	message := text(find(conditions, Ready), "message")
	if len(message) > mostMessage || !strings.HasSuffix(message, "ä…") {
		t.Errorf("got %d bytes that end in %q", len(message), message[len(message)-8:])
	}
}
