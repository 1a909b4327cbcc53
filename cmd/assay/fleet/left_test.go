package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/plugins/bundle"

	"github.com/assay-dev/assay/cmd/assay/fleet/standing"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// heard is a bundle of a replica that was heard of then.
func heard(at time.Time) map[string]*bundle.Status {
	b := active("policies", "1", at)
	b.LastSuccessfulRequest, b.LastRequest, b.LastSuccessfulDownload = at, at, at
	return one(b)
}

// TestWhoIsLeftOut of a fleet: a rollout gives each Pod another name, and those before it are no finding.
func TestWhoIsLeftOut(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	stopped := func(at time.Time) standing.Standing { return standing.Standing{Stopped: at} }
	for _, test := range []struct {
		named         string
		write         func(w written)
		gone          time.Duration
		stopped, left int
		states        string // of c/old, "" where it is left out
	}{
		{"one that says that it stopped", func(w written) { w.status("c/old", heard(ago(time.Hour)), says(stopped(ago(time.Hour)))) }, day, 1, 0, ""},
		{"one that stopped long ago", func(w written) { w.status("c/old", heard(ago(30*day)), says(stopped(ago(30*day)))) }, 0, 1, 0, ""},
		{"one that stopped, and failed before", func(w written) {
			w.status("c/old", heard(ago(time.Hour)), says(stopped(ago(time.Hour))), inError)
		}, day, 1, 0, ""},
		{"one that decides after it stopped: it runs again, and its status is not written", func(w written) {
			w.status("c/old", heard(ago(3*time.Hour)), says(stopped(ago(3*time.Hour))))
			w.chunk("c/old", ago(time.Hour), admitted(ago(time.Hour)))
		}, day, 0, 0, "stale"},
		{"one that never said so, a while ago", func(w written) { w.status("c/old", heard(ago(23*time.Hour))) }, day, 0, 0, "stale"},
		{"one that never said so, long ago", func(w written) { w.status("c/old", heard(ago(25*time.Hour))) }, day, 0, 1, ""},
		{"one that never said so, and nobody is gone", func(w written) { w.status("c/old", heard(ago(30*day))) }, 0, 0, 0, "stale"},
		{"old decisions of one whose status is deleted", func(w written) { w.chunk("c/old", ago(3*day), admitted(ago(3*day))) }, day, 0, 1, ""},
		{"old decisions, not known to be so old", func(w written) { w.chunk("c/old", ago(3*day), admitted(ago(3*day))) }, 2 * day, 0, 0, "unknown,stale"},
		{"a status of which nothing is known", func(w written) { w.put("c/old/status.json", []byte(`{}`)) }, day, 0, 0, "unknown,stale"},
		{"a clock that is ahead", func(w written) { w.status("c/old", heard(ago(-30*day))) }, day, 0, 0, "stale"},
	} {
		t.Run(test.named, func(t *testing.T) {
			t.Parallel()
			w := newStore(t)
			w.status("c/new", heard(ago(time.Minute)))
			test.write(w)
			got := ask(t, undated{w.Store}, func(q *question) { q.gone = test.gone })
			if got.Stopped != test.stopped || got.Gone != test.left {
				t.Errorf("got %d stopped and %d gone, want %d and %d", got.Stopped, got.Gone, test.stopped, test.left)
			}
			said := ""
			if i := slices.IndexFunc(got.Replicas, func(r Replica) bool { return r.Name == "old" }); i >= 0 {
				all := [][]State{got.Replicas[i].States}
				for _, b := range got.Replicas[i].Bundles {
					all = append(all, b.States)
				}
				said = states(all...)
			}
			if said != test.states {
				t.Errorf("got %q, want %q", said, test.states)
			}
			if want := test.states == ""; len(got.NotRead) == 0 && got.fine() != want {
				t.Errorf("got fine %t, want %t", got.fine(), want)
			}
		})
	}
}

// TestWhatIsLeftStaysCounted: what a replica denied before it stopped was denied.
func TestWhatIsLeftStaysCounted(t *testing.T) {
	t.Parallel()
	w := newStore(t)
	lost := func(at time.Time) standing.Standing {
		return standing.Standing{Stopped: at, Entries: map[outcome.Place]map[outcome.Result]int64{outcome.Store: {outcome.Dropped: 7}}}
	}
	w.status("c/new", heard(ago(time.Minute)))
	w.status("c/old", heard(ago(time.Hour)), says(lost(ago(time.Hour))))
	w.chunk("c/old", ago(time.Hour), denied(ago(2*time.Hour), "shop", "ghcr.io/acme/app:v1", "signed"))
	w.status("c/older", heard(ago(90*time.Hour)), says(lost(ago(90*time.Hour)))) // which lost nothing since
	got := ask(t, undated{w.Store})
	if got.Denials != 1 || len(got.Clusters) != 1 || got.Clusters[0].Denials != 1 || got.Clusters[0].Replicas != 1 || got.Clusters[0].Lost != 7 || got.Clusters[0].Left != 2 {
		t.Errorf("got %d denials and %+v, want the denial and the loss of the one that stopped in this time", got.Denials, got.Clusters)
	}
	var text strings.Builder
	if err := got.print(&text, "table", false); err != nil {
		t.Fatal(err)
	}
	if want := "1 replicas of 1 clusters, 0 not as they should be, 2 that stopped left out; 1 decisions in 24h, "; !strings.Contains(text.String(), want) || strings.Contains(text.String(), "old") {
		t.Errorf("got\n%swant %s", &text, want)
	}
}

// TestAClusterOfWhichNobodyIsLeft is a finding: nobody decides there.
func TestAClusterOfWhichNobodyIsLeft(t *testing.T) {
	t.Parallel()
	for i, of := range []standing.Standing{{Stopped: ago(time.Hour)}, {}} {
		w := newStore(t)
		w.status("one/new", heard(ago(time.Minute)))
		w.status("other/old", heard(ago(50*time.Hour)), says(of))
		got := ask(t, undated{w.Store}, func(q *question) { q.gone = 24 * time.Hour })
		var text strings.Builder
		if err := got.print(&text, "table", false); err != nil {
			t.Fatal(err)
		}
		want := "other: none of its replicas is left: the last of 1 stopped, or is gone\n"
		if got.fine() || !strings.Contains(text.String(), want) {
			t.Errorf("%s: got fine %t and\n%swant %s", fmt.Sprint(i), got.fine(), &text, want)
		}
	}
}
