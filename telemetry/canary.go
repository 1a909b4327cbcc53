package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Canary counts what becomes of a candidate beside the policies that serve. Its functions
// do not wait.
type Canary struct {
	Decided func(outcome string)
	Dropped func()
	Worked  func(time.Duration)
	Fetched func()
}

// Canary has the metrics of candidates, with a series for each outcome; failing says whether
// the latest one cannot be tried. It is to be called once.
func (t *Telemetry) Canary(outcomes []string, failing func() bool) Canary {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_canary_" + name, Help: help})
	}
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "assay_canary_decisions_total", Help: "Decisions that the candidate judged too, by how its outcome differs.",
	}, []string{"outcome"})
	dropped := counter("dropped_total", "Decisions that the candidate did not judge: too many were waiting, or another candidate came.")
	seconds := counter("seconds_total", "Time that was worked for candidates, in seconds of one core.")
	fetches := counter("fetches_total", "Questions to registries that only the candidate asked.")
	for _, outcome := range outcomes {
		decisions.WithLabelValues(outcome)
	}
	latest := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "assay_canary_failing", Help: "1 when the latest candidate cannot be had, is refused or does not compile: it is not tried.",
	}, func() float64 { return flag(failing()) })
	t.registry.MustRegister(decisions, dropped, seconds, fetches, latest)
	return Canary{
		Decided: func(outcome string) { decisions.WithLabelValues(outcome).Inc() },
		Dropped: dropped.Inc, Fetched: fetches.Inc,
		Worked: func(d time.Duration) { seconds.Add(d.Seconds()) },
	}
}
