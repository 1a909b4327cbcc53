package fleet

import (
	"context"
	"strings"
	"time"

	"github.com/assay-dev/assay/rego/bundle/stores"
)

const (
	// scanPage is how many names are asked for at once.
	scanPage = 10_000
	// maxScanned bounds the names that are looked at, and maxReplicas the replicas among them.
	maxScanned  = 2_000_000
	maxReplicas = 20_000
)

// place is where the objects of a replica are: CLUSTER/REPLICA.
type place struct{ cluster, replica string }

func (p place) String() string { return p.cluster + "/" + p.replica }

// held is what the store has of a replica.
type held struct {
	place
	status *stores.Entry
	chunks []stores.Entry
}

// scan finds the replicas of a store, of one cluster where it is named, with their chunks since a time. stopped says
// that there is more than is looked at.
func scan(ctx context.Context, store stores.Store, cluster string, since time.Time) (all []*held, stopped bool, err error) {
	prefix := ""
	if cluster != "" {
		prefix = cluster + "/"
	}
	byPlace := map[place]*held{}
	seen := 0
	for after := ""; ; {
		page, err := store.List(ctx, prefix, after, scanPage)
		if err != nil {
			return nil, false, err
		}
		for _, entry := range page {
			where, rest, ok := placeOf(entry.Name)
			if !ok {
				continue
			}
			one := byPlace[where]
			if one == nil {
				if len(all) == maxReplicas {
					return all, true, nil
				}
				one = &held{place: where}
				byPlace[where] = one
				all = append(all, one)
			}
			one.take(entry, rest, since)
		}
		if seen += len(page); len(page) < scanPage {
			return all, false, nil
		}
		if seen > maxScanned {
			return all, true, nil
		}
		after = beyond(page[len(page)-1].Name, since)
	}
}

// placeOf splits a name into whose it is and what it is.
func placeOf(name string) (where place, rest string, ok bool) {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) < 3 {
		return place{}, "", false
	}
	return place{parts[0], parts[1]}, parts[2], true
}

// take keeps what is of interest.
func (h *held) take(entry stores.Entry, rest string, since time.Time) {
	switch {
	case rest == "status.json":
		h.status = &entry
	case strings.HasPrefix(rest, "decisions/") && strings.HasSuffix(rest, ".json.gz") && rest >= firstChunk(since):
		h.chunks = append(h.chunks, entry)
	}
}

// firstChunk is a name before those of the chunks that were closed since a time: they begin with when.
func firstChunk(since time.Time) string {
	return "decisions/" + since.UTC().Format("2006/01/02/T150405Z")
}

// beyond is from where on a listing goes on: past the chunks of a replica that are too old.
func beyond(last string, since time.Time) string {
	where, rest, ok := placeOf(last)
	if first := firstChunk(since); ok && strings.HasPrefix(rest, "decisions/") && rest < first {
		return where.String() + "/" + first
	}
	return last
}
