package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Loss is a counter of somebody else's, who says what was lost.
type Loss struct {
	// Kind is the label.
	Kind  string
	Count func() uint64
}

// Logs counts what becomes of entries of decision logs.
type Logs struct{ entries *prometheus.CounterVec }

// WatchLogs makes the metrics of decision logs. It is to be called once.
func (t *Telemetry) WatchLogs(losses []Loss) *Logs {
	l := &Logs{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "assay_decision_log_entries_total", Help: "Entries of decision logs by where they were on their way and what became of them there.",
	}, []string{"place", "result"})}
	t.registry.MustRegister(l.entries, lossesOf(losses))
	return l
}

// Became counts entries.
func (l *Logs) Became(place, result string, entries int) {
	l.entries.WithLabelValues(place, result).Add(float64(entries))
}

// lossesOf are asked about whenever the metrics are.
type lossesOf []Loss

func lossDesc() *prometheus.Desc {
	return prometheus.NewDesc("assay_decision_log_opa_total", "What OPA's plugins for decision logs and status count of what they upload and lose, by OPA's name of it.", []string{"counter"}, nil)
}

// Describe implements [prometheus.Collector].
func (lossesOf) Describe(out chan<- *prometheus.Desc) { out <- lossDesc() }

// Collect implements [prometheus.Collector].
func (l lossesOf) Collect(out chan<- prometheus.Metric) {
	for _, loss := range l {
		out <- prometheus.MustNewConstMetric(lossDesc(), prometheus.CounterValue, float64(loss.Count()), loss.Kind)
	}
}
