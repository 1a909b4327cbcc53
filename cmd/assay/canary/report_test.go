package canary_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/rego"
)

// TestReportShowsAnExample of each difference, and none of the secrets that it repeats.
func TestReportShowsAnExample(t *testing.T) {
	t.Parallel()
	r := open(t, signed)
	c := r.running(t, canary.Options{Now: now})
	next := beside(t, signed, "deny contains sprintf(\"the password is %s\", [value]) if value := input.request.object.spec.containers[_].env[_].value")
	next.Digest = "sha256:00"
	c.Candidate(next)
	r.decide(t, "app")
	got := until(t, c, 1)
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("correct-horse-battery")) {
		t.Errorf("got the value of a variable in the report: %s", text)
	}
	got.Set = ""
	said := got.Differences[0].Example.Candidate.Reasons
	if len(said) != 1 || !strings.Contains(said[0], "the password is ") {
		t.Errorf("got %q, want the reason of the candidate", said)
	}
	got.Differences[0].Example.Candidate.Reasons = nil
	repository := strings.Split(r.image("app"), ":v")[0]
	repository = repository[:strings.LastIndex(repository, "/")] + strings.Split(repository[strings.LastIndex(repository, "/"):], ":")[0]
	want := canary.Report{
		Name: "main", Revision: "2", Digest: "sha256:00", Since: now(), At: now(), Decisions: only(canary.NewlyDenied, 1),
		Policies: map[string]map[canary.Outcome]int64{"p": {canary.NewlyDenied: 1}},
		Differences: []canary.Difference{{
			Outcome: canary.NewlyDenied, Namespace: "prod", Kind: "Pod", Image: repository, Count: 1, First: now(), Last: now(),
			Example: canary.Example{Name: "web-", Images: []string{r.image("app")}, Live: canary.Said{Allowed: true}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if want := "newly_denied prod/Pod " + repository; got.Differences[0].Key() != want {
		t.Errorf("got key %q, want %q", got.Differences[0].Key(), want)
	}
	var read canary.Report
	if err := json.Unmarshal(text, &read); err != nil || read.Decisions[canary.NewlyDenied] != 1 {
		t.Errorf("read again: got %+v, %v", read, err)
	}
}

// TestReportIsBounded has objects whose creator makes up a namespace for each.
func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	r := open(t, static)
	var made rego.Made
	r.Record(func(m rego.Made) { made = m })
	r.decide(t, "app")
	var log bytes.Buffer
	c := r.running(t, canary.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	c.Candidate(beside(t, static, `deny contains "no"`))
	const all = 300
	for i := range all {
		other := made
		other.Review = bytes.Replace(made.Review, []byte(`"prod"`), fmt.Appendf(nil, `"%d-%s"`, i, strings.Repeat("x", 300)), 1)
		c.Take(other)
		until(t, c, int64(i+1))
	}
	got := until(t, c, all)
	if len(got.Differences) != 256 || got.More != all-256 || got.Decisions[canary.NewlyDenied] != all {
		t.Errorf("got %d differences, %d more, %v, want 256, what is more counted, and none lost", len(got.Differences), got.More, got.Decisions)
	}
	if longest := len(got.Differences[0].Namespace); longest > 260 {
		t.Errorf("got a namespace of %d bytes, want it cut", longest)
	}
	if lines := strings.Count(log.String(), "outcome=newly_denied"); lines != 256 {
		t.Errorf("got %d lines in the log, want one for each difference that is kept", lines)
	}
	// All of one kind are told of at one, ten, a hundred.
	log.Reset()
	another := beside(t, static, `deny contains "no"`)
	another.Revision = "3"
	c.Candidate(another)
	for i := range 25 {
		c.Take(made)
		until(t, c, int64(i+1))
	}
	if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "count=1 ") || !strings.Contains(got, "count=10 ") {
		t.Errorf("got\n%swant lines at 1 and 10", got)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	difference := canary.Difference{Outcome: canary.NewlyDenied, Namespace: "prod", Kind: "Pod", Image: "ghcr.io/acme/app", Count: 3}
	report := func(change func(*canary.Report)) canary.Report {
		out := canary.Report{Name: "main", Since: now(), At: now().Add(time.Hour), Decisions: map[canary.Outcome]int64{canary.Same: 1000}}
		change(&out)
		return out
	}
	differs := func(r *canary.Report) {
		r.Decisions[canary.NewlyDenied], r.Differences = 3, []canary.Difference{difference}
	}
	for name, tt := range map[string]struct {
		report canary.Report
		rule   canary.Rule
		want   canary.Verdict
		why    string
	}{
		"no candidate":        {canary.Report{}, canary.Rule{}, canary.Wait, "there is no candidate"},
		"nothing judged":      {report(func(r *canary.Report) { r.Decisions = nil }), canary.Rule{}, canary.Wait, "decisions: got 0 of known outcome, want at least 1"},
		"only unknown":        {report(func(r *canary.Report) { r.Decisions = map[canary.Outcome]int64{canary.Unknown: 9} }), canary.Rule{MaxUnknown: 9}, canary.Wait, "decisions: got 0 of known outcome, want at least 1"},
		"one unknown":         {report(func(r *canary.Report) { r.Decisions[canary.Unknown] = 1 }), canary.Rule{}, canary.Drop, "unknown: got 1 decisions, want at most 0"},
		"does not compile":    {report(func(r *canary.Report) { r.Error = "x" }), canary.Rule{}, canary.Drop, "the candidate does not compile: x"},
		"too few":             {report(func(*canary.Report) {}), canary.Rule{MinDecisions: 1001}, canary.Wait, "decisions: got 1000 of known outcome, want at least 1001"},
		"too early":           {report(func(*canary.Report) {}), canary.Rule{MinTime: 2 * time.Hour}, canary.Wait, "time: got 1h0m0s, want at least 2h0m0s"},
		"too many not judged": {report(func(r *canary.Report) { r.Dropped = 8 }), canary.Rule{MaxDropped: 7}, canary.Drop, "not judged: got 8 decisions, want at most 7"},
		"most not judged":     {report(func(r *canary.Report) { r.Dropped = 1001 }), canary.Rule{MaxDropped: -1}, canary.Wait, "not judged: got 1001 decisions, want at most the 1000 that were"},
		"half not judged":     {report(func(r *canary.Report) { r.Dropped = 1000 }), canary.Rule{MaxDropped: -1}, canary.Promote, "1000 decisions of known outcome in 1h0m0s, 0 unknown, 0 different"},
		"old":                 {report(func(*canary.Report) {}), canary.Rule{Now: func() time.Time { return now().Add(2*time.Hour + 1) }}, canary.Wait, "at: got a report of " + now().Add(time.Hour).UTC().Format(time.RFC3339) + ", want one of the last hour"},
		"of the future":       {report(func(*canary.Report) {}), canary.Rule{Now: now}, canary.Wait, "at: got a report of " + now().Add(time.Hour).UTC().Format(time.RFC3339) + ", want one of the last hour"},
		"different":           {report(differs), canary.Rule{}, canary.Drop, "differences: got 3 decisions that are not accepted, want at most 0"},
		"accepted":            {report(differs), canary.Rule{Accepted: []string{"newly_denied prod/Pod ghcr.io/acme/app"}}, canary.Promote, "1003 decisions of known outcome in 1h0m0s, 0 unknown, 3 different"},
		"accepted, and more of which there is no example": {report(func(r *canary.Report) { differs(r); r.Decisions[canary.Messages] = 1; r.More = 1 }), canary.Rule{Accepted: []string{difference.Key()}}, canary.Drop, "differences: got 1 decisions that are not accepted, want at most 0"},
		"another one accepted":                            {report(differs), canary.Rule{Accepted: []string{"newly_denied test/Pod ghcr.io/acme/app"}}, canary.Drop, "differences: got 3 decisions that are not accepted, want at most 0"},
		"satisfied":                                       {report(func(*canary.Report) {}), canary.Rule{MinDecisions: 1000, MinTime: time.Hour}, canary.Promote, "1000 decisions of known outcome in 1h0m0s, 0 unknown, 0 different"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.rule.Now == nil {
				tt.rule.Now = func() time.Time { return now().Add(time.Hour) }
			}
			if got, why := tt.report.Verdict(tt.rule); got != tt.want || why != tt.why {
				t.Errorf("got %s: %s, want %s: %s", got, why, tt.want, tt.why)
			}
		})
	}
}

// TestTogether joins replicas: none may hide behind another.
func TestTogether(t *testing.T) {
	t.Parallel()
	one := canary.Report{Name: "main", Revision: "2", Digest: "sha256:00", Since: now(), At: now().Add(time.Hour), Decisions: map[canary.Outcome]int64{canary.Same: 600}}
	other := one
	other.Since = now().Add(time.Nanosecond)
	other.At, other.Decisions = other.Since.Add(time.Minute), map[canary.Outcome]int64{canary.Same: 500, canary.Unknown: 1}
	got, err := canary.Together(one, other)
	if err != nil {
		t.Fatal(err)
	}
	if got.Judged() != 1100 || got.Decisions[canary.Unknown] != 1 || got.At.Sub(got.Since) != time.Minute {
		t.Errorf("got %+v, want the sums and the shorter time", got)
	}
	if one.Decisions[canary.Same] != 600 {
		t.Errorf("got %v, want the reports as they were", one.Decisions)
	}
	for name, change := range map[string]func(*canary.Report){
		"another revision":        func(r *canary.Report) { r.Revision = "3" },
		"the first again":         func(r *canary.Report) { *r = one },
		"the first replica":       func(r *canary.Report) { r.Since = one.Since },
		"another set":             func(r *canary.Report) { r.Set = "01" },
		"another digest":          func(r *canary.Report) { r.Digest = "sha256:11" },
		"other content":           func(r *canary.Report) { r.Content = "11" },
		"no candidate":            func(r *canary.Report) { *r = canary.Report{} },
		"less than none":          func(r *canary.Report) { r.Decisions = map[canary.Outcome]int64{canary.Unknown: -1} },
		"an unheard-of outcome":   func(r *canary.Report) { r.Decisions = map[canary.Outcome]int64{"fine": 1} },
		"more differences than":   func(r *canary.Report) { r.Differences = []canary.Difference{{Count: 5}} },
		"differences below zero":  func(r *canary.Report) { r.Differences = []canary.Difference{{Count: -5}} },
		"differences that wrap":   func(r *canary.Report) { r.Differences = []canary.Difference{{Count: 1 << 62}, {Count: 1 << 62}} },
		"decisions that wrap":     func(r *canary.Report) { r.Decisions = map[canary.Outcome]int64{canary.Unknown: 1<<63 - 1} },
		"differences of no count": func(r *canary.Report) { r.More = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := other
			changed.Since = now().Add(2 * time.Nanosecond)
			change(&changed)
			if got, err := canary.Together(one, other, changed); err == nil {
				t.Errorf("got %+v, want it refused", got)
			}
		})
	}
	if _, err := canary.Together(); err == nil {
		t.Error("no report: got no error")
	}
}

// FuzzRead reads anything: a report that is read can be judged, joined and is never promoted without a decision.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"name":"main","since":"2026-06-01T12:00:00Z","at":"2026-06-01T13:00:00Z","decisions":{"same":1},"differences":[{"outcome":"messages","count":1}]}`))
	f.Add([]byte(`{"decisions":{"same":-1},"more":-1}`))
	f.Add([]byte(`{} {}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := canary.Read(text)
		if err != nil {
			return
		}
		joined, err := canary.Together(r)
		if err != nil {
			return
		}
		if verdict, why := joined.Verdict(canary.Rule{}); verdict == canary.Promote && (joined.Judged() < 1 || joined.Decisions[canary.Unknown] != 0 || joined.Differing() != 0) {
			t.Errorf("got %s: %s of %s", verdict, why, text)
		}
	})
}

// TestABriefReportHasNoExamples, a bounded number of names, and counts the rest.
func TestABriefReportHasNoExamples(t *testing.T) {
	t.Parallel()
	whole := canary.Report{
		Name: "main", Since: now(), At: now().Add(time.Hour), More: 5, Decisions: map[canary.Outcome]int64{canary.NewlyDenied: 300}, Policies: map[string]map[canary.Outcome]int64{},
	}
	for i := range 100 {
		whole.Policies[fmt.Sprintf("p-%03d", i)] = map[canary.Outcome]int64{canary.NewlyDenied: int64(100 - i)}
		whole.Differences = append(whole.Differences, canary.Difference{
			Outcome: canary.NewlyDenied, Namespace: fmt.Sprint(i), Kind: "Pod", Image: strings.Repeat("x", 5000), Count: 2,
			Example: canary.Example{Name: "web", Images: []string{"ghcr.io/acme/app"}, Live: canary.Said{Reasons: []string{"secret"}}},
		})
	}
	brief := whole.Brief()
	if len(brief.Differences) != 32 || brief.More != 5+68*2 {
		t.Errorf("got %d differences and %d more, want 32 and 141", len(brief.Differences), brief.More)
	}
	if got := brief.Policies[canary.Others][canary.NewlyDenied]; len(brief.Policies) != 33 || brief.Policies["p-000"][canary.NewlyDenied] != 100 || got != 68*69/2 {
		t.Errorf("got %d policies and %d of others, want 33 and %d", len(brief.Policies), got, 68*69/2)
	}
	text, err := json.Marshal(brief)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("example")) || bytes.Contains(text, []byte("secret")) || len(text) > 64<<10 {
		t.Errorf("got %d bytes, want at most 64 KiB without examples: %.2000s", len(text), text)
	}
	if got, err := canary.Read(text); err != nil || got.Decisions[canary.NewlyDenied] != 300 {
		t.Errorf("got %v, %v, want a report", got, err)
	}
	// What is not named is not accepted.
	if verdict, _ := brief.Verdict(canary.Rule{Accepted: []string{whole.Differences[99].Key()}}); verdict != canary.Drop {
		t.Errorf("got %s, want drop", verdict)
	}
	if len(whole.Differences) != 100 || whole.Differences[0].Example.Name != "web" {
		t.Error("got another whole report, want it left as it is")
	}
}

// TestACandidateThatCannotBeHad is none, and the report says why; one that is tried goes on beside it.
func TestACandidateThatCannotBeHad(t *testing.T) {
	t.Parallel()
	r, cause := open(t, signed), ""
	c := r.running(t, canary.Options{Now: now, Source: func() string { return cause }})
	if diff := cmp.Diff(canary.Report{}, c.Report()); diff != "" {
		t.Errorf("nothing wrong: -want +got:\n%s", diff)
	}
	cause = "bundle main: Not Found" + strings.Repeat("x", 4096)
	got := c.Report()
	if !strings.HasPrefix(got.Error, "bundle main: Not Found") || len(got.Error) > 1100 || !got.Since.IsZero() || got.At.IsZero() {
		t.Errorf("got %+v, want why there is none, cut", got)
	}
	if verdict, why := got.Verdict(canary.Rule{}); verdict != canary.Wait || !strings.HasPrefix(why, "there is no candidate: bundle main: Not Found") {
		t.Errorf("got %s: %s, want that it waits, and for what", verdict, why)
	}
	c.Candidate(candidate(t, signed))
	r.decide(t, "app")
	until(t, c, 1)
	got = c.Report()
	if got.Error != "" || !strings.HasPrefix(got.Source, "bundle main: Not Found") || !strings.HasPrefix(got.Brief().Source, "bundle main: Not Found") {
		t.Errorf("got error %q, source %q, want the candidate tried, and that it may not be the latest", got.Error, got.Source)
	}
	if verdict, why := got.Verdict(canary.Rule{Now: now}); verdict != canary.Promote {
		t.Errorf("got %s: %s, want what was tried promoted", verdict, why)
	}
}

func TestReportsOfReplicasWithoutACandidate(t *testing.T) {
	t.Parallel()
	none := canary.Report{At: now(), Error: "bundle main: Not Found"}
	tried := canary.Report{Name: "main", Revision: "2", Since: now(), At: now(), Decisions: only(canary.Same, 1)}
	got, err := canary.Together(none, none)
	if err != nil || got.Error != none.Error || !got.Since.IsZero() {
		t.Errorf("none: got %+v, %v, want none, and why", got, err)
	}
	for _, reports := range [][]canary.Report{{none, tried}, {tried, none}} {
		if _, err := canary.Together(reports...); err == nil || !strings.Contains(err.Error(), "one of them has no candidate, want it in all: bundle main: Not Found") {
			t.Errorf("one of two: got %v, want which is missing", err)
		}
	}
}
