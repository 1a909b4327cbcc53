package telemetry

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-dev/assay/rego"
)

// mostPolicies have series of their own, the first by name of the set that serves. What
// the others decide is counted under one name, which no object can have.
const (
	mostPolicies  = 500
	otherPolicies = "(other)"
)

// policies counts what policies decide. A policy that is gone has no series any more.
type policies struct {
	vec   *prometheus.CounterVec
	known atomic.Pointer[map[string]outcomes]
}

// outcomes are the counters of one policy, by mode and outcome.
type outcomes [2][2]prometheus.Counter

func newPolicies() *policies {
	p := &policies{vec: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "assay_policy_decisions_total",
		Help: "What policies decided: a ClusterImagePolicy about an image, a policy in Rego about a review.",
	}, []string{"policy", "mode", "outcome"})}
	p.know(map[string]string{})
	return p
}

// serve lets the policies of a set have series.
func (p *policies) serve(set *rego.Set) {
	modes := map[string]string{}
	for _, policy := range set.Source().Policies {
		modes[policy.Name] = string(policy.Spec.Mode)
	}
	for _, policy := range set.Raw() {
		if _, also := modes[policy.Name]; !also {
			modes[policy.Name] = modeLabels()[modeOf("")]
			if policy.Warns() {
				modes[policy.Name] = "warn"
			}
		}
	}
	p.know(modes)
}

// know makes the series of policies with their modes, and removes those of others.
func (p *policies) know(modes map[string]string) {
	names := make([]string, 0, len(modes))
	for name := range modes {
		names = append(names, name)
	}
	// Those of the cluster first: namespaces must not crowd them out.
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, "/"), strings.Count(b, "/")), strings.Compare(a, b))
	})
	if len(names) > mostPolicies {
		names = names[:mostPolicies]
	}
	names = append(names, otherPolicies)
	known := make(map[string]outcomes, len(names))
	for _, name := range names {
		var of outcomes
		mode := modeOf(modes[name])
		for outcome, label := range outcomeLabels() {
			of[mode][outcome] = p.vec.WithLabelValues(name, modeLabels()[mode], label)
		}
		known[name] = of
	}
	before := p.known.Swap(&known)
	if before == nil {
		return
	}
	for name := range *before {
		if _, still := known[name]; !still {
			p.vec.DeletePartialMatch(prometheus.Labels{"policy": name})
		}
	}
}

func modeLabels() [2]string    { return [2]string{"enforce", "warn"} }
func outcomeLabels() [2]string { return [2]string{"passed", "failed"} }

// modeOf is the mode's place: what is not warn enforces.
func modeOf(mode string) int {
	if mode == "warn" {
		return 1
	}
	return 0
}

// outcomeOf is the outcome's place: what did not pass failed.
func outcomeOf(outcome string) int {
	if outcome == "passed" {
		return 0
	}
	return 1
}

// count counts one outcome.
func (p *policies) count(name, mode, outcome string) {
	known := *p.known.Load()
	of, ok := known[name]
	if !ok {
		name, of = otherPolicies, known[otherPolicies]
	}
	m, o := modeOf(mode), outcomeOf(outcome)
	counter := of[m][o]
	if counter == nil { // in another mode than it says: that of a policy in Rego is computed
		counter = p.vec.WithLabelValues(name, modeLabels()[m], outcomeLabels()[o])
	}
	counter.Inc()
}

// served is the set that serves, as two metrics.
type served struct{ now atomic.Pointer[setOf] }

type setOf struct {
	hash string
	at   time.Time
}

var _ prometheus.Collector = (*served)(nil)

func setInfo() *prometheus.Desc {
	return prometheus.NewDesc("assay_policy_set_info", "1, labelled by the hash of the set that serves.", []string{"hash"}, nil)
}

func setLoaded() *prometheus.Desc {
	return prometheus.NewDesc("assay_policy_set_loaded_timestamp_seconds", "When the set that serves began to, in seconds since 1970.", nil, nil)
}

// Describe implements [prometheus.Collector].
func (s *served) Describe(out chan<- *prometheus.Desc) {
	out <- setInfo()
	out <- setLoaded()
}

// Collect implements [prometheus.Collector].
func (s *served) Collect(out chan<- prometheus.Metric) {
	if now := s.now.Load(); now != nil {
		out <- prometheus.MustNewConstMetric(setInfo(), prometheus.GaugeValue, 1, strings.ToValidUTF8(now.hash, ""))
		out <- prometheus.MustNewConstMetric(setLoaded(), prometheus.GaugeValue, seconds(now.at))
	}
}

// seconds is a time as Prometheus has it; 0 is never.
func seconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / 1000
}
