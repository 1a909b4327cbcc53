// Package standing is what a replica says of itself beside what OPA's status says of it: until
// when its bundles hold, when their sources last answered where it is not OPA that asks them,
// what became of the entries of its decision log, and how a candidate does.
//
// It travels in the metrics of OPA's status, metrics.PROVIDER.assay, which is the one place that
// OPA's plugin carries to each of its sinks, and that others who read a status pass over.
package standing

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// Key is its name among the metrics.
const Key = "assay"

// Standing is how a replica is.
type Standing struct {
	// Bundles are those that are active or fetched, by name.
	Bundles map[string]Bundle `json:"bundles,omitempty"`
	// Entries counts the entries of decision logs since the replica started, by place and
	// result as package outcome has them.
	Entries map[outcome.Place]map[outcome.Result]int64 `json:"entries,omitempty"`
	// Stopped is when the replica ended, in its last status. Zero is that it runs.
	Stopped time.Time `json:"stopped,omitzero"`
	// Canary is the report of the candidate, without examples. Nil is that there is none.
	Canary *canary.Report `json:"canary,omitempty"`
}

// Bundle is what OPA does not know of a bundle.
type Bundle struct {
	// Expires is when the active one denies, zero where it never does.
	Expires time.Time `json:"expires,omitzero"`
	// Source is nil where OPA itself asks for it: its status has it then.
	Source *Source `json:"source,omitempty"`
}

// Source is where a bundle is fetched from in OPA's place, which believes that it reached it.
type Source struct {
	// Confirmed is when the source last answered, zero for never.
	Confirmed time.Time `json:"confirmed,omitzero"`
	// Error is why its latest answer is not active.
	Error string `json:"error,omitempty"`
}

// The bounds of what is believed to be one.
const (
	// MostBytes is some times what the longest has: a report of a candidate.
	MostBytes = 1 << 20
	// MostText bounds a text.
	MostText    = 400
	mostBundles = 1000
	mostKinds   = 32
	// mostCounted is what no counter reaches: sums of many thousands of them stay sums.
	mostCounted = 1 << 40
)

// Read reads one, of which others may have written anything. Members that are not known are of a
// later program, and left out.
func Read(text []byte) (*Standing, error) {
	if len(text) > MostBytes {
		return nil, fmt.Errorf("%s: got %d bytes, want at most %d", Key, len(text), MostBytes)
	}
	var out Standing
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", Key, err)
	}
	if len(out.Bundles) > mostBundles {
		return nil, fmt.Errorf("%s.bundles: got %d, want at most %d", Key, len(out.Bundles), mostBundles)
	}
	for _, b := range out.Bundles {
		if b.Source != nil {
			b.Source.Error = Brief(b.Source.Error)
		}
	}
	kinds := 0
	for place, results := range out.Entries {
		kinds += len(results)
		for result, n := range results {
			if n < 0 || n > mostCounted {
				return nil, fmt.Errorf("%s.entries: got %d of %.40q, %.40q, want from 0 to %d", Key, n, place, result, int64(mostCounted))
			}
		}
	}
	if kinds > mostKinds {
		return nil, fmt.Errorf("%s.entries: got %d counters, want at most %d", Key, kinds, mostKinds)
	}
	if out.Canary != nil {
		if err := countable(*out.Canary); err != nil {
			return nil, fmt.Errorf("%s.canary: %w", Key, err)
		}
		brief := out.Canary.Brief()
		out.Canary = &brief
	}
	return &out, nil
}

// countable refuses a report whose numbers cannot be added up.
func countable(r canary.Report) error {
	if r.Since.IsZero() {
		return errors.New("since: got none, want when the candidate came")
	}
	counts := []int64{r.Dropped, r.More}
	for outcome, n := range r.Decisions {
		if !slices.Contains(canary.Outcomes(), outcome) {
			return fmt.Errorf("decisions: got outcome %.40q, want one of %v", outcome, canary.Outcomes())
		}
		counts = append(counts, n)
	}
	for _, d := range r.Differences {
		counts = append(counts, d.Count)
	}
	for _, n := range counts {
		if n < 0 || n > mostCounted {
			return fmt.Errorf("got a count of %d, want from 0 to %d", n, int64(mostCounted))
		}
	}
	return nil
}

// Lost are the entries that no log has, by where and how they were lost.
func (s *Standing) Lost() map[string]int64 {
	out := map[string]int64{}
	for place, results := range s.Entries {
		for result, n := range results {
			switch result {
			case outcome.Delivered, outcome.LeftOut, outcome.Unasked:
			default: // what a later program calls otherwise is not delivered either
				if n > 0 {
					out[Brief(string(place)+" "+string(result))] = n
				}
			}
		}
	}
	return out
}

// Brief is the beginning of a text, as valid UTF-8, and holds nothing of what it is cut from.
func Brief(text string) string {
	if len(text) > MostText {
		return strings.ToValidUTF8(text[:MostText], "") + "..."
	}
	return strings.Clone(text)
}
