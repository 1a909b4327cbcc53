package trusted

import (
	"context"
	"math/rand/v2"
	"time"
)

// soonest is how soon a fetch that failed is tried again the first time.
const soonest = time.Second

// Polling is how often a bundle is asked for, as the polling of OPA's configuration has it:
// any time between the least and the longest delay, so that a thousand clusters do not ask
// at once.
type Polling struct{ Min, Max time.Duration }

// Poll fetches until ctx ends, and tells of each fetch. An error of tell is a failure like one of a fetch. The first is at once. After a
// failure it waits a second, and twice as long after each further one, up to the longest
// delay, but no longer than until a trust root serves that did not.
func (f *Fetcher) Poll(ctx context.Context, polling Polling, tell func(Result, error) error) {
	failures := 0
	for ctx.Err() == nil {
		rooted := f.options.Policy.rooted.next() // also by one that comes while it is fetched
		result, err := f.Fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		if err := tell(result, err); err != nil {
			failures++
		} else {
			failures = 0
		}
		timer := time.NewTimer(polling.delay(failures))
		select {
		case <-timer.C:
		case <-rooted:
			failures = 0
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// delay is how long to wait after so many failures in a row. No two wait the same.
func (p Polling) delay(failures int) time.Duration {
	least, longest := p.Min, max(p.Min, p.Max)
	if failures > 0 {
		backoff := soonest << min(failures-1, 20)
		longest = min(longest, backoff)
		least = longest / 2
	}
	if longest <= least {
		return max(least, time.Millisecond)
	}
	return least + rand.N(longest-least)
}
