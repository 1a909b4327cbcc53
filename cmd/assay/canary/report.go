package canary

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what became of a candidate. Without one it is empty, but for At and Error where one
// cannot be had.
type Report struct {
	// Name, Revision, Digest and Content are those of the [Candidate].
	Name     string `json:"name"`
	Revision string `json:"revision"`
	Digest   string `json:"digest,omitempty"`
	Content  string `json:"content,omitempty"`
	// Set names the content of the policies, "" until they are compiled.
	Set string `json:"set"`
	// Since is when the candidate came, and At when this was reported.
	Since time.Time `json:"since"`
	At    time.Time `json:"at"`
	// Error says why the candidate does not compile or, where there is none, why that is so.
	Error string `json:"error,omitempty"`
	// Source says why the candidate may not be the latest: what is there now cannot be had, or is
	// refused.
	Source string `json:"source,omitempty"`
	// Decisions are those that it judged, by outcome.
	Decisions map[Outcome]int64 `json:"decisions"`
	// Dropped are those that it did not judge: too many were waiting.
	Dropped int64 `json:"dropped"`
	// Policies are the policies that differences are about, and how many of which
	// outcome. What is too many is [Others].
	Policies map[string]map[Outcome]int64 `json:"policies"`
	// Differences are what differs, the most frequent first, outcomes that are unknown
	// among them. More counts decisions that are of none of them, since there are too many.
	Differences []Difference `json:"differences"`
	More        int64        `json:"more"`
}

// Others is the name of the policies that are too many for a report.
const Others = "(others)"

// Difference is one kind of difference: decisions of one outcome about one repository of
// images in one kind of objects of one namespace.
type Difference struct {
	Outcome   Outcome   `json:"outcome"`
	Namespace string    `json:"namespace"`
	Kind      string    `json:"kind"`
	Image     string    `json:"image"`
	Count     int64     `json:"count"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	// Example is left out of a brief report.
	Example Example `json:"example,omitzero"`
}

// Key names the difference, for [Rule.Accepted].
func (d Difference) Key() string {
	return fmt.Sprintf("%s %s/%s %s", d.Outcome, d.Namespace, d.Kind, d.Image)
}

// Example is the first decision of a difference. What it repeats of environment variables
// and Secrets is masked, and it is cut where it is long.
type Example struct {
	// Name is that of the object, or what it will begin with.
	Name   string   `json:"name"`
	Images []string `json:"images"`
	Live   Said     `json:"live"`
	// Candidate is empty where the outcome is unknown, which Unknown tells the causes of.
	Candidate Said     `json:"candidate"`
	Unknown   []string `json:"unknown,omitempty"`
}

// Said is an answer.
type Said struct {
	Allowed  bool     `json:"allowed"`
	Reasons  []string `json:"reasons,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// MostBytes bounds a report that is read: the longest has [Difference]s of some 20
// kilobytes each.
const MostBytes = 16 << 20

// Read reads a report, strictly.
func Read(text []byte) (out Report, err error) {
	if len(text) > MostBytes {
		return out, fmt.Errorf("report: got %d bytes, want at most %d", len(text), MostBytes)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&out); err != nil {
		return Report{}, fmt.Errorf("report: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Report{}, errors.New("report: got more than one JSON value, want one")
	}
	return out, nil
}

// Judged is how many decisions there are of known outcome.
func (r Report) Judged() int64 {
	return r.Decisions[Same] + r.Differing()
}

// Differing is how many decisions the candidate answers differently.
func (r Report) Differing() int64 {
	return r.Decisions[NewlyDenied] + r.Decisions[NewlyAllowed] + r.Decisions[Messages]
}

// The bounds of a brief report: some 50 kilobytes.
const (
	briefDifferences = 32
	briefPolicies    = 32
)

// Brief is the report for places where it is kept, and read by more than those who may read
// examples: it has none. Of differences and policies it has those with the most decisions, and
// counts the others.
func (r Report) Brief() Report {
	out := r
	out.Name, out.Revision, out.Digest = cut(r.Name, longestName), cut(r.Revision, longestName), cut(r.Digest, longestName)
	out.Content, out.Set = cut(r.Content, longestName), cut(r.Set, longestName)
	out.Error, out.Source = cut(r.Error, longestText), cut(r.Source, longestText)
	out.Decisions, out.Differences = maps.Clone(r.Decisions), make([]Difference, 0, min(len(r.Differences), briefDifferences))
	for _, d := range r.Differences {
		if len(out.Differences) == briefDifferences {
			out.More += d.Count
			continue
		}
		out.Differences = append(out.Differences, Difference{
			Outcome: d.Outcome, Namespace: cut(d.Namespace, longestName), Kind: cut(d.Kind, longestName), Image: cut(d.Image, longestName),
			Count: d.Count, First: d.First, Last: d.Last,
		})
	}
	names := slices.SortedFunc(maps.Keys(r.Policies), func(a, b string) int {
		return cmp.Or(cmp.Compare(sum(r.Policies[b]), sum(r.Policies[a])), strings.Compare(a, b))
	})
	out.Policies = map[string]map[Outcome]int64{}
	for i, name := range names {
		as := cut(name, longestName)
		if i >= briefPolicies {
			as = Others
		}
		if out.Policies[as] == nil {
			out.Policies[as] = map[Outcome]int64{}
		}
		for _, outcome := range Outcomes() {
			if n := r.Policies[name][outcome]; n > 0 {
				out.Policies[as][outcome] += n
			}
		}
	}
	return out
}

func sum(counts map[Outcome]int64) (all int64) {
	for _, n := range counts {
		all += n
	}
	return all
}

// report is the state of a trial.
func (t *trial) report(now time.Time) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := Report{
		Name: t.Name, Revision: t.Revision, Digest: t.Digest, Content: t.Content, Set: t.set, Since: t.since, At: now, Error: t.failure,
		Decisions: map[Outcome]int64{}, Dropped: t.dropped, Policies: map[string]map[Outcome]int64{},
		Differences: []Difference{}, More: t.more,
	}
	for _, outcome := range Outcomes() {
		out.Decisions[outcome] = t.outcomes[outcome]
	}
	for name, counts := range t.policies {
		out.Policies[name] = map[Outcome]int64{}
		for outcome, n := range counts {
			out.Policies[name][outcome] = n
		}
	}
	for _, d := range t.differences {
		out.Differences = append(out.Differences, *d)
	}
	slices.SortFunc(out.Differences, func(a, b Difference) int {
		if a.Count != b.Count {
			return int(min(max(b.Count-a.Count, -1), 1))
		}
		return strings.Compare(a.Key(), b.Key())
	})
	return out
}
