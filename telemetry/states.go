package telemetry

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// mostRoots have metrics, the first by name.
const mostRoots = 100

// Root is the state of a trust root.
type Root struct {
	// Name is that of the TrustRoot, "" for the default one.
	Name string
	// Serving says whether evidence can be verified with it.
	Serving bool
	// Current says whether it serves as its repository last had it: the last refresh succeeded.
	Current bool
	// Checked is when its repository last said that it is the one, zero where it has none
	// behind a URL.
	Checked time.Time
	// Expires is when the first of its metadata does, zero where it has none.
	Expires time.Time
}

// roots are asked about whenever the metrics are.
type roots func() []Root

// WatchRoots says who knows the trust roots that policies rely on. It is to be called once.
func (t *Telemetry) WatchRoots(now func() []Root) { t.registry.MustRegister(roots(now)) }

func rootDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("assay_trust_root_"+name, help, []string{"root"}, nil)
}

func rootServing() *prometheus.Desc {
	return rootDesc("serving", "1 when the trust root serves, 0 while what relies on it is denied.")
}

func rootCurrent() *prometheus.Desc {
	return rootDesc("current", "1 when the trust root serves as its repository has it, 0 while it cannot be refreshed.")
}

func rootChecked() *prometheus.Desc {
	return rootDesc("checked_timestamp_seconds", "When the TUF repository of the trust root was last read, in seconds since 1970; 0 for never.")
}

func rootExpiry() *prometheus.Desc {
	return rootDesc("metadata_expiry_timestamp_seconds", "When the first of the TUF metadata of the trust root expires, in seconds since 1970.")
}

// Describe implements [prometheus.Collector].
func (r roots) Describe(out chan<- *prometheus.Desc) {
	out <- rootServing()
	out <- rootCurrent()
	out <- rootChecked()
	out <- rootExpiry()
}

// Collect implements [prometheus.Collector].
func (r roots) Collect(out chan<- prometheus.Metric) {
	now := r()
	slices.SortFunc(now, func(a, b Root) int { return strings.Compare(a.Name, b.Name) })
	if len(now) > mostRoots {
		now = now[:mostRoots]
	}
	for _, root := range now {
		name := root.Name
		if name == "" {
			name = "(default)" // no object can have this name
		}
		tell := func(desc *prometheus.Desc, value float64) {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, name)
		}
		tell(rootServing(), flag(root.Serving))
		tell(rootCurrent(), flag(root.Current))
		tell(rootChecked(), seconds(root.Checked))
		if !root.Expires.IsZero() {
			tell(rootExpiry(), seconds(root.Expires))
		}
	}
}

// Cluster is who knows how it stands with the cluster. All are asked whenever the metrics
// are, and must not wait.
type Cluster struct {
	// Synced says whether all was read once, and Leading whether this replica writes.
	Synced, Leading func() bool
	// Stale are since when what is out of date is.
	Stale func() []time.Time
	// Dropped and Limited count denials that became no Event: see kube/status.
	Dropped, Limited func() uint64
}

// WatchCluster says who knows. It is to be called once.
func (t *Telemetry) WatchCluster(c Cluster) {
	t.registry.MustRegister(
		gaugeOf("assay_cluster_synced", "1 when the objects of the cluster were read once, 0 while reviews are denied for want of them.",
			func() float64 { return flag(c.Synced()) }),
		gaugeOf("assay_cluster_leader", "1 while this replica writes what became of the objects.",
			func() float64 { return flag(c.Leading()) }),
		gaugeOf("assay_cluster_stale_sources", "Resources and objects of the cluster that are not up to date.",
			func() float64 { return float64(len(c.Stale())) }),
		gaugeOf("assay_cluster_stale_since_timestamp_seconds", "Since when the first of them is not, in seconds since 1970; 0 while all are.",
			func() float64 { return seconds(oldest(c.Stale())) }),
		counterOf("assay_cluster_events_dropped_total", "Denials that became no Event because too many waited, or the API server took none.", nil, c.Dropped),
		counterOf("assay_cluster_events_limited_total", "Denials that became no Event because their owner had many.", nil, c.Limited),
	)
}

func oldest(times []time.Time) time.Time {
	if len(times) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(times, time.Time.Compare)
}

// Looked is who counts what was looked for in a cache.
type Looked interface {
	Hits() uint64
	Misses() uint64
}

// WatchCache says who counts for a cache, of a closed list. It is to be called once for each.
func (t *Telemetry) WatchCache(name string, looked Looked) {
	const lookups, help = "assay_cache_lookups_total", "What was looked for among what may serve again, by whether it was there."
	t.registry.MustRegister(
		counterOf(lookups, help, prometheus.Labels{"cache": name, "result": "hit"}, looked.Hits),
		counterOf(lookups, help, prometheus.Labels{"cache": name, "result": "miss"}, looked.Misses),
	)
}

func gaugeOf(name, help string, now func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, now)
}

func counterOf(name, help string, labels prometheus.Labels, now func() uint64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(now()) })
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
