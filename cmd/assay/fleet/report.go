package fleet

import (
	"time"

	"github.com/assay-dev/assay/cmd/assay/plain"
)

// Report is what the store says of a fleet.
type Report struct {
	// At is when the store was asked, and Since from when on decisions are counted.
	At    time.Time `json:"at"`
	Since time.Time `json:"since"`
	// Clusters are those of the replicas, by name.
	Clusters []Cluster `json:"clusters"`
	// Candidates are those that clusters try, where they are asked for.
	Candidates []Candidate `json:"candidates,omitzero"`
	// Replicas are all that wrote, by cluster and name, but for those that left: Stopped are those
	// that said so, and Gone those that were not heard of for too long.
	Replicas []Replica `json:"replicas"`
	Stopped  int       `json:"stopped"`
	Gone     int       `json:"gone"`
	// Revisions are those that run, by bundle.
	Revisions map[string][]Count `json:"revisions"`
	tally
	// Denied is what was denied, the most frequent first.
	Denied Denied `json:"denied"`
	// NotRead is what could not be read, and why, and More how much of it is not named.
	NotRead []NotRead `json:"not_read"`
	More    int       `json:"more_not_read,omitempty"`

	top int // how many names are printed
}

// Cluster is what the replicas of a cluster decided.
type Cluster struct {
	Name     string `json:"cluster"`
	Replicas int    `json:"replicas"`
	// Left are those that are not among them any more.
	Left int `json:"left,omitempty"`
	// Lost are the decisions that no log has and nobody counts, at least, since the replicas
	// started.
	Lost int64 `json:"lost"`
	tally
}

// Replica is one server.
type Replica struct {
	Cluster string `json:"cluster"`
	Name    string `json:"replica"`
	// Seen is when it was last heard of, nil where nothing says so.
	Seen    *time.Time `json:"seen,omitempty"`
	Bundles []Bundle   `json:"bundles"`
	// States are what is wrong with it: stale or failing, or unknown where its status is not there or cannot be read.
	States   []State  `json:"states"`
	Failures []string `json:"failures,omitempty"`
	// Losses are decisions that no log has, by cause, since it started.
	Losses map[string]int64 `json:"losses,omitempty"`
	tally
}

// Bundle is a bundle of a replica.
type Bundle struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
	// Activated is since when, and Reached when its server was last reached.
	Activated *time.Time `json:"activated,omitempty"`
	Reached   *time.Time `json:"reached,omitempty"`
	// Expires is when it denies, nil where it never does or nothing says so.
	Expires *time.Time `json:"expires,omitempty"`
	// Age is how long ago that was, in seconds, -1 where it never was.
	Age     int64   `json:"age_seconds"`
	States  []State `json:"states"`
	Failure string  `json:"failure,omitempty"`
}

// State is what is wrong.
type State string

// The states.
const (
	// Stale: nothing was heard for too long.
	Stale State = "stale"
	// Failing: the last request, activation or upload failed, or no revision is active.
	Failing State = "failing"
	// Behind: another replica runs a higher revision.
	Behind State = "behind"
	// Differs: most other replicas run another revision, and the two have no order.
	Differs State = "differs"
	// Expired: it is past its time, and everything is denied. Expiring: it soon will be.
	Expired  State = "expired"
	Expiring State = "expiring"
	// Unknown: there is no status that can be read.
	Unknown State = "unknown"
)

// clusters adds up the replicas, which are in the order of their clusters.
func clusters(replicas []Replica) []Cluster {
	out := []Cluster{}
	for _, r := range replicas {
		if len(out) == 0 || out[len(out)-1].Name != r.Cluster {
			out = append(out, Cluster{Name: r.Cluster})
		}
		c := &out[len(out)-1]
		c.Replicas++
		c.Lost += r.lost()
		c.add(r.tally)
	}
	return out
}

// lost is at least how many decisions of a replica no log has.
func (r Replica) lost() (sum int64) {
	for _, n := range r.Losses {
		sum += n
	}
	return sum
}

func (r *Report) lost() (sum int64) {
	for _, c := range r.Clusters {
		sum += c.Lost
	}
	return sum
}

// Denied is what was denied, by name.
type Denied struct {
	Policies   []Count `json:"policies"`
	Images     []Count `json:"images"`
	Namespaces []Count `json:"namespaces"`
}

// NotRead is an object that was not read, or not whole.
type NotRead struct {
	Object string `json:"object"`
	Why    string `json:"why"`
}

// maxNotRead bounds how many of them are named.
const maxNotRead = 100

func (r *Report) notRead(object, why string) {
	if len(r.NotRead) == maxNotRead {
		r.More++
		return
	}
	r.NotRead = append(r.NotRead, NotRead{object, brief(why)})
}

// fine says that there is somebody, and nothing wrong with anybody: what could not be read may be anything.
func (r *Report) fine() bool {
	fine := len(r.Replicas) > 0 && len(r.NotRead) == 0
	for _, c := range r.Clusters {
		fine = fine && c.Replicas > 0
	}
	for _, replica := range r.Replicas {
		fine = fine && len(replica.States) == 0
		for _, bundle := range replica.Bundles {
			fine = fine && len(bundle.States) == 0
		}
	}
	return fine
}

// shown is a text of others for a cell of a table.
func shown(text string) string {
	const most = 48
	if text == "" {
		return "(none)"
	}
	runes := []rune(plain.Line(text))
	if len(runes) > most {
		runes = append(runes[:most-3], '.', '.', '.')
	}
	return string(runes)
}
