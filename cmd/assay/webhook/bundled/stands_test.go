package bundled

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/fleet/standing"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// TestAnEntryHasTheBundlesOfItsSet, also when others serve by then.
func TestAnEntryHasTheBundlesOfItsSet(t *testing.T) {
	t.Parallel()
	of := func(revision string) bundle.Content {
		return bundle.Content{Bundles: []bundle.Bundle{{Name: "main", Revision: revision}}}
	}
	var known sets
	if got := known.revisions(&rego.Set{}); len(got) != 0 {
		t.Errorf("of nothing: got %v", got)
	}
	first, second, other := &rego.Set{}, &rego.Set{}, &rego.Set{}
	known.serves(first, of("1"))
	known.serves(second, of("2"))
	for set, want := range map[*rego.Set]string{first: "1", second: "2", other: "2"} {
		if got := known.revisions(set)["main"]; got != want {
			t.Errorf("got revision %q, want %q", got, want)
		}
	}
	known.serves(second, of("3")) // which changed no policy
	if got := known.revisions(second)["main"]; got != "3" {
		t.Errorf("got revision %q of the set that stays, want 3", got)
	}
	runtime.KeepAlive(first)
	for range 10 {
		known.serves(&rego.Set{}, of("4"))
		runtime.GC()
	}
	known.serves(second, of("5"))
	if len(known.of) > 5 {
		t.Errorf("got %d sets that are kept, want those that somebody has", len(known.of))
	}
}

// TestWhatIsNews tells what has a status sent at once, what within a minute, and what is none.
func TestWhatIsNews(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	base := func() standing.Standing {
		return standing.Standing{
			Bundles: map[string]standing.Bundle{"main": {Expires: at, Source: &standing.Source{Confirmed: at}}},
			Entries: map[outcome.Place]map[outcome.Result]int64{outcome.Queue: {outcome.Delivered: 1}},
			Canary:  &canary.Report{Revision: "1", Since: at, At: at, Decisions: map[canary.Outcome]int64{canary.Same: 1}},
		}
	}
	for named, test := range map[string]struct {
		change        func(*standing.Standing)
		lasts, counts bool
	}{
		"nothing":                   {func(*standing.Standing) {}, false, false},
		"the time of a report":      {func(s *standing.Standing) { s.Canary.At = at.Add(time.Hour) }, false, false},
		"another expiry":            {func(s *standing.Standing) { s.Bundles["main"] = standing.Bundle{} }, true, true},
		"a source that refuses":     {func(s *standing.Standing) { s.Bundles["main"].Source.Error = "no" }, true, true},
		"a source that answered":    {func(s *standing.Standing) { s.Bundles["main"].Source.Confirmed = at.Add(time.Second) }, false, true},
		"an entry":                  {func(s *standing.Standing) { s.Entries[outcome.Queue][outcome.Dropped] = 1 }, false, true},
		"another candidate":         {func(s *standing.Standing) { s.Canary.Revision = "2" }, true, false},
		"no candidate any more":     {func(s *standing.Standing) { s.Canary = nil }, true, true},
		"a decision that it judged": {func(s *standing.Standing) { s.Canary.Decisions[canary.Same] = 2 }, false, true},
		"one that it did not":       {func(s *standing.Standing) { s.Canary.Dropped = 2 }, false, true},
	} {
		t.Run(named, func(t *testing.T) {
			t.Parallel()
			next := base()
			test.change(&next)
			if got := lastingOf(next) != lastingOf(base()); got != test.lasts {
				t.Errorf("of what lasts: got %t, want %t", got, test.lasts)
			}
			if got := countedOf(next) != countedOf(base()); got != test.counts {
				t.Errorf("of what is counted: got %t, want %t", got, test.counts)
			}
		})
	}
}

// TestOPAIsToldOnceAtATime: over a sink that hangs, nothing but the telling waits.
func TestOPAIsToldOnceAtATime(t *testing.T) {
	t.Parallel()
	var s stands
	hang, done := make(chan bool), make(chan bool)
	if !s.tell(func() { <-hang; close(done) }) {
		t.Fatal("got nobody told, want the first")
	}
	if s.tell(func() { t.Error("told beside the first") }) {
		t.Error("got a second one told, want none while the first hangs")
	}
	close(hang)
	<-done
	for !s.tell(func() {}) {
		runtime.Gosched() // it ends in a moment
	}
}

func TestEntriesAreCounted(t *testing.T) {
	t.Parallel()
	var s stands
	if s.about() != nil {
		t.Errorf("got %v before anybody looked, want nothing", s.about())
	}
	s.became(outcome.Queue, outcome.Delivered, 2)
	s.became(outcome.Queue, outcome.Delivered, 3)
	s.became(outcome.Store, outcome.Dropped, 7)
	want := map[outcome.Place]map[outcome.Result]int64{outcome.Queue: {outcome.Delivered: 5}, outcome.Store: {outcome.Dropped: 7}}
	if diff := cmp.Diff(want, s.entries()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.latest.Store(&standing.Standing{Entries: want})
	if text, err := json.Marshal(s.about()); err != nil || string(text) != `{"entries":{"assay_store":{"dropped":7},"queue":{"delivered":5}}}` {
		t.Errorf("got %s, %v", text, err)
	}
}

// TestAnExpiredBundleIsAnErrorOfThePlugin, in OPA's own status, and one of less than an hour is none.
func TestAnExpiredBundleIsAnErrorOfThePlugin(t *testing.T) {
	t.Parallel()
	type update struct {
		Plugins map[string]struct{ State, Message string }
		Metrics map[string]struct{ Assay *standing.Standing }
	}
	statuses := make(chan update, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var got update
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		statuses <- got
	}))
	t.Cleanup(server.Close)
	b := &Bundles{}
	var err error
	b.manager, err = bundle.Open(bundle.Options{
		Config: []byte("services: {s: {url: '" + server.URL + "'}}\nstatus: {service: s}"), Log: slog.New(slog.DiscardHandler), About: b.stands.about,
		Prepare: func(context.Context, bundle.Content) (func(), error) { return func() {}, nil },
		Removed: func(context.Context, bundle.Content) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.manager.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.manager.Stop(context.Background()) })
	expires := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	of := bundle.Bundle{Name: "main", Revision: "1"}
	of.About.Expires = expires
	b.Publish(bundle.Content{Bundles: []bundle.Bundle{of}}, &rego.Set{})
	for _, step := range []struct {
		at             time.Time
		state, message string
	}{
		{expires.Add(-time.Hour), "", ""}, // of which nobody says anything
		{expires, "ERROR", "bundle main: it expired at 2026-11-26T12:00:00Z"},
		{expires.Add(-time.Second), "OK", ""}, // by a clock that is set right
	} {
		for b.look(step.at); b.stands.said != step.message || b.stands.lasting == ""; b.look(step.at) {
			runtime.Gosched() // until OPA was told of what was before
		}
		for {
			got := <-statuses
			about := got.Metrics["<built-in>"].Assay
			if of := got.Plugins["assay"]; of.State != step.state || of.Message != step.message || about == nil {
				continue // of a plugin before
			}
			if !about.Bundles["main"].Expires.Equal(expires) {
				t.Errorf("got %+v, want when it expires", about)
			}
			break
		}
	}
}
