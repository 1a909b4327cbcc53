package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/logs"
	"github.com/open-policy-agent/opa/v1/plugins/status"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/fleet/standing"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// says is how a replica is, where servers write it.
func says(s any) func(*status.UpdateRequestV1) {
	return func(u *status.UpdateRequestV1) {
		u.Metrics = map[string]any{"<built-in>": map[string]any{"counter_decision_logs_chunks_uploaded": 3, standing.Key: s}}
	}
}

func expiring(at time.Time) standing.Standing {
	return standing.Standing{Bundles: map[string]standing.Bundle{"policies": {Expires: at}}}
}

// inError is what the plugin says of itself once a bundle expired.
func inError(u *status.UpdateRequestV1) {
	u.Plugins[standing.Key] = &plugins.Status{State: plugins.StateErr, Message: "bundle policies: it expired"}
}

func TestBundlesThatExpire(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		named, states, says string
		of                  []func(*status.UpdateRequestV1)
		soon                time.Duration
	}{
		{"one that never does", "ok", "", []func(*status.UpdateRequestV1){says(standing.Standing{})}, time.Hour},
		{"in two hours, of which one is soon", "ok", "", []func(*status.UpdateRequestV1){says(expiring(ago(-2 * time.Hour)))}, time.Hour},
		{"in an hour", "expiring", "c/r: bundle policies: it expires at 2026-11-26T13:00:00Z\n", []func(*status.UpdateRequestV1){says(expiring(ago(-time.Hour)))}, time.Hour},
		{"in an hour, which nobody asks for", "ok", "", []func(*status.UpdateRequestV1){says(expiring(ago(-time.Hour)))}, 0},
		{"now", "expired", "c/r: bundle policies: it expired at 2026-11-26T12:00:00Z, and all is denied\n", []func(*status.UpdateRequestV1){says(expiring(noon()))}, 0},
		{"long ago, as the plugin says too", "expired", "", []func(*status.UpdateRequestV1){says(expiring(ago(time.Hour))), inError}, 0},
		{"as only the plugin says", "failing", "c/r: plugin assay: ERROR: bundle policies: it expired\n", []func(*status.UpdateRequestV1){inError}, 0},
		{"as the plugin says, of a bundle that has time", "failing", "", []func(*status.UpdateRequestV1){says(expiring(ago(-time.Hour))), inError}, 0},
		{"a bundle that nobody has", "ok", "", []func(*status.UpdateRequestV1){says(standing.Standing{Bundles: map[string]standing.Bundle{"others": {Expires: noon()}}})}, 0},
	} {
		t.Run(test.named, func(t *testing.T) {
			t.Parallel()
			w := newStore(t)
			w.status("c/r", one(active("policies", "1", ago(time.Hour))), test.of...)
			got := ask(t, undated{w.Store}, func(q *question) { q.soon = test.soon })
			if states := states(got.Replicas[0].States, got.Replicas[0].Bundles[0].States); states != test.states {
				t.Errorf("got %s, want %s", states, test.states)
			}
			if fine := test.states == "ok"; got.fine() != fine {
				t.Errorf("got fine: %t, want %t", got.fine(), fine)
			}
			if text := printed(t, got); !strings.Contains(text, test.says) {
				t.Errorf("got %s\nwant %s in it", text, test.says)
			}
		})
	}
}

func printed(t *testing.T, r *Report) string {
	t.Helper()
	var out strings.Builder
	if err := r.print(&out, "table", true); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestASourceIsAsOldAsItIs: what a replica fetches by itself and hands to OPA, OPA takes for reached.
func TestASourceIsAsOldAsItIs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		named  string
		source standing.Source
		states string
		age    int64
	}{
		{"it answers", standing.Source{Confirmed: ago(2 * time.Minute)}, "ok", 120},
		{"it is silent", standing.Source{Confirmed: ago(time.Hour)}, "stale", 3600},
		{"it never answered", standing.Source{}, "stale", -1},
		{"it refuses", standing.Source{Confirmed: ago(2 * time.Minute), Error: "no signatures"}, "failing", 120},
	} {
		t.Run(test.named, func(t *testing.T) {
			t.Parallel()
			w := newStore(t)
			w.status("c/r", one(active("policies", "1", ago(3*time.Hour))), says(standing.Standing{Bundles: map[string]standing.Bundle{"policies": {Source: &test.source}}}))
			got := ask(t, undated{w.Store}).Replicas[0].Bundles[0]
			if states(got.States) != test.states || got.Age != test.age || got.Failure != test.source.Error {
				t.Errorf("got %s, %d seconds, %q, want %s, %d, %q", states(got.States), got.Age, got.Failure, test.states, test.age, test.source.Error)
			}
		})
	}
}

