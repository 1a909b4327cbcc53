package decisions

import "github.com/open-policy-agent/opa/v1/metrics"

// Loss is a counter of OPA's that says what its plugins lost.
type Loss struct {
	// Name is OPA's, as in the metrics of its status.
	Name string
	// Help says what it counts.
	Help string
}

// Losses are the counters that OPA's plugins for decision logs and status have in the
// metrics that they were given.
func Losses() []Loss {
	return []Loss{
		{"decision_logs_dropped_buffer_size_limit_exceeded", "Overflows of OPA's buffer of decision logs: an entry, or a chunk of many"},
		{"decision_logs_dropped_buffer_size_limit_bytes_exceeded", "Overflows of OPA's buffer of decision logs in bytes, each of one chunk or more"},
		{"decision_logs_dropped_rate_limit_exceeded", "Entries beyond max_decisions_per_second"},
		{"decision_logs_nd_builtin_cache_dropped", "Entries that lost nd_builtin_cache to fit into upload_size_limit_bytes"},
		{"decision_logs_encoding_failure", "Entries that were larger than upload_size_limit_bytes, or could not be encoded"},
		{"decision_logs_chunks_upload_failed", "Uploads of chunks that failed, and are tried again"},
		{"decision_logs_chunks_uploaded", "Chunks that were uploaded"},
		{"status_dropped_buffer_limit_exceeded", "Status updates that a newer one replaced before it was sent"},
	}
}

// Count reads the counter.
func (l Loss) Count(m metrics.Metrics) uint64 {
	count, _ := m.Counter(l.Name).Value().(uint64)
	return count
}
