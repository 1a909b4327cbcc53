package canary_test

import (
	"bytes"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/rego"
)

// only is the one outcome that decisions had.
func only(outcome canary.Outcome, n int64) map[canary.Outcome]int64 {
	out := map[canary.Outcome]int64{}
	for _, o := range canary.Outcomes() {
		out[o] = 0
	}
	out[outcome] = n
	return out
}

// TestWhatWasNotFetchedIsUnknown has candidates that ask for more than the decision did,
// and would admit the image without it too, or because nothing is there.
func TestWhatWasNotFetchedIsUnknown(t *testing.T) {
	t.Parallel()
	const reads = "\tsome container in input.request.object.spec.containers\n\tref := oci.resolve(container.image).ref"
	for name, tt := range map[string]struct{ live, candidate, rule string }{
		"attestations":                          {signed, attested, ""},
		"signatures, of a set that asked none":  {static, signed, ""},
		"signatures elsewhere":                  {signed, signed + "      source: [{oci: registry.example/signatures}]\n", ""},
		"with the credentials of a pull secret": {signed, signed + "      source: [{signaturePullSecrets: [{name: registry}]}]\n", ""},
		"a policy that admits all the same": {
			static, static,
			"deny contains \"never\" if {\n" + reads + "\n\tnot oci.manifest(ref).ok\n\tfalse\n}",
		},
		"a manifest that must not be there": {
			static, static,
			"deny contains \"there\" if {\n" + reads + "\n\toci.manifest(ref).ok\n}",
		},
		"only in a warning": {
			static, static,
			"warn contains \"there\" if {\n" + reads + "\n\toci.manifest(ref).ok\n}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, seen := open(t, tt.live), &counts{}
			c := r.running(t, canary.Options{Hooks: seen.hooks()})
			next := candidate(t, tt.candidate)
			if tt.rule != "" {
				next = beside(t, tt.candidate, tt.rule)
			}
			c.Candidate(next)
			if d := r.decide(t, "app"); !d.Allowed {
				t.Fatalf("live: got %q, want it admitted", d.Reasons)
			}
			asked := r.requests.Load()
			got := until(t, c, 1)
			if diff := cmp.Diff(only(canary.Unknown, 1), got.Decisions); diff != "" {
				t.Errorf("-want +got:\n%s%+v", diff, got.Differences)
			}
			if len(got.Differences) != 1 || len(got.Differences[0].Example.Unknown) == 0 || got.Differences[0].Example.Candidate.Allowed {
				t.Errorf("got %+v, want what is not known, and no admission", got.Differences)
			}
			if verdict, why := got.Verdict(canary.Rule{MaxDifferences: 100}); verdict != canary.Drop {
				t.Errorf("got %s: %s, want it dropped", verdict, why)
			}
			if after := r.requests.Load(); after != asked || seen.fetched != 0 {
				t.Errorf("got %d requests and %d fetches of the candidate, want none", after-asked, seen.fetched)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		image     string
		live      string
		candidate func(t *testing.T) *canary.Candidate
		want      canary.Outcome
		policies  map[string]map[canary.Outcome]int64
	}{
		"the same policies": {"app", signed, func(t *testing.T) *canary.Candidate { return candidate(t, signed) }, canary.Same, nil},
		"the same denial":   {"bare", signed, func(t *testing.T) *canary.Candidate { return candidate(t, signed) }, canary.Same, nil},
		"another identity": {
			"app", signed, func(t *testing.T) *canary.Candidate { return candidate(t, strings.Replace(signed, "acme", "evil", 1)) },
			canary.NewlyDenied, map[string]map[canary.Outcome]int64{"signed": {canary.NewlyDenied: 1}},
		},
		"nothing is asked for any more": {
			"bare", signed, func(t *testing.T) *canary.Candidate { return candidate(t, static) },
			canary.NewlyAllowed, map[string]map[canary.Outcome]int64{"signed": {canary.NewlyAllowed: 1}},
		},
		"one reason more": {
			"bare", signed, func(t *testing.T) *canary.Candidate { return beside(t, signed, `deny contains "no"`) },
			canary.Messages, map[string]map[canary.Outcome]int64{"p": {canary.Messages: 1}},
		},
		"a warning": {
			"app", signed, func(t *testing.T) *canary.Candidate { return beside(t, signed, `warn contains "mind"`) },
			canary.Messages, nil,
		},
		"plain Rego that denies": {
			"app", signed, func(t *testing.T) *canary.Candidate { return beside(t, signed, `deny contains "no"`) },
			canary.NewlyDenied, map[string]map[canary.Outcome]int64{"p": {canary.NewlyDenied: 1}},
		},
		"a value that is masked in records": {
			"app", signed, func(t *testing.T) *canary.Candidate {
				return beside(t, signed, "deny contains \"no\" if input.request.object.spec.containers[_].env[_].value != \"correct-horse-battery\"")
			},
			canary.Same, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, seen := open(t, tt.live), &counts{}
			c := r.running(t, canary.Options{Hooks: seen.hooks()})
			c.Candidate(tt.candidate(t))
			r.decide(t, tt.image)
			asked := r.requests.Load()
			got := until(t, c, 1)
			if diff := cmp.Diff(only(tt.want, 1), got.Decisions); diff != "" {
				t.Errorf("-want +got:\n%s%+v", diff, got.Differences)
			}
			if tt.policies == nil {
				tt.policies = map[string]map[canary.Outcome]int64{}
			}
			if diff := cmp.Diff(tt.policies, got.Policies); diff != "" {
				t.Errorf("policies: -want +got:\n%s", diff)
			}
			if after := r.requests.Load(); after != asked {
				t.Errorf("got %d requests of the candidate, want none", after-asked)
			}
			if tt.want == canary.Same && len(got.Differences) > 0 {
				t.Errorf("got %+v, want no difference", got.Differences)
			}
		})
	}
}

// TestCandidateThatFails is unknown, whatever it does.
func TestCandidateThatFails(t *testing.T) {
	t.Parallel()
	slow := "some a in numbers.range(1, 3000)\n\tsome b in numbers.range(1, 3000)\n\tsome c in numbers.range(1, 3000)\n\ta * b == c * 1000003"
	for name, tt := range map[string]struct {
		candidate func(t *testing.T) *canary.Candidate
		deadline  time.Duration
		want      string
	}{
		"does not compile": {func(t *testing.T) *canary.Candidate {
			out := candidate(t, signed)
			out.Policies.Source.Policies = append(out.Policies.Source.Policies, out.Policies.Source.Policies[0])
			return out
		}, 0, "does not compile: policy signed: there are two of that name"},
		"panics while it is compiled": {func(t *testing.T) *canary.Candidate {
			out := beside(t, signed, "deny contains data.panics")
			out.Policies.Source.Data = map[string]any{"panics": panics{}}
			return out
		}, 0, "compiling panicked: over a document"},
		"runs away": {func(t *testing.T) *canary.Candidate {
			return beside(t, signed, "deny contains \"no\" if {\n\t"+slow+"\n}")
		}, 0, "took too long"},
		"runs away past the deadline": {func(t *testing.T) *canary.Candidate {
			return beside(t, signed, "deny contains \"no\" if {\n\t"+slow+"\n}")
		}, 20 * time.Millisecond, "took too long"},
		"asks what it may not": {func(t *testing.T) *canary.Candidate {
			out := beside(t, signed, `deny contains "no" if http.send({"method": "get", "url": "http://127.0.0.1:1"}).status_code > 0`)
			out.Policies.Source.Allow.Builtins = []string{"http.send"}
			return out
		}, 0, "http.send of p.rego"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			r, seen := open(t, signed), &counts{}
			c := r.running(t, canary.Options{Hooks: seen.hooks(), Deadline: tt.deadline, Log: slog.New(slog.NewTextHandler(&log, nil))})
			c.Candidate(tt.candidate(t))
			r.decide(t, "app")
			got := until(t, c, 1)
			if diff := cmp.Diff(only(canary.Unknown, 1), got.Decisions); diff != "" {
				t.Fatalf("-want +got:\n%s%+v", diff, got)
			}
			if why := strings.Join(got.Differences[0].Example.Unknown, "; "); !strings.Contains(why, tt.want) {
				t.Errorf("got %q, want %q in it", why, tt.want)
			}
			if tt.deadline > 0 {
				return // too short for any candidate on a busy machine
			}
			// The next one is tried, and works.
			c.Candidate(candidate(t, signed))
			r.decide(t, "app")
			if diff := cmp.Diff(only(canary.Same, 1), until(t, c, 1).Decisions); diff != "" {
				t.Errorf("the next candidate: -want +got:\n%s", diff)
			}
		})
	}
}

