package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Canary counts what a candidate policy set was tried on.
type Canary struct {
	decisions                 *prometheus.CounterVec
	dropped, seconds, fetches prometheus.Counter
}

// WatchCanary makes the metrics of a canary, whose decisions have these outcomes. It is to be
// called once.
func (t *Telemetry) WatchCanary(outcomes []string) *Canary {
	count := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_canary_" + name, Help: help})
	}
	c := &Canary{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assay_canary_decisions_total", Help: "Decisions that the candidate judged too, by how its outcome differs.",
		}, []string{"outcome"}),
		dropped: count("dropped_total", "Decisions that the candidate did not judge: too many were waiting, or another candidate came."),
		seconds: count("seconds_total", "Time that was worked for the candidate, in seconds of one core."),
		fetches: count("fetches_total", "Questions to registries that only the candidate asked."),
	}
	for _, outcome := range outcomes {
		c.decisions.WithLabelValues(outcome)
	}
	t.registry.MustRegister(c.decisions, c.dropped, c.seconds, c.fetches)
	return c
}

// Decided counts a decision by how the candidate's differs.
func (c *Canary) Decided(outcome string) { c.decisions.WithLabelValues(outcome).Inc() }

// Dropped counts a decision that the candidate did not judge.
func (c *Canary) Dropped() { c.dropped.Inc() }

// Worked counts the time that was taken.
func (c *Canary) Worked(took time.Duration) { c.seconds.Add(took.Seconds()) }

// Fetched counts a question that only the candidate asked.
func (c *Canary) Fetched() { c.fetches.Inc() }