// TestWhatIsLostIsCounted: at each place once, and for the cluster.
func TestWhatIsLostIsCounted(t *testing.T) {
	t.Parallel()
	w := newStore(t)
	lost := standing.Standing{Entries: map[outcome.Place]map[outcome.Result]int64{
		outcome.Queue: {outcome.Delivered: 100, outcome.Dropped: 2, outcome.Masking: 1, outcome.LeftOut: 50, outcome.Unasked: 60},
		outcome.Store: {outcome.Delivered: 90, outcome.Dropped: 10},
		"later":       {"vanished": 4},
	}}
	w.status("c/a", one(active("policies", "1", ago(time.Hour))), says(lost))
	w.status("c/b", one(active("policies", "1", ago(time.Hour))), func(u *status.UpdateRequestV1) {
		u.Metrics = map[string]any{"<built-in>": map[string]any{"counter_decision_logs_dropped_rate_limit_exceeded": 7, "counter_decision_logs_nd_builtin_cache_dropped": 9, "timer_x": map[string]any{}}}
	})
	w.chunk("c/a", ago(time.Hour), denied(ago(time.Hour), "shop", "app", "signed"))
	got := ask(t, w)
	if diff := cmp.Diff([]map[string]int64{
		{"queue dropped": 2, "queue masking": 1, "assay_store dropped": 10, "later vanished": 4}, {"dropped_rate_limit_exceeded": 7},
	}, []map[string]int64{got.Replicas[0].Losses, got.Replicas[1].Losses}); diff != "" {
		t.Errorf("losses (-want +got):\n%s", diff)
	}
	if c := got.Clusters; len(c) != 1 || c[0].Lost != 24 || c[0].Replicas != 2 || c[0].Denials != 1 {
		t.Errorf("got %+v, want one cluster of two that lost 24", c)
	}
	text := printed(t, got)
	for _, want := range []string{"c: 1 of 1 decisions denied; at least 24 more are in no log\n", "; at least 24 lost\n", "c/a: lost: assay_store dropped: 10\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s\nwant %q in it", text, want)
		}
	}
	if !got.fine() {
		t.Error("got that the fleet is not fine, want losses told of and no more: they stay until a restart")
	}
}

// TestAStandingThatCannotBeReadIsToldOf, and what OPA says is answered.
func TestAStandingThatCannotBeReadIsToldOf(t *testing.T) {
	t.Parallel()
	many := map[string]any{}
	for i := range 2000 {
		many[fmt.Sprint(i)] = map[string]any{}
	}
	for named, test := range map[string]struct {
		of   any
		says string
	}{
		"of another form":                    {[]int{1}, "assay: json"},
		"too large":                          {map[string]any{"x": strings.Repeat("x", standing.MostBytes)}, "assay: got 10"},
		"of many bundles":                    {map[string]any{"bundles": many}, "assay.bundles: got 2000, want at most"},
		"of less than nothing":               {map[string]any{"entries": map[string]any{"queue": map[string]any{"dropped": -1}}}, "assay.entries: got -1"},
		"of more than can be added up":       {map[string]any{"entries": map[string]any{"queue": map[string]any{"dropped": 1 << 60}}}, "assay.entries: got 1152921504606846976"},
		"with a candidate of many decisions": {map[string]any{"canary": map[string]any{"since": noon(), "decisions": map[string]any{"same": 1 << 50}}}, "assay.canary: got a count"},
		"with an outcome that does not exist": {
			map[string]any{"canary": map[string]any{"since": noon(), "decisions": map[string]any{"fine": 1}}}, "assay.canary: decisions: got outcome",
		},
		"with a candidate that never came": {map[string]any{"canary": map[string]any{"name": "x"}}, "assay.canary: since: got none"},
	} {
		t.Run(named, func(t *testing.T) {
			t.Parallel()
			w := newStore(t)
			w.status("c/r", one(active("policies", "1", ago(time.Hour))), says(test.of))
			got := ask(t, undated{w.Store})
			if len(got.NotRead) != 1 || !strings.Contains(got.NotRead[0].Why, test.says) {
				t.Errorf("got %+v not read, want %q", got.NotRead, test.says)
			}
			if got.fine() || len(got.Replicas) != 1 || got.Replicas[0].Bundles[0].Revision != "1" {
				t.Errorf("got %+v, want what OPA says, and that it is not fine", got.Replicas)
			}
		})
	}
}

