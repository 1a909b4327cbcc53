package canary

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
)

// The bounds of a report. Who creates objects chooses what differences are called, and
// how many there are.
const (
	mostDifferences = 256
	mostPolicies    = 256
	mostTexts       = 8
	longestText     = 1 << 10
	longestName     = 253 // of an object in Kubernetes
)

// trial is a candidate with what became of it.
type trial struct {
	Candidate
	options Options
	since   time.Time
	// Of the worker alone.
	compiled bool
	shadow   *recording.Shadow // nil where it does not compile

	mu          sync.Mutex
	before      *trial // of the same bundle, nil once this one is compiled
	set         string
	failure     string
	outcomes    map[Outcome]int64
	dropped     int64
	policies    map[string]map[Outcome]int64
	differences map[kind]*Difference
	more        int64
}

// kind is what differences have in common that are counted together.
type kind struct {
	outcome                Outcome
	namespace, kind, image string
}

// newTrial begins with nothing. before is the trial that it takes the place of.
func newTrial(candidate Candidate, options Options, before *trial) *trial {
	t := &trial{
		Candidate: candidate, options: options, since: options.Now(),
		outcomes: map[Outcome]int64{}, policies: map[string]map[Outcome]int64{}, differences: map[kind]*Difference{},
	}
	if before == nil || t.bundle() != before.bundle() {
		return t
	}
	before.mu.Lock()
	defer before.mu.Unlock()
	if t.before = before; before.before != nil { // it is not compiled itself
		t.before = before.before
	}
	return t
}

// bundle names the bundle of a trial.
func (t *trial) bundle() [4]string { return [...]string{t.Name, t.Revision, t.Digest, t.Content} }

// follows goes on where the trial before ended that had the same policies and the same
// trust. The caller holds the lock.
func (t *trial) follows() {
	before := t.before
	if t.before = nil; before == nil {
		return
	}
	before.mu.Lock()
	defer before.mu.Unlock()
	roots, others := t.Policies.Roots, before.Policies.Roots
	if before.set != t.set || roots.Generation() != others.Generation() || !maps.Equal(roots.Causes, others.Causes) {
		return
	}
	t.since, t.dropped, t.more = before.since, before.dropped, before.more
	t.outcomes, t.policies, t.differences = before.outcomes, before.policies, before.differences
	before.outcomes, before.policies, before.differences = map[Outcome]int64{}, map[string]map[Outcome]int64{}, map[kind]*Difference{}
}

// compile makes a set of the candidate, or notes why there is none.
func (t *trial) compile(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	beside := recording.Beside{AnchoredIdentities: t.options.AnchoredIdentities, Fetch: t.options.Fetch}
	shadow, err := recording.NewShadow(ctx, t.Policies, beside)
	t.compiled = true
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.before = nil
		t.failure = cut(err.Error(), longestText)
		t.options.Log.Error("canary does not compile", "candidate", t.Name, "revision", t.Revision, "error", t.failure)
		return
	}
	t.shadow, t.set = shadow, shadow.Hash()
	t.follows()
}

// judge has the candidate judge a decision.
func (t *trial) judge(next waiting, deadline time.Duration) (recording.Judged, time.Duration, error) {
	if t.shadow == nil {
		return recording.Judged{}, 0, errBroken{t.failure}
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return t.shadow.Judge(ctx, next.made, next.namespaces)
}

// errBroken is that the candidate does not compile.
type errBroken struct{ cause string }

func (e errBroken) Error() string { return "the candidate does not compile: " + e.cause }

func (t *trial) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dropped++
}

// panicked counts a decision over which the candidate panicked: what it would have said is
// not known.
func (t *trial) panicked() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcomes[Unknown]++
	t.more++
}

