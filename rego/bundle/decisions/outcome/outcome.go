// Package outcome counts what becomes of entries of the decision log: each that is taken
// at a place has exactly one result there, once it has one.
package outcome

// Place is where an entry is on its way.
type Place string

// The places. What becomes of entries in the buffer of OPA's upload, OPA counts.
const (
	// Queue is what is between a decision and OPA's plugin.
	Queue Place = "queue"
	// File is OPA's plugin that writes files.
	File Place = "file_logger"
	// Store is the plugin that writes to object stores.
	Store Place = "assay_store"
)

// Result is what became of an entry.
type Result string

// The results.
const (
	// Delivered: it was handed to what comes next, or is written.
	Delivered Result = "delivered"
	// Dropped: there was no room, or no time at the end.
	Dropped Result = "dropped"
	// Failed: it could not be made or written.
	Failed Result = "failed"
	// Masking: the policy that masks or drops is not there or could not be evaluated, and
	// nothing is shown that may be secret.
	Masking Result = "masking"
	// LeftOut: the policy drop_decision says so.
	LeftOut Result = "left_out"
	// Unasked: nobody configured decision logs.
	Unasked Result = "unasked"
)

// Observe is told of entries. It is called from many goroutines, and must not wait.
type Observe func(place Place, result Result, entries int)

// Loss is a result that is a loss, at a place that may have it.
type Loss struct {
	Place  Place
	Result Result
}

// Losses are those that there are: a counter has to be there at zero for its first one to be
// seen as more than before.
func Losses() (out []Loss) {
	for _, place := range []Place{Queue, File, Store} {
		for _, result := range []Result{Dropped, Failed, Masking} {
			out = append(out, Loss{place, result})
		}
	}
	return out
}