// tries is the report of a candidate.
func tries(since time.Time, same, denied, unknown int64) canary.Report {
	r := canary.Report{
		Name: "policies", Revision: "43", Digest: "sha256:aa", Set: "s", Since: since, At: ago(time.Minute),
		Decisions: map[canary.Outcome]int64{canary.Same: same, canary.NewlyDenied: denied, canary.Unknown: unknown},
	}
	if denied > 0 {
		r.Differences = append(r.Differences, canary.Difference{Outcome: canary.NewlyDenied, Namespace: "shop", Kind: "Pod", Image: "ghcr.io/acme/app", Count: denied})
	}
	return r
}

func TestCandidatesOfClusters(t *testing.T) {
	t.Parallel()
	type row struct {
		cluster      string
		replicas, of int
		verdict      canary.Verdict
		why          string
		same, differ int64
	}
	with := func(r canary.Report, change func(*canary.Report)) canary.Report { change(&r); return r }
	for _, test := range []struct {
		named   string
		reports map[string]canary.Report // by replica of a cluster c; an empty one is none
		want    []row
	}{
		{"none", map[string]canary.Report{"a": {}}, []row{}},
		{"two that say nothing against it", map[string]canary.Report{"a": tries(ago(2*time.Hour), 600, 0, 0), "b": tries(ago(3*time.Hour), 500, 0, 0)},
			[]row{{"c", 2, 2, canary.Promote, "1100 decisions of known outcome in 1h59m0s", 1100, 0}}},
		{"one of two that tries it", map[string]canary.Report{"a": tries(ago(2*time.Hour), 1600, 0, 0), "b": {}},
			[]row{{"c", 1, 2, canary.Wait, "replicas: got 1 that try it, want all 2", 1600, 0}}},
		{"too few", map[string]canary.Report{"a": tries(ago(2*time.Hour), 999, 0, 0)}, []row{{"c", 1, 1, canary.Wait, "decisions: got 999", 999, 0}}},
		{"what differs", map[string]canary.Report{"a": tries(ago(2*time.Hour), 999, 3, 0), "b": tries(ago(3*time.Hour), 999, 4, 0)},
			[]row{{"c", 2, 2, canary.Drop, "differences: got 7", 1998, 7}}},
		{"what is unknown", map[string]canary.Report{"a": tries(ago(2*time.Hour), 999, 0, 1)}, []row{{"c", 1, 1, canary.Drop, "unknown: got 1", 999, 0}}},
		{"one that does not compile", map[string]canary.Report{"a": with(tries(ago(2*time.Hour), 0, 0, 0), func(r *canary.Report) { r.Error = "rego" })},
			[]row{{"c", 1, 1, canary.Drop, "the candidate does not compile: rego", 0, 0}}},
		{"two candidates", map[string]canary.Report{"a": tries(ago(2*time.Hour), 1600, 0, 0), "b": with(tries(ago(3*time.Hour), 1700, 0, 0), func(r *canary.Report) { r.Revision = "44" })},
			[]row{{"c", 1, 2, canary.Wait, "replicas: got 1", 1600, 0}, {"c", 1, 2, canary.Wait, "replicas: got 1", 1700, 0}}},
		{"other policies beside it", map[string]canary.Report{"a": tries(ago(2*time.Hour), 1600, 0, 0), "b": with(tries(ago(3*time.Hour), 1700, 0, 0), func(r *canary.Report) { r.Set = "other" })},
			[]row{{"c", 2, 2, canary.Wait, `report 2: set: got "other"`, 1600, 0}}},
		{"one report twice", map[string]canary.Report{"a": tries(ago(2*time.Hour), 1600, 0, 0), "b": tries(ago(2*time.Hour), 1600, 0, 0)},
			[]row{{"c", 2, 2, canary.Wait, "report 2: since: got", 1600, 0}}},
		{"a report of yesterday, in a status of today", map[string]canary.Report{"a": with(tries(ago(30*time.Hour), 1600, 0, 0), func(r *canary.Report) { r.At = ago(20 * time.Hour) })},
			[]row{{"c", 1, 1, canary.Wait, "at: got a report of", 1600, 0}}},
	} {
		t.Run(test.named, func(t *testing.T) {
			t.Parallel()
			w := newStore(t)
			for replica, report := range test.reports {
				if report.Since.IsZero() {
					w.status("c/"+replica, one(active("policies", "42", ago(time.Hour))))
				} else {
					w.status("c/"+replica, one(active("policies", "42", ago(time.Hour))), says(standing.Standing{Canary: &report}))
				}
			}
			// Who is not heard of any more tries nothing.
			gone := active("policies", "42", ago(48*time.Hour))
			gone.LastRequest, gone.LastSuccessfulRequest = ago(40*time.Hour), ago(40*time.Hour)
			old := tries(ago(48*time.Hour), 9, 9, 9)
			w.status("c/gone", one(gone), says(standing.Standing{Canary: &old}))
			got := ask(t, undated{w.Store}, func(q *question) {
				q.canary, q.rule = true, canary.Rule{MinDecisions: 1000, MinTime: time.Hour, MaxDropped: -1}
			})
			if len(got.Candidates) != len(test.want) || len(got.NotRead) > 0 {
				t.Fatalf("got %+v and %v not read, want %d candidates", got.Candidates, got.NotRead, len(test.want))
			}
			for i, c := range got.Candidates {
				want := test.want[i]
				have := row{c.Cluster, c.Replicas, c.Of, c.Verdict, want.why, c.Report.Decisions[canary.Same], c.Report.Differing()}
				if have != want || !strings.HasPrefix(c.Why, want.why) {
					t.Errorf("got %+v, %q, want %+v", have, c.Why, want)
				}
			}
		})
	}
}

