package status

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/kube/watch"
)

func TestEventsOfPolicies(t *testing.T) {
	t.Parallel()
	of := func(o Outcome) map[string]any {
		status, _ := Of(Judged{seenWith(nil), o}, noon)
		return status
	}
	good, bad, stale := of(Outcome{}), of(Outcome{Invalid: "got x"}), of(Outcome{Stale: []string{"Secret key: was deleted"}})
	tests := []struct {
		name          string
		before, after map[string]any
		want          string
	}{
		{"a new one that is ready", nil, good, ""},
		{"a new one that is not", nil, bad, "Warning Invalid got x"},
		{"it ceases to be ready", good, bad, "Warning Invalid got x"},
		{"it becomes ready", bad, good, "Normal InForce in force as it is written"},
		{"it becomes ready with what is stale", bad, stale, "Warning Stale Secret key: was deleted"},
		{"it loses what it refers to", good, stale, "Warning Stale Secret key: was deleted"},
		{"and gets it back", stale, good, "Normal Resolved in force as it is written"},
		{"nothing changes", bad, bad, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, ok := turned(seenWith(tt.before), tt.after)
			got := strings.TrimSpace(strings.Join([]string{e.kind, e.reason, e.note}, " "))
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEventsAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	denial := Denial{
		Namespace: "shop", Kind: "Pod", Name: "web-1", Reasons: []string{"failed policy: release: spec.containers[0].image", strings.Repeat("x", 2000)},
		Object: []byte(`{"metadata": {"ownerReferences": [{"kind": "Other", "name": "o"}, {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": true}]}}`),
	}
	got := denial.event().object("assay-0", noon).Object
	note, _ := got["note"].(string)
	if len(note) > mostNote || !strings.HasPrefix(note, "Pod web-1: failed policy: release: spec.containers[0].image\nxxx") || !strings.HasSuffix(note, "x…") {
		t.Errorf("note: got %d bytes: %.80q", len(note), note)
	}
	delete(got, "note")
	want := map[string]any{
		"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": map[string]any{"namespace": "shop", "generateName": "assay-"},
		"eventTime": "2026-06-01T12:00:00.000000Z", "reportingController": "assay.dev/assay", "reportingInstance": "assay-0",
		"type": "Warning", "reason": "ImageDenied", "action": "Admit",
		"regarding": map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet", "namespace": "shop", "name": "web", "uid": "u"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestWhatADenialIsAbout(t *testing.T) {
	t.Parallel()
	namespace := Reference{APIVersion: "v1", Kind: "Namespace", Namespace: "shop", Name: "shop"}
	tests := []struct {
		name, object string
		want         Reference
	}{
		{"nobody owns it", `{"metadata": {}}`, namespace},
		{"an owner that does not control it", `{"metadata": {"ownerReferences": [{"kind": "A", "name": "a"}]}}`, namespace},
		{"no object", `[1`, namespace},
		{"owners of another type", `{"metadata": {"ownerReferences": 3}}`, namespace},
		{"a name longer than names are", `{"metadata": {"ownerReferences": [{"kind": "A", "name": "` + strings.Repeat("a", 254) + `", "controller": true}]}}`, namespace},
		{"a controller without a name", `{"metadata": {"ownerReferences": [{"kind": "A", "controller": true}]}}`, namespace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, Denial{Namespace: "shop", Object: []byte(tt.object)}.regarding()); diff != "" {
				t.Errorf("regarding (-want +got):\n%s", diff)
			}
		})
	}
	e := Denial{Kind: "Fleet", Name: "all"}.event().object("r", noon)
	if e.GetNamespace() != "default" {
		t.Errorf("what is in no namespace: got an event in %q, want default", e.GetNamespace())
	}
}

// What was written and not yet seen again counts: nothing is written twice.
func TestWhatWasWrittenIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	w := NewWriter(nil, "assay-0", slog.New(slog.DiscardHandler))
	status, _ := Of(Judged{seenWith(nil), Outcome{}}, noon)
	now := seenWith(status)
	now.ResourceVersion = "8"
	w.written = map[string]write{"ClusterImagePolicy release": {over: "7", now: now, at: noon}}
	if _, differs := Of(w.current(Judged{seenWith(nil), Outcome{}}), later); differs {
		t.Error("the version that was written over: got a difference, want none")
	}
	other := seenWith(nil)
	other.ResourceVersion = "9"
	if _, differs := Of(w.current(Judged{other, Outcome{}}), later); !differs {
		t.Error("a version after it, without a status: got no difference")
	}
	again := watch.Seen{Kind: now.Kind, Name: now.Name, UID: "another", ResourceVersion: "7"}
	if got := w.current(Judged{again, Outcome{}}); got.ResourceVersion != "7" {
		t.Errorf("a namesake: got version %s, want 7", got.ResourceVersion)
	}
}