// panics is a document that nobody can write.
type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("over a document") }

// TestAnswerWithoutDecision cannot be compared with.
func TestAnswerWithoutDecision(t *testing.T) {
	t.Parallel()
	r := open(t, signed)
	c := r.running(t, canary.Options{})
	c.Candidate(candidate(t, static))
	made := rego.Made{Set: r.Set(), Review: pod("app"), Err: errUndecided{}}
	c.Take(made)
	if diff := cmp.Diff(only(canary.Unknown, 1), until(t, c, 1).Decisions); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

type errUndecided struct{}

func (errUndecided) Error() string { return "out of time" }

// TestTakeCostsOneSend has nobody judge: what a decision pays for the candidate is a place
// in a queue.
func TestTakeCostsOneSend(t *testing.T) {
	r := open(t, signed)
	var made rego.Made
	r.Record(func(m rego.Made) { made = m })
	r.decide(t, "app")
	c := canary.New(canary.Options{})
	cost := func() float64 {
		least := testing.AllocsPerRun(20, func() { c.Take(made) })
		for range 5 {
			least = min(least, testing.AllocsPerRun(20, func() { c.Take(made) }))
		}
		return least
	}
	if got := cost(); got != 0 {
		t.Errorf("without a candidate: got %v allocations, want none", got)
	}
	c.Candidate(candidate(t, attested))
	if got := testing.AllocsPerRun(20, func() { c.Take(made) }); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
	if got := cost(); got != 0 {
		t.Errorf("where there is no room: got %v allocations, want none", got)
	}
	if got := c.Report(); got.Dropped == 0 {
		t.Errorf("got %+v, want what did not fit counted", got)
	}
}

// TestEveryDecisionIsCountedOnce has candidates come while decisions are made.
func TestEveryDecisionIsCountedOnce(t *testing.T) {
	t.Parallel()
	r, seen := open(t, signed), &counts{}
	var made rego.Made
	r.Record(func(m rego.Made) { made = m })
	r.decide(t, "app")
	c := r.running(t, canary.Options{Hooks: seen.hooks()})
	c.Candidate(candidate(t, signed))
	const takers, each = 4, 50
	done := make(chan struct{})
	for range takers {
		go func() {
			defer func() { done <- struct{}{} }()
			for range each {
				c.Take(made)
			}
		}()
	}
	for range 3 {
		c.Candidate(candidate(t, signed))
	}
	for range takers {
		<-done
	}
	var judged, dropped int64
	for began := time.Now(); judged+dropped < takers*each && time.Since(began) < time.Minute; time.Sleep(time.Millisecond) {
		seen.mu.Lock()
		judged, dropped = 0, seen.dropped
		for _, n := range seen.of {
			judged += n
		}
		if seen.of[canary.Same] != judged {
			t.Errorf("got %v, want them the same", seen.of)
		}
		seen.mu.Unlock()
	}
	if judged+dropped != takers*each {
		t.Errorf("got %d judged and %d dropped, want %d together", judged, dropped, takers*each)
	}
}

// TestSwappedWhileItIsJudged counts nothing for the candidate that came meanwhile.
func TestSwappedWhileItIsJudged(t *testing.T) {
	t.Parallel()
	r, seen := open(t, signed), &counts{}
	asked, goOn := make(chan struct{}), make(chan struct{})
	namespaces := func() *rego.Namespaces { return rego.NewNamespaces(nil) }
	hooks := seen.hooks()
	c := r.running(t, canary.Options{Hooks: hooks, Namespaces: namespaces, FetchPerMinute: 10, Fetch: held(r, asked, goOn)})
	c.Candidate(candidate(t, attested))
	r.decide(t, "app")
	<-asked // the first candidate is in the middle of it
	next := candidate(t, signed)
	next.Revision = "3"
	c.Candidate(next)
	close(goOn)
	r.decide(t, "app")
	got := until(t, c, 1)
	if got.Revision != "3" {
		t.Errorf("got revision %s, want 3", got.Revision)
	}
	if diff := cmp.Diff(only(canary.Same, 1), got.Decisions); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if want := map[canary.Outcome]int64{canary.Same: 1}; !maps.Equal(seen.of, want) || seen.dropped != 1 {
		t.Errorf("got %v and %d dropped, want %v and the other one dropped", seen.of, seen.dropped, want)
	}
}

// TestTheSameAgainGoesOn where it was: policies beside it were loaded again and changed nothing. What comes to
// other policies, or trusts others, begins anew.
func TestTheSameAgainGoesOn(t *testing.T) {
	t.Parallel()
	r := open(t, signed)
	evil := strings.Replace(signed, "acme", "evil", 1)
	for name, tt := range map[string]struct {
		change func(*canary.Canary, *canary.Candidate)
		goesOn bool
	}{
		"the same":                {func(*canary.Canary, *canary.Candidate) {}, true},
		"the same, twice at once": {func(c *canary.Canary, next *canary.Candidate) { c.Candidate(next) }, true},
		"none between":            {func(c *canary.Canary, _ *canary.Candidate) { c.Candidate(nil) }, false},
		"another revision":        {func(_ *canary.Canary, next *canary.Candidate) { next.Revision = "3" }, false},
		"other policies":          {func(_ *canary.Canary, next *canary.Candidate) { next.Policies = sourceOf(t, signed) }, false},
		"another root": {func(_ *canary.Canary, next *canary.Candidate) {
			next.Policies.Roots.Named = map[string]*trust.Root{"more": r.root.Default}
		}, false},
		"a root that is gone": {func(_ *canary.Canary, next *canary.Candidate) {
			next.Policies.Roots.Causes = map[string]string{"more": "expired"}
		}, false},
	} {
		t.Run(name, func(t *testing.T) { // one after the other: they share the engine
			var clock atomic.Int64
			c := r.running(t, canary.Options{Now: func() time.Time { return now().Add(time.Duration(clock.Load())) }})
			c.Candidate(candidate(t, evil))
			r.decide(t, "app")
			until(t, c, 1)
			clock.Store(int64(time.Hour))
			next := candidate(t, evil)
			tt.change(c, next)
			c.Candidate(next)
			got := c.Report()
			for began := time.Now(); got.Set == "" && time.Since(began) < time.Minute; got = c.Report() {
				time.Sleep(time.Millisecond)
			}
			want, since := only(canary.NewlyDenied, 1), now()
			if !tt.goesOn {
				want, since = only(canary.Same, 0), now().Add(time.Hour)
			}
			if diff := cmp.Diff(want, got.Decisions); diff != "" || !got.Since.Equal(since) || len(got.Differences) > 0 != tt.goesOn {
				t.Errorf("-want +got:\n%s%d differences since %s, want since %s", diff, len(got.Differences), got.Since, since)
			}
		})
	}
}