// TestCandidatesArePrinted: what differs in a cluster once, and only for who asks.
func TestCandidatesArePrinted(t *testing.T) {
	t.Parallel()
	w := newStore(t)
	a, b := tries(ago(2*time.Hour), 999, 3, 0), tries(ago(3*time.Hour), 999, 4, 0)
	w.status("c/a", one(active("policies", "42", ago(time.Hour))), says(standing.Standing{Canary: &a}))
	w.status("c/b", one(active("policies", "42", ago(time.Hour))), says(standing.Standing{Canary: &b}))
	if got := printed(t, ask(t, undated{w.Store})); strings.Contains(got, "CANDIDATE") {
		t.Errorf("got candidates that nobody asked for: %s", got)
	}
	accept := func(q *question) {
		q.canary = true
		q.rule = canary.Rule{MinDecisions: 1, MaxDropped: -1, Accepted: []string{"newly_denied shop/Pod ghcr.io/acme/app"}}
	}
	got := printed(t, ask(t, undated{w.Store}, accept))
	for _, want := range []string{
		"CLUSTER  CANDIDATE  REVISION  REPLICAS  TRIED FOR  SAME  DIFFER  UNKNOWN  NOT JUDGED  VERDICT\n" +
			"c        policies   43        2/2       119m       1998  7       0        0           promote\n",
		"c: candidate policies 43: promote: 2005 decisions of known outcome in 1h59m0s, 0 unknown, 7 different\n       7  newly_denied shop/Pod ghcr.io/acme/app\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant in it\n%s", got, want)
		}
	}
	if got := printed(t, ask(t, newStore(t), accept)); !strings.Contains(got, "no cluster tries a candidate\n") {
		t.Errorf("of nobody: got %s", got)
	}
}

