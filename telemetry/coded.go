package telemetry

import "github.com/prometheus/client_golang/prometheus"

// other is the label of what is in no closed list, which should not be.
const other = "other"

// coded counts by code. Every series exists from the start, so that a rate over the first
// failure is seen.
type coded struct {
	vec *prometheus.CounterVec
	of  map[string]prometheus.Counter // never changes
}

// newCoded counts by the codes of refusals, and by more.
func newCoded(name, help string, more ...string) coded {
	out := coded{
		vec: prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"code"}),
		of:  map[string]prometheus.Counter{},
	}
	for _, code := range append(append(more, other), Codes()...) {
		out.of[code] = out.vec.WithLabelValues(code)
	}
	return out
}

// count counts one, and says by which code.
func (c coded) count(code string) string {
	counter, ok := c.of[code]
	if !ok {
		code, counter = other, c.of[other]
	}
	counter.Inc()
	return code
}
