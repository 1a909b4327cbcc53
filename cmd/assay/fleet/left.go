package fleet

import (
	"slices"
	"strings"
	"time"
)

// left says that a replica is no longer one of the fleet: it said that it stopped, or was not
// heard of for so long that it is taken for gone. Each Pod of a Deployment has another name, and
// what it wrote stays. One that decided after it stopped runs, whatever its status says.
func (k known) left(seen *time.Time, q question) (stopped, gone bool) {
	if k.update != nil && k.update.standing != nil {
		at := k.update.standing.Stopped
		const draining = time.Minute
		stopped = !at.IsZero() && !k.tally.newest.After(at.Add(draining))
	}
	switch {
	case stopped || q.gone <= 0:
	case seen != nil:
		gone = q.now.Sub(*seen) > q.gone
	default: // all that is there are decisions of before what was asked for
		gone = k.status == nil && len(k.chunks) == 0 && q.now.Sub(q.since) >= q.gone
	}
	return stopped, gone
}

// leave adds to clusters what those who left decided, and lost in the time that was asked for.
func leave(clusters []Cluster, left []Replica, since time.Time) []Cluster {
	for _, r := range left {
		i := slices.IndexFunc(clusters, func(c Cluster) bool { return c.Name == r.Cluster })
		if i < 0 {
			i, clusters = len(clusters), append(clusters, Cluster{Name: r.Cluster})
		}
		c := &clusters[i]
		c.Left++
		c.add(r.tally)
		if r.Seen != nil && r.Seen.After(since) {
			c.Lost += r.lost()
		}
	}
	slices.SortFunc(clusters, func(a, b Cluster) int { return strings.Compare(a.Name, b.Name) })
	return clusters
}
