package telemetry

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// mostBundles have metrics, the first by name.
const mostBundles = 100

// Bundle is the state of a policy bundle.
type Bundle struct {
	Name string
	// Revision is the active one, "" as long as none is.
	Revision string
	// Failing says that the latest answer of its source is not what serves.
	Failing bool
	// Activated is when it became active, and Confirmed when its source last answered that
	// it is the newest; zero for never.
	Activated, Confirmed time.Time
	// Expires is when it denies, zero where it never does.
	Expires time.Time
}

// Activations counts what the gate of bundles was shown.
type Activations struct{ Activated, Refused uint64 }

// bundles are asked about whenever the metrics are.
type bundles struct {
	now    func() []Bundle
	counts func() Activations
}

// WatchBundles says who knows the bundles that policies come from. It is to be called once.
func (t *Telemetry) WatchBundles(now func() []Bundle, counts func() Activations) {
	t.registry.MustRegister(bundles{now, counts})
}

func bundleDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("assay_bundle_"+name, help, labels, nil)
}

func bundleInfo() *prometheus.Desc {
	return bundleDesc("info", "1, labelled by the revision that is active.", "bundle", "revision")
}

func bundleFailing() *prometheus.Desc {
	return bundleDesc("failing", "1 while the latest answer of the bundle's source is not what serves: it cannot be had, or was refused.", "bundle")
}

func bundleActivated() *prometheus.Desc {
	return bundleDesc("activated_timestamp_seconds", "When the active revision became active, in seconds since 1970; 0 for never.", "bundle")
}

func bundleConfirmed() *prometheus.Desc {
	return bundleDesc("confirmed_timestamp_seconds", "When the bundle's source last answered, in seconds since 1970; 0 for never. The time since then is how stale the bundle may be.", "bundle")
}

func bundleExpiry() *prometheus.Desc {
	return bundleDesc("expiry_timestamp_seconds", "When the active bundle expires, after which everything is denied, in seconds since 1970.", "bundle")
}

func bundleActivations() *prometheus.Desc {
	return bundleDesc("activations_total", "Bundles that were to become active, by what became of that.", "result")
}

// Describe implements [prometheus.Collector].
func (b bundles) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{bundleInfo(), bundleFailing(), bundleActivated(), bundleConfirmed(), bundleExpiry(), bundleActivations()} {
		out <- desc
	}
}

// Collect implements [prometheus.Collector].
func (b bundles) Collect(out chan<- prometheus.Metric) {
	counts := b.counts()
	for result, count := range map[string]uint64{"activated": counts.Activated, "refused": counts.Refused} {
		out <- prometheus.MustNewConstMetric(bundleActivations(), prometheus.CounterValue, float64(count), result)
	}
	now := b.now()
	slices.SortFunc(now, func(a, b Bundle) int { return strings.Compare(a.Name, b.Name) })
	if len(now) > mostBundles {
		now = now[:mostBundles]
	}
	for _, of := range now {
		tell := func(desc *prometheus.Desc, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{valid(of.Name)}, labels...)...)
		}
		if of.Revision != "" {
			tell(bundleInfo(), 1, valid(of.Revision))
		}
		tell(bundleFailing(), flag(of.Failing))
		tell(bundleActivated(), seconds(of.Activated))
		tell(bundleConfirmed(), seconds(of.Confirmed))
		if !of.Expires.IsZero() {
			tell(bundleExpiry(), seconds(of.Expires))
		}
	}
}

// valid is a text that may be a label, and no longer than one should be: who signs a bundle
// chooses its revision.
func valid(text string) string {
	const longest = 128
	text = strings.ToValidUTF8(text, "?")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "")
	}
	return text
}