// count counts what became of a decision.
func (t *trial) count(made rego.Made, judged recording.Judged, err error) Outcome {
	outcome, unknown := compare(made, judged, err)
	if outcome == Same {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.outcomes[Same]++
		return Same
	}
	about := subjectOf(made.Review)
	key := kind{outcome, about.namespace, about.kind, repositoryOf(differing(made.Decision, judged.Decision))}
	t.mu.Lock()
	known := t.differences[key]
	t.mu.Unlock()
	var example Example
	if known == nil { // the worker alone adds to them
		example = exampleOf(about.name, made, judged, unknown)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcomes[outcome]++
	if outcome != Unknown {
		for _, name := range blamed(outcome, made.Decision, judged.Decision) {
			t.blame(name, outcome)
		}
	}
	if known == nil {
		if len(t.differences) >= mostDifferences {
			t.more++
			return outcome
		}
		known = &Difference{
			Outcome: outcome, Namespace: key.namespace, Kind: key.kind, Image: key.image, First: t.options.Now(), Example: example,
		}
		t.differences[key] = known
	}
	known.Count++
	known.Last = t.options.Now()
	t.tell(*known)
	return outcome
}

// tell has the log tell of a difference: of its first decision, its tenth, its hundredth.
func (t *trial) tell(d Difference) {
	n := d.Count
	for n%10 == 0 {
		n /= 10
	}
	if n != 1 {
		return
	}
	t.options.Log.Warn("canary", "candidate", t.Name, "revision", t.Revision, "outcome", string(d.Outcome), "count", d.Count,
		"namespace", d.Namespace, "kind", d.Kind, "image", d.Image, "object", d.Example.Name, "unknown", d.Example.Unknown)
}

// blame counts a policy that a difference is about.
func (t *trial) blame(name string, outcome Outcome) {
	counts := t.policies[name]
	if counts == nil {
		if len(t.policies) >= mostPolicies {
			name, counts = Others, t.policies[Others]
		}
		if counts == nil {
			counts = map[Outcome]int64{}
			t.policies[name] = counts
		}
	}
	counts[outcome]++
}

// subject is what a review is about.
type subject struct{ namespace, kind, name string }

func subjectOf(review []byte) subject {
	var read struct {
		Request struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
			Kind      struct {
				Kind string `json:"kind"`
			} `json:"kind"`
			Object struct {
				Metadata struct {
					Name         string `json:"name"`
					GenerateName string `json:"generateName"`
				} `json:"metadata"`
			} `json:"object"`
		} `json:"request"`
	}
	_ = json.Unmarshal(review, &read) // whatever could be read
	r := read.Request
	return subject{
		cut(r.Namespace, longestName), cut(r.Kind.Kind, longestName),
		cut(cmp.Or(r.Name, r.Object.Metadata.Name, r.Object.Metadata.GenerateName), longestName),
	}
}

// repositoryOf is the repository of an image, or what stands in its place.
func repositoryOf(image string) string {
	ref, err := oci.Parse(image)
	if err != nil {
		return cut(image, longestName)
	}
	return ref.Registry + "/" + ref.Repository
}

// exampleOf is an example, without what is masked in capsules as well.
func exampleOf(name string, made rego.Made, judged recording.Judged, unknown []string) Example {
	mask := capsule.NewMask()
	shown, err := mask.Review(made.Review)
	texts := func(texts []string) (out []string) {
		for _, text := range texts[:min(len(texts), mostTexts)] {
			if err != nil {
				text = "(not shown: the review cannot be masked)"
			}
			out = append(out, cut(mask.Repeated(text, shown), longestText))
		}
		return out
	}
	said := func(d rego.Decision) Said { return Said{d.Allowed, texts(d.Reasons), texts(d.Warnings)} }
	out := Example{Name: name, Images: []string{}, Live: said(made.Decision), Unknown: texts(unknown)}
	if len(unknown) == 0 {
		out.Candidate = said(judged.Decision)
	}
	for _, image := range made.Decision.Images[:min(len(made.Decision.Images), mostTexts)] {
		out.Images = append(out.Images, cut(image.Image, longestText))
	}
	return out
}

func cut(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