// TestNoCandidateSpeaksToTheTerminal, whatever it is called.
func TestNoCandidateSpeaksToTheTerminal(t *testing.T) {
	t.Parallel()
	const escape = "\x1b]0;owned\x07\u202e\r\n"
	r := tries(ago(time.Hour), 1, 0, 0)
	r.Name, r.Revision, r.Error = escape, escape, escape
	r.Decisions[canary.NewlyDenied] = 1
	r.Differences = []canary.Difference{{Outcome: canary.Outcome(escape), Namespace: escape, Kind: escape, Image: escape, Count: 1}}
	w := newStore(t)
	w.status("c/a", one(active(escape, escape, ago(time.Hour))), says(standing.Standing{
		Canary: &r, Bundles: map[string]standing.Bundle{escape: {Expires: noon(), Source: &standing.Source{Error: escape}}},
		Entries: map[outcome.Place]map[outcome.Result]int64{escape: {escape: 3}},
	}))
	got := printed(t, ask(t, undated{w.Store}, func(q *question) { q.canary = true }))
	if !strings.Contains(got, "owned") {
		t.Errorf("got %q, want the texts without what speaks", got)
	}
	for _, r := range got {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("got %q in %q", r, got)
		}
	}
	if slices.ContainsFunc(strings.Split(got, "\n"), func(line string) bool { return strings.HasPrefix(line, "]0;") }) {
		t.Errorf("got a line that begins with the text of others: %q", got)
	}
}

// TestAnEntryWithAnErrorIsCounted, which OPA writes and cannot read, and so are those around it.
func TestAnEntryWithAnErrorIsCounted(t *testing.T) {
	t.Parallel()
	failed := decision(ago(time.Hour), pathAdmission, "shop", "")
	failed.Error = &topdown.Error{Code: topdown.ConflictErr, Message: "conflict", Location: ast.NewLocation(nil, "x.rego", 1, 1)}
	plain := decision(ago(time.Hour), pathAdmission, "shop", "")
	plain.Error = errors.New("no")
	if err := json.Unmarshal(encoded(t, failed), &logs.EventV1{}); err == nil {
		t.Error("got an error that OPA reads, want none: then this test is of no use")
	}
	good := denied(ago(time.Hour), "shop", "ghcr.io/acme/app:v1", "signed")
	lines := unzipped(t, chunkOf(t, good, failed, plain, good))
	lines = append(lines, bytes.Replace(encoded(t, failed), []byte(`"error":{`), []byte(`"error":"text","x":{`), 1)...)
	counted := newTally()
	if err := readChunk(zipped(t, lines), time.Time{}, counted); err != nil {
		t.Error(err)
	}
	if counted.Decisions != 5 || counted.Denials != 2 || counted.Undecided != 3 || counted.Unreadable != 0 {
		t.Errorf("got %+v, want 5 decisions, 2 denials and 3 without a decision", counted)
	}
}

// TestAMaskedEntryIsCounted: masks write what they like in the place of what they hide.
func TestAMaskedEntryIsCounted(t *testing.T) {
	t.Parallel()
	const begin = `{"path":"assay/admission/decision","timestamp":"2026-11-26T11:00:00Z",`
	for named, test := range map[string]struct {
		line    string
		denials int64
		fails   bool
	}{
		"the whole input":           {begin + `"input":"-","result":{"allowed":false,"images":[]}}`, 1, false},
		"a namespace":               {begin + `"input":{"request":{"namespace":{"hidden":true}}},"result":{"allowed":false,"images":[]}}`, 1, false},
		"all images":                {begin + `"result":{"allowed":false,"images":"-","rego":[{"name":"p","outcome":"failed"}]}}`, 1, false},
		"an answer of the Data API": {`{"path":"kubernetes/admission/allow","timestamp":"2026-11-26T11:00:00Z","result":true}`, 0, false},
		"the decision itself":       {begin + `"result":{"allowed":"-"}}`, 0, true},
		"the whole result":          {begin + `"result":"-"}`, 0, true},
		"its path":                  {`{"path":1,"timestamp":"2026-11-26T11:00:00Z","result":{"allowed":false}}`, 0, true},
		"its time":                  {`{"path":"assay/admission/decision","timestamp":"-","result":{"allowed":false}}`, 0, true},
	} {
		t.Run(named, func(t *testing.T) {
			t.Parallel()
			counted := newTally()
			err := counted.line([]byte(test.line), time.Time{})
			if counted.Denials != test.denials || (err != nil) != test.fails || counted.Unreadable > 0 != test.fails {
				t.Errorf("got %+v, %v, want %d denials and an error: %t", counted, err, test.denials, test.fails)
			}
		})
	}
}
