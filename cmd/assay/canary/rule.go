package canary

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Verdict is what is to become of a candidate.
type Verdict string

// The verdicts. The zero value is none of them.
const (
	Promote Verdict = "promote"
	// Wait: nothing speaks against it yet, and too little for it.
	Wait Verdict = "wait"
	// Drop: whatever comes, the rule will not be satisfied any more.
	Drop Verdict = "drop"
)

// Rule says when a candidate may serve. The zero value wants one decision of known
// outcome, and none that is unknown or differs.
type Rule struct {
	// MinDecisions is how many of known outcome there are to be, at least one.
	MinDecisions int64
	// MinTime is for how long it is to have been tried.
	MinTime time.Duration
	// MaxUnknown and MaxDifferences bound the decisions whose outcome is unknown, or
	// differs.
	MaxUnknown     int64
	MaxDifferences int64
	// MaxDropped bounds the decisions that were not judged; negative is as many as were.
	MaxDropped int64
	// Accepted are the differences that are meant, by [Difference.Key]. Decisions of
	// unknown outcome cannot be meant.
	Accepted []string
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// The bounds of when a report was made, of the time of the rule: what was a good candidate
// yesterday is tried on today's decisions, and clocks of replicas differ a little.
const (
	longestAgo = time.Hour
	mostAhead  = 5 * time.Minute
)

// Verdict says what is to become of the candidate, and why.
func (r Report) Verdict(rule Rule) (Verdict, string) {
	want := max(rule.MinDecisions, 1)
	switch {
	case r.Since.IsZero() && r.Error != "":
		return Wait, "there is no candidate: " + r.Error
	case r.Name == "" && r.Since.IsZero():
		return Wait, "there is no candidate"
	case r.Error != "":
		return Drop, "the candidate does not compile: " + r.Error
	case r.Decisions[Unknown] > rule.MaxUnknown:
		return Drop, fmt.Sprintf("unknown: got %d decisions, want at most %d", r.Decisions[Unknown], rule.MaxUnknown)
	}
	if differing := r.Differing() - r.accepted(rule); differing > rule.MaxDifferences {
		return Drop, fmt.Sprintf("differences: got %d decisions that are not accepted, want at most %d", differing, rule.MaxDifferences)
	}
	if rule.MaxDropped >= 0 && r.Dropped > rule.MaxDropped {
		return Drop, fmt.Sprintf("not judged: got %d decisions, want at most %d", r.Dropped, rule.MaxDropped)
	}
	if judged := r.Judged(); judged < want {
		return Wait, fmt.Sprintf("decisions: got %d of known outcome, want at least %d", judged, want)
	}
	if tried := r.At.Sub(r.Since); tried < rule.MinTime {
		return Wait, fmt.Sprintf("time: got %s, want at least %s", tried.Round(time.Second), rule.MinTime)
	}
	if judged := r.Judged() + r.Decisions[Unknown]; r.Dropped > judged && rule.MaxDropped < 0 {
		return Wait, fmt.Sprintf("not judged: got %d decisions, want at most the %d that were", r.Dropped, judged)
	}
	if !rule.recent(r.At) {
		return Wait, fmt.Sprintf("at: got a report of %s, want one of the last hour", r.At.UTC().Format(time.RFC3339))
	}
	return Promote, fmt.Sprintf("%d decisions of known outcome in %s, %d unknown, %d different",
		r.Judged(), r.At.Sub(r.Since).Round(time.Second), r.Decisions[Unknown], r.Differing())
}

func (r Rule) recent(at time.Time) bool {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	ago := now().Sub(at)
	return ago <= longestAgo && ago >= -mostAhead
}

// accepted counts the decisions whose difference is meant.
func (r Report) accepted(rule Rule) (n int64) {
	for _, d := range r.Differences {
		if d.Outcome != Unknown && slices.Contains(rule.Accepted, d.Key()) {
			n += d.Count
		}
	}
	return n
}

// mostDecisions is more than any candidate sees, and few enough to be added up.
const mostDecisions = 1 << 50

// Together joins the reports of replicas, which have to be of the same candidate. What
// each has is added up; the shortest time counts, and ends when the oldest was made.
func Together(reports ...Report) (out Report, err error) {
	if len(reports) == 0 {
		return out, errors.New("got no report, want at least one")
	}
	out = reports[0]
	shortest := out.At.Sub(out.Since)
	out.Decisions = map[Outcome]int64{}
	out.Policies, out.Differences, out.Dropped, out.More = nil, nil, 0, 0
	for i, r := range reports {
		if err := beside(r, reports[:i]); err != nil {
			return Report{}, fmt.Errorf("report %d: %w", i+1, err)
		}
		for outcome, n := range r.Decisions {
			if n < 0 || n > mostDecisions || !slices.Contains(Outcomes(), outcome) {
				return Report{}, fmt.Errorf("report %d: decisions: got %d of outcome %.40q, want up to %d of those of %v", i+1, n, outcome, int64(mostDecisions), Outcomes())
			}
			out.Decisions[outcome] += n
		}
		sum := int64(0)
		for _, d := range r.Differences {
			if sum += d.Count; d.Count < 0 || sum < 0 {
				return Report{}, fmt.Errorf("report %d: differences: got %d of %q, want none that is less than nothing", i+1, d.Count, d.Key())
			}
		}
		if all := r.Differing() + r.Decisions[Unknown]; sum > all {
			return Report{}, fmt.Errorf("report %d: differences: got %d decisions, want at most the %d of its outcomes", i+1, sum, all)
		}
		if r.More < 0 || r.Dropped < 0 {
			return Report{}, fmt.Errorf("report %d: got %d more and %d dropped, want none that is less than nothing", i+1, r.More, r.Dropped)
		}
		out.Error, out.Source = cmp.Or(r.Error, out.Error), cmp.Or(r.Source, out.Source)
		shortest = min(shortest, r.At.Sub(r.Since))
		if r.At.Before(out.At) {
			out.At = r.At
		}
		out.Differences = append(out.Differences, r.Differences...)
		out.Dropped, out.More = out.Dropped+r.Dropped, out.More+r.More
	}
	if !out.Since.IsZero() { // all are of one candidate, or of none
		out.Since = out.At.Add(-shortest)
	}
	return out, nil
}

// beside refuses a report that does not belong to those before it: one of another
// candidate, of other policies beside it, or one of the same replica.
func beside(r Report, others []Report) error {
	for i, other := range others {
		if r.Since.IsZero() != other.Since.IsZero() {
			none := r
			if other.Since.IsZero() {
				none = other
			}
			return fmt.Errorf("one of them has no candidate, want it in all: %s", cmp.Or(none.Error, "it has not come yet"))
		}
		if r.Name != other.Name || r.Revision != other.Revision || r.Digest != other.Digest || r.Content != other.Content {
			return fmt.Errorf("got candidate %q, revision %q, digest %q, content %q, want those of the first: %q, %q, %q, %q",
				r.Name, r.Revision, r.Digest, r.Content, other.Name, other.Revision, other.Digest, other.Content)
		}
		// One that does not compile has no set, and says so.
		if r.Set != other.Set && r.Error == "" && other.Error == "" {
			return fmt.Errorf("set: got %q, want that of report %d, %q: replicas that serve other policies try something else", r.Set, i+1, other.Set)
		}
		// No two replicas get a candidate in the same nanosecond.
		if r.Since.Equal(other.Since) && !r.Since.IsZero() {
			return fmt.Errorf("since: got %s, which is that of report %d too, want one report of each replica", r.Since.Format(time.RFC3339Nano), i+1)
		}
	}
	return nil
}
