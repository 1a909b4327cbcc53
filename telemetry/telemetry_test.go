package telemetry

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

func TestMain(m *testing.M) {
	builtins.Register()
	os.Exit(m.Run())
}

// whole is a Telemetry with every metric that there can be.
func whole(t testing.TB) (*Telemetry, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	seen := New(registry)
	seen.WatchCache("answers", counts{3, 2})
	seen.WatchRoots(func() []Root {
		return []Root{{Name: "own", Serving: true, Current: true}, {Checked: time.Unix(100, 0), Expires: time.Unix(200, 0)}}
	})
	seen.WatchCluster(Cluster{
		Synced: func() bool { return true }, Leading: func() bool { return false },
		Stale:   func() []time.Time { return []time.Time{time.Unix(30, 0), time.Unix(20, 0)} },
		Dropped: func() uint64 { return 4 }, Limited: func() uint64 { return 5 },
	})
	return seen, registry
}

type counts struct{ hits, misses uint64 }

func (c counts) Hits() uint64   { return c.hits }
func (c counts) Misses() uint64 { return c.misses }

// setOfPolicies compiles a set of so many policies.
func setOfPolicies(t testing.TB, names ...string) *rego.Set {
	t.Helper()
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "---\n{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: %s}, "+
			"spec: {images: [{glob: '**'}], authorities: [{static: {action: pass}}]}}\n", name)
	}
	documents, err := cip.Parse([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rego.Compile(t.Context(), rego.Source{Policies: documents.Policies, Open: func(rego.Workload) rego.Answers { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestNamesOfMetrics follow Prometheus' rules.
func TestNamesOfMetrics(t *testing.T) {
	t.Parallel()
	seen, registry := whole(t)
	seen.Serves(setOfPolicies(t, "a"))
	problems, err := testutil.GatherAndLint(registry)
	if diff := cmp.Diff([]promlint.Problem(nil), problems); diff != "" || err != nil {
		t.Errorf("got %v and (-want +got):\n%s", err, diff)
	}
}

// TestStatesAreReadWhenTheyAreAsked: by the functions of those who know.
func TestStatesAreReadWhenTheyAreAsked(t *testing.T) {
	t.Parallel()
	_, registry := whole(t)
	wantMetrics(t, registry, `
		assay_cache_lookups_total{cache="answers",result="hit"} 3
		assay_cache_lookups_total{cache="answers",result="miss"} 2
		assay_cluster_synced 1
		assay_cluster_leader 0
		assay_cluster_stale_sources 2
		assay_cluster_stale_since_timestamp_seconds 20
		assay_cluster_events_dropped_total 4
		assay_cluster_events_limited_total 5
		assay_trust_root_serving{root="(default)"} 0
		assay_trust_root_serving{root="own"} 1
		assay_trust_root_current{root="(default)"} 0
		assay_trust_root_current{root="own"} 1
		assay_trust_root_checked_timestamp_seconds{root="(default)"} 100
		assay_trust_root_checked_timestamp_seconds{root="own"} 0
		assay_trust_root_metadata_expiry_timestamp_seconds{root="(default)"} 200`)
}

// wantMetrics wants the series, each on a line, to be there with those values.
func wantMetrics(t testing.TB, registry prometheus.Gatherer, want string) {
	t.Helper()
	present := series(t, registry)
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(present, line) {
			t.Errorf("got no %s", line)
		}
	}
}

// series are all counters and gauges, as text.
func series(t testing.TB, registry prometheus.Gatherer) (out []string) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			value := metric.GetGauge().GetValue() + metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			out = append(out, fmt.Sprintf("%s %v", name, value))
		}
	}
	return out
}

// made is a decision about so many images, each judged by the policy.
func made(set *rego.Set, policy, mode, outcome, code string) rego.Made {
	authority := rego.Authority{Name: "a", Outcome: outcome}
	if code != "" {
		authority.Error = &rego.Error{Code: code}
	}
	return rego.Made{
		Set: set, Passes: []rego.Pass{{Took: time.Millisecond}, {Took: time.Millisecond}},
		Decision: rego.Decision{Images: []rego.Image{{Policies: []rego.Policy{
			{Name: policy, Mode: mode, Outcome: outcome, Authorities: []rego.Authority{authority}},
		}}}},
	}
}

// TestDecisionsAreCounted by policy, mode and outcome, refusals by code, and the account
// has both.
func TestDecisionsAreCounted(t *testing.T) {
	t.Parallel()
	seen, registry := whole(t)
	set := setOfPolicies(t, "a", "b")
	seen.Serves(set)
	ctx, end := seen.Deciding(t.Context(), Asked{Webhook: "validate"})
	seen.Decided(ctx, made(set, "a", "enforce", "failed", "no_signatures"))
	seen.Decided(ctx, made(set, "b", "warn", "failed", "of no list"))
	seen.Decided(t.Context(), made(set, "a", "enforce", "passed", ""))
	wantMetrics(t, registry, `
		assay_policy_decisions_total{mode="enforce",outcome="failed",policy="a"} 1
		assay_policy_decisions_total{mode="enforce",outcome="passed",policy="a"} 1
		assay_policy_decisions_total{mode="warn",outcome="failed",policy="b"} 1
		assay_policy_decisions_total{mode="enforce",outcome="failed",policy="b"} 0
		assay_refusals_total{code="no_signatures"} 1
		assay_refusals_total{code="other"} 1
		assay_refusals_total{code="tlog"} 0
		assay_stage_duration_seconds{stage="evaluate"} 6
		assay_policy_set_info{hash="`+set.Hash()+`"} 1`)
	want := Account{
		Set: set.Hash(), Evaluations: 2, Codes: []string{"no_signatures", "other"}, Failed: []string{"a", "b"},
		Stages: []Spent{{"evaluate", 4 * time.Millisecond}},
	}
	if diff := cmp.Diff(want, end("denied")); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

// TestAPatchIsNoDecisionOfPolicies, and neither is an error.
func TestAPatchIsNoDecisionOfPolicies(t *testing.T) {
	t.Parallel()
	seen, registry := whole(t)
	set := setOfPolicies(t, "a")
	seen.Serves(set)
	patch, failed := made(set, "a", "enforce", "failed", "timeout"), made(set, "a", "enforce", "failed", "timeout")
	patch.Mutation, failed.Err = true, context.DeadlineExceeded
	seen.Decided(t.Context(), patch)
	seen.Decided(t.Context(), failed)
	wantMetrics(t, registry, `
		assay_policy_decisions_total{mode="enforce",outcome="failed",policy="a"} 0
		assay_refusals_total{code="timeout"} 0
		assay_stage_duration_seconds{stage="evaluate"} 4`)
}

// TestSeriesOfPoliciesAreBounded: the first by name have some, the others share one, and
// those that are gone have none.
func TestSeriesOfPoliciesAreBounded(t *testing.T) {
	t.Parallel()
	seen, registry := whole(t)
	modes := map[string]string{}
	for i := range mostPolicies + 100 {
		modes[fmt.Sprintf("p-%03d", i)] = "enforce"
	}
	seen.policies.know(modes)
	for name := range modes {
		seen.policies.count(name, "enforce", "failed")
		seen.policies.count(name, "warn", "passed")
	}
	seen.policies.count("of a set that is gone", "whatever", "whatever")
	names := func() (out []string) {
		for _, line := range series(t, registry) {
			if rest, ok := strings.CutPrefix(line, "assay_policy_decisions_total"); ok {
				out = append(out, rest)
			}
		}
		return out
	}
	// Two outcomes in the policy's own mode, and one that came in the other.
	if got, want := len(names()), 3*(mostPolicies+1); got != want {
		t.Errorf("got %d series, want %d", got, want)
	}
	wantMetrics(t, registry, `assay_policy_decisions_total{mode="enforce",outcome="failed",policy="(other)"} 101`)
	seen.policies.know(map[string]string{"p-000": "enforce"})
	if got := names(); len(got) != 6 {
		t.Errorf("got %q after the others were gone, want those of p-000 and (other)", got)
	}
	wantMetrics(t, registry, `assay_policy_decisions_total{mode="enforce",outcome="failed",policy="p-000"} 1`)
}

// TestAccountsAreBounded: an object may have hundreds of images and policies.
func TestAccountsAreBounded(t *testing.T) {
	t.Parallel()
	seen, _ := whole(t)
	set := setOfPolicies(t, "a")
	ctx, end := seen.Deciding(t.Context(), Asked{})
	for i := range 10 * mostFailed {
		seen.Decided(ctx, made(set, fmt.Sprint("p-", i), "enforce", "failed", fmt.Sprint("code-", i)))
	}
	if got := end("denied"); len(got.Failed) != mostFailed || !slices.Equal(got.Codes, []string{other}) {
		t.Errorf("got %d policies and codes %q, want %d and other", len(got.Failed), got.Codes, mostFailed)
	}
}

// TestRootsAreBounded.
func TestRootsAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	New(registry).WatchRoots(func() (out []Root) {
		for i := range 3 * mostRoots {
			out = append(out, Root{Name: fmt.Sprint("r-", i)})
		}
		return out
	})
	if got, err := testutil.GatherAndCount(registry, "assay_trust_root_serving"); err != nil || got != mostRoots {
		t.Errorf("got %d roots, %v, want %d", got, err, mostRoots)
	}
}

// TestWorkIsTimed by stage, beside any decision too.
func TestWorkIsTimed(t *testing.T) {
	t.Parallel()
	seen, registry := whole(t)
	ctx, end := seen.Deciding(t.Context(), Asked{})
	for _, stage := range stages() {
		_, done := seen.Begin(ctx, observe.Work{Stage: stage})
		done("")
		_, done = seen.Begin(t.Context(), observe.Work{Stage: stage})
		done("timeout")
	}
	_, done := seen.Begin(ctx, observe.Work{Stage: "of no list"})
	done("")
	for _, stage := range stages() {
		wantMetrics(t, registry, fmt.Sprintf("assay_stage_duration_seconds{stage=%q} 2", stage))
	}
	if got := end("allowed"); len(got.Stages) != mostStages {
		t.Errorf("got %v, want all stages", got.Stages)
	}
	seen.Heard("")
	seen.Heard("not_found")
	wantMetrics(t, registry, `
		assay_registry_requests_total{code="ok"} 1
		assay_registry_requests_total{code="not_found"} 1`)
}

// TestAWarmDecisionAllocatesLittle: a few words for the account, and none for its counting.
func TestAWarmDecisionAllocatesLittle(t *testing.T) {
	seen, _ := whole(t)
	set := setOfPolicies(t, "a")
	seen.Serves(set)
	decision := made(set, "a", "enforce", "passed", "")
	count := testing.AllocsPerRun(100, func() { seen.Decided(t.Context(), decision) })
	if count > 1 { // t.Context gives one that is kept
		t.Errorf("counting: got %v allocations, want none", count)
	}
	count = testing.AllocsPerRun(100, func() {
		ctx, end := seen.Deciding(t.Context(), Asked{Webhook: "validate", Traceparent: strings.Repeat("0", 55)})
		seen.Decided(ctx, decision)
		_ = end("allowed")
	})
	if count > 6 {
		t.Errorf("a decision: got %v allocations, want at most 6", count)
	}
}

// BenchmarkWarmDecision is what a decision costs more that fetches nothing.
func BenchmarkWarmDecision(b *testing.B) {
	set := setOfPolicies(b, "a")
	decision := made(set, "a", "enforce", "passed", "")
	for name, traces := range map[string]bool{"metrics": false, "metrics and traces": true} {
		b.Run(name, func(b *testing.B) {
			seen, _ := whole(b)
			if traces {
				var end func()
				seen, _, end = traced(b, collect(b).URL)
				defer end()
			}
			seen.Serves(set)
			b.ReportAllocs()
			for b.Loop() {
				ctx, end := seen.Deciding(b.Context(), Asked{Webhook: "validate"})
				seen.Decided(ctx, decision)
				_ = end("allowed")
			}
		})
	}
}
