package server

import (
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// No label ever holds what a caller chooses (an image, a namespace, an
// operation): every series below exists from a closed set.

// outcome is how a request to a webhook ended: the label "result".
type outcome string

const (
	allowed    outcome = "allowed"
	refused    outcome = "denied"
	failed     outcome = "error"       // denied, because the Decider could not decide
	badRequest outcome = "bad_request" // not a review
	overloaded outcome = "overloaded"
)

// Metrics is what /metrics shows, in a registry of its own. Build it with
// [NewMetrics].
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge

	policyReloads  *prometheus.CounterVec
	policyCurrent  prometheus.Gauge
	evaluations    prometheus.Histogram
	cueAbandoned   atomic.Pointer[func() int64]
	trustRefreshes *prometheus.CounterVec
	trustRefreshed prometheus.Gauge
	policies       prometheus.Gauge
	capsules       *prometheus.CounterVec

	certificateReloads *prometheus.CounterVec
	certificateExpiry  prometheus.Gauge
}

// NewMetrics builds the metrics of a binary of the given version.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counters("assay_admission_requests_total",
			"Requests to the webhooks by how they ended.", "path", "result"),
		// From a warm decision to the longest timeout of a webhook.
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "assay_admission_duration_seconds",
			Help:    "Time from the headers of a request to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"path"}),
		inFlight: gauge("assay_in_flight", "Reviews that are being read or decided."),
		policyReloads: counters("assay_policy_reload_total",
			"Times the policies were read again.", "result"),
		policyCurrent: gauge("assay_policy_current",
			"1 when the policies serve as they are on disk, 0 while a change was refused and the last good set serves."),
		policies: gauge("assay_policies", "Policies in the set that serves."),
		evaluations: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "assay_decision_evaluations",
			Help:    "Evaluations of a decision: 1 when every answer was known.",
			Buckets: []float64{1, 2, 3, 4, 6, 8},
		}),
		trustRefreshes: counters("assay_trust_root_refresh_total",
			"Times the default trust root was refreshed.", "result"),
		trustRefreshed: gauge("assay_trust_root_refreshed_timestamp_seconds",
			"When the default trust root was last refreshed, in seconds since 1970; 0 for never."),
		capsules: counters("assay_capsules_total",
			"Decisions that were to be recorded, and capsules that made room for newer ones, by what became of them.", "result"),
		certificateReloads: counters("assay_certificate_reload_total",
			"Times the serving certificate changed on disk.", "result"),
		certificateExpiry: gauge("assay_certificate_expiry_timestamp_seconds",
			"When the serving certificate expires, in seconds since 1970."),
	}
	cueAbandoned := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "assay_cue_abandoned",
		Help: "Evaluations of CUE policies that ran past their time and still run.",
	}, m.abandoned)
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "assay_build_info",
		Help:        "1, labelled by what was built.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.duration, m.inFlight, m.policyReloads, m.policyCurrent, m.policies,
		m.evaluations, cueAbandoned, m.capsules, m.trustRefreshes, m.trustRefreshed,
		m.certificateReloads, m.certificateExpiry, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.start()
	return m
}

// start makes every series exist, so that a rate over the first failure is seen.
func (m *Metrics) start() {
	m.serves("validate")
	m.serves("mutate")
	for _, reloads := range []*prometheus.CounterVec{m.policyReloads, m.certificateReloads, m.trustRefreshes} {
		reloads.WithLabelValues(succeeded(nil))
		reloads.WithLabelValues("failure")
	}
	for _, result := range []string{"written", "dropped", "failed", "removed"} {
		m.capsules.WithLabelValues(result)
	}
}

// serves makes the series of a webhook exist.
func (m *Metrics) serves(path string) {
	m.duration.WithLabelValues(path)
	for _, result := range []outcome{allowed, refused, failed, badRequest, overloaded} {
		m.requests.WithLabelValues(path, string(result))
	}
}

// Registerer takes the collectors of other rooms.
func (m *Metrics) Registerer() prometheus.Registerer { return m.registry }

// PolicyReloaded counts one reading of the policies; err is nil when they serve.
func (m *Metrics) PolicyReloaded(err error) {
	m.policyReloads.WithLabelValues(succeeded(err)).Inc()
}

// SetPolicies says how many policies serve, and whether they are those on disk.
func (m *Metrics) SetPolicies(count int, current bool) {
	m.policies.Set(float64(count))
	m.policyCurrent.Set(0)
	if current {
		m.policyCurrent.Set(1)
	}
}

// Decided counts the evaluations of one decision.
func (m *Metrics) Decided(evaluations int) { m.evaluations.Observe(float64(evaluations)) }

// Recorded counts one decision that was to be recorded: written, dropped or failed, or
// one capsule that was removed.
func (m *Metrics) Recorded(result string) { m.capsules.WithLabelValues(result).Inc() }

// WatchCUE says who knows how many evaluations of CUE policies were abandoned and
// still run. It is asked whenever the metrics are.
func (m *Metrics) WatchCUE(abandoned func() int64) { m.cueAbandoned.Store(&abandoned) }

func (m *Metrics) abandoned() float64 {
	if ask := m.cueAbandoned.Load(); ask != nil {
		return float64((*ask)())
	}
	return 0
}

// TrustRefreshed counts one refresh of the default trust root.
func (m *Metrics) TrustRefreshed(at time.Time, err error) {
	m.trustRefreshes.WithLabelValues(succeeded(err)).Inc()
	if err == nil {
		m.trustRefreshed.Set(float64(at.Unix()))
	}
}

// answered counts a request. trace is that of its decision, "" for none.
func (m *Metrics) answered(path string, result outcome, took time.Duration, trace string) {
	m.requests.WithLabelValues(path, string(result)).Inc()
	duration := m.duration.WithLabelValues(path)
	if with, ok := duration.(prometheus.ExemplarObserver); ok && trace != "" {
		with.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": trace})
		return
	}
	duration.Observe(took.Seconds())
}

func (m *Metrics) certificateReloaded(err error) {
	m.certificateReloads.WithLabelValues(succeeded(err)).Inc()
}

func (m *Metrics) certificateExpires(at time.Time) {
	m.certificateExpiry.Set(float64(at.Unix()))
}

func (m *Metrics) handler() http.Handler {
	// Only OpenMetrics has room for exemplars; who does not ask for it gets text as before.
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// succeeded is the label of something that ended with err.
func succeeded(err error) string {
	if err != nil {
		return "failure"
	}
	return "success"
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}
