package fleet

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxNames bounds how many names are counted of each kind: whoever creates objects chooses them.
const maxNames = 10_000

// others is the name of what is too much to be named.
const others = "(others)"

// none is the name of the policy where no policy failed: none matched, or the object could not be judged.
const none = "(no policy)"

// tally counts decisions.
type tally struct {
	// Decisions are the reviews that were answered, Denials those that were denied, and Undecided those that were
	// denied since there was no decision.
	Decisions int64 `json:"decisions"`
	Denials   int64 `json:"denials"`
	Undecided int64 `json:"undecided"`
	// Others are entries that are no decision of ours, such as those of the Data API.
	Others int64 `json:"others,omitempty"`
	// Unreadable are entries that are not what OPA writes.
	Unreadable int64 `json:"unreadable,omitempty"`

	newest                       time.Time
	policies, images, namespaces map[string]int64
}

func newTally() *tally {
	return &tally{policies: map[string]int64{}, images: map[string]int64{}, namespaces: map[string]int64{}}
}

// denial counts by whom and about what an object was denied, each name once for the object.
func (t *tally) denial(e event) {
	policies, images := map[string]bool{}, map[string]bool{}
	for _, image := range e.Result.Images {
		failed := len(image.Policies) == 0
		for _, p := range image.Policies {
			if p.failed() {
				failed, policies[p.Name] = true, true
			}
		}
		if failed {
			images[repository(image.Image)] = true
		}
	}
	for _, p := range e.Result.Rego {
		if p.failed() {
			policies[p.Name] = true
		}
	}
	if len(policies) == 0 {
		policies[none] = true
	}
	for name := range policies {
		count(t.policies, name, 1)
	}
	for name := range images {
		count(t.images, name, 1)
	}
	if namespace := e.Input.Request.Namespace; namespace != "" {
		count(t.namespaces, namespace, 1)
	}
}

// repository is an image without its tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if at := strings.LastIndexByte(image, ':'); at > strings.LastIndexByte(image, '/') {
		image = image[:at]
	}
	return image
}

// count counts a name, which is bounded, among as many as there may be.
func count(counts map[string]int64, name string, n int64) {
	if name = brief(name); counts[name] == 0 && len(counts) >= maxNames {
		name = others
	}
	counts[name] += n
}

// add adds the numbers of another, and not its names.
func (t *tally) add(other tally) {
	t.Decisions += other.Decisions
	t.Denials += other.Denials
	t.Undecided += other.Undecided
	t.Others += other.Others
	t.Unreadable += other.Unreadable
	t.newest = later(t.newest, other.newest)
}

// join adds what another counted.
func (t *tally) join(other *tally) {
	t.add(*other)
	for _, pair := range []struct{ to, from map[string]int64 }{
		{t.policies, other.policies}, {t.images, other.images}, {t.namespaces, other.namespaces},
	} {
		for _, name := range slices.Sorted(maps.Keys(pair.from)) {
			count(pair.to, name, pair.from[name])
		}
	}
}

// Count is how often a name was counted.
type Count struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// top are the names that were counted most often.
func top(counts map[string]int64, most int) []Count {
	out := []Count{}
	for name, n := range counts {
		out = append(out, Count{name, n})
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
	})
	return out[:min(len(out), most)]
}
