package rego_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego"
)

// judges are n policies in Rego that look at labels and images.
func judges(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprintf("policies/p%d.rego", i)] = fmt.Sprintf(`package policies.p%d

deny contains msg if {
	input.request.kind.kind == "Pod"
	some container in input.request.object.spec.containers
	startswith(container.image, "forbidden-%d.example/")
	msg := sprintf("%%s is forbidden", [container.image])
}

deny contains "the label is wrong" if input.request.object.metadata.labels["label-%d"] == "wrong"
`, i, i, i)
	}
	return out
}

// TestPoliciesInRegoAreAskedOnce in an evaluation, whatever reads what they said.
func TestPoliciesInRegoAreAskedOnce(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}, bare: {}}")
	r := open(t, w, setup{policies: static("everything", "**", "pass", ""), modules: judges(20)})
	request := pod(byDigest(t, w, "app"), byDigest(t, w, "bare"))
	if _, err := r.Decide(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	counts, err := r.Set().Counted(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if got := counts["assay.policy"]; got != 20 {
		t.Errorf("got %d calls of assay.policy, want one for each of 20 policies", got)
	}
}

// TestPolicyInRegoReadsOn is for the race detector: a policy that was left behind goes on
// reading the review while others are asked and the decision is made.
func TestPolicyInRegoReadsOn(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	const reads = "package policies.%s\n\nmode := \"warn\"\n\n" +
		"deny contains 1 if {\n\tn := numbers.range(1, 3000)\n\tcount([1 | n[_]; n[_]; input.request.object.spec.containers[_].image; walk(input, [_, _])]) == 1\n}\n"
	r := open(t, w, setup{policies: static("everything", "**", "pass", ""), modules: map[string]string{
		"a.rego": fmt.Sprintf(reads, "a"), "b.rego": fmt.Sprintf(reads, "b"), "c.rego": innocent,
	}})
	d := withinOr(t, r, 4*time.Second, nothing, labelled(byDigest(t, w, "app"), "good"))
	if len(d.Rego) != 3 || len(d.Warnings) < 2 {
		t.Errorf("got %+v, want a decision that warns of two", d)
	}
}

// TestRunawayThatWarnsStaysOne: it is not asked again in the evaluation that has all
// answers, and its text still says that it only warns.
func TestRunawayThatWarnsStaysOne(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	const runaway = "package policies.runaway\n\nmode := \"warn\"\n\n" +
		"deny contains 1 if {\n\tn := numbers.range(1, 3000)\n\tcount([1 | n[_]; n[_]; n[_]]) == 1\n}\n"
	r := open(t, w, setup{modules: map[string]string{"runaway.rego": runaway, "innocent.rego": innocent}})
	d := withinOr(t, r, 8*time.Second, lateReason, pod(byDigest(t, w, "app")))
	got := outcomes(d)["runaway"]
	if !d.Allowed || got.Mode != "warn" || got.Error == nil || got.Error.Code != "timeout" || r.last().Evaluations < 2 {
		t.Errorf("got %s after %d evaluations, want a warning of the runaway", encode(t, d), r.last().Evaluations)
	}
}

// BenchmarkPoliciesInRego is a warm decision about one image, beside one
// ClusterImagePolicy.
func BenchmarkPoliciesInRego(b *testing.B) {
	w := openWorld(b, signedApp)
	for _, n := range []int{0, 1, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := open(b, w, setup{modules: judges(n)})
			request := pod(byDigest(b, w, "app"))
			decide := func() {
				if d, err := r.Decide(b.Context(), request); err != nil || !d.Allowed || len(d.Rego) != n {
					b.Fatalf("got %+v and %v, want an admission", d, err)
				}
			}
			decide()
			b.ReportAllocs()
			for b.Loop() {
				decide()
			}
		})
	}
}

// BenchmarkCompilePoliciesInRego is what a reload costs.
func BenchmarkCompilePoliciesInRego(b *testing.B) {
	for _, n := range []int{10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			source := rego.Source{Modules: judges(n), Open: func(rego.Workload) rego.Answers { return nil }}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rego.Compile(b.Context(), source); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
