package recording

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/raw"
)

// Policies are what capsules are judged by, if not by their own.
type Policies struct {
	Source rego.Source
	// Roots are TrustRoots that came along. They take the place of those in a capsule
	// that have their names; its others, and its default root, stay.
	Roots trust.Roots
}

// Judge makes decisions from capsules, one at a time. It asks nobody: what a capsule
// does not hold is refused. Sets that were compiled for one capsule serve the next.
type Judge struct {
	cue  *cue.Evaluator
	sets map[[sha256.Size]byte]*rego.Set
	// Of the decision under way.
	open       func(rego.Workload) rego.Answers
	namespaces *rego.Namespaces
}

// NewJudge makes a judge.
func NewJudge() (*Judge, error) {
	evaluator, err := cue.New(cue.Options{})
	return &Judge{cue: evaluator, sets: map[[sha256.Size]byte]*rego.Set{}}, err
}

// Judged is what a decision came to that was made from a capsule.
type Judged struct {
	Decision rego.Decision
	// Err is why there is no decision.
	Err error
	// PolicySet is the hash of the policies.
	PolicySet string
	// NotRecorded are the questions that the decision asks and the capsule has no
	// answer to. With any, it is no decision about what was recorded.
	NotRecorded []string
}

// Outcome is the judgment in the form that a capsule has.
func (j Judged) Outcome() (capsule.Outcome, error) { return outcomeOf(j.Decision, j.Err) }

// Judge makes the decision of a capsule again; others, if not nil, are the policies to
// judge by. An error is that the capsule, or the policies, cannot be used.
func (j *Judge) Judge(ctx context.Context, c *capsule.Capsule, others *Policies) (out Judged, err error) {
	defer func() {
		if cause := recover(); cause != nil { // over what somebody wrote into a capsule
			err = fmt.Errorf("judging panicked: %.200v", cause)
		}
	}()
	roots, err := rootsOf(c)
	if err != nil {
		return out, err
	}
	var source rego.Source
	if others == nil {
		source, err = sourceOf(c.Policies)
	} else {
		source = others.Source
		roots = over(roots, others.Roots)
	}
	if err != nil {
		return out, err
	}
	if err := strictly(c.Settings.Config, &source.Config); err != nil {
		return out, fmt.Errorf("settings: config: %w", err)
	}
	if err := j.place(c, &source); err != nil {
		return out, err
	}
	off := apart.Reaching()
	if others == nil {
		off = raw.Off() // whoever wrote the capsule wrote what it allows
	}
	source, cut := closed(source, off)
	set, err := j.compile(ctx, source)
	if err != nil {
		return out, err
	}
	facts, session, err := j.facts(c, roots, others == nil)
	if err != nil {
		return out, err
	}
	j.open = func(about rego.Workload) rego.Answers { return facts.Open(session, tenant.Workload(about)) }
	out, _, err = decide(ctx, set, c.Settings.Call, c.Review)
	out.NotRecorded = append(out.NotRecorded, cut...)
	return out, err
}

// place lets a source have the namespaces of a capsule, if it has some and the source has none.
func (j *Judge) place(c *capsule.Capsule, source *rego.Source) error {
	if _, own := source.Data["assay"]; own || len(c.Settings.Namespaces) == 0 {
		return nil
	}
	var read rego.Read
	if err := strictly(c.Settings.Namespaces, &read); err != nil {
		return fmt.Errorf("settings: namespaces: %w", err)
	}
	j.namespaces = read.Namespaces()
	source.Namespaces = func() *rego.Namespaces { return j.namespaces }
	return nil
}

// closed turns off what policies in Rego could reach the network, the process or the disk
// by: what it answered is in no capsule. What could keep the process busy for ever, or
// end it, is off in the policies of a capsule as well. The policies that call it fail, and
// the decision is none about what was recorded.
func closed(source rego.Source, off []string) (out rego.Source, cut []string) {
	var kept []string
	for _, name := range source.Allow.Builtins {
		if !slices.Contains(off, name) {
			kept = append(kept, name)
			continue
		}
		cut = append(cut, calling(name, source.Modules)...)
		for _, object := range source.Objects {
			cut = append(cut, calling(name, object.Modules)...)
		}
	}
	source.Allow = raw.Allow{Builtins: kept}
	return source, cut
}

func calling(name string, modules map[string]string) (cut []string) {
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		if strings.Contains(modules[path], name) {
			cut = append(cut, name+" of "+path+", which no capsule turns on")
		}
	}
	return cut
}

func decide(ctx context.Context, set *rego.Set, how string, review []byte) (out Judged, made rego.Made, err error) {
	out.PolicySet = set.Hash()
	engine := rego.NewEngine(set, nil)
	engine.Record(func(m rego.Made) { made = m })
	call := engine.Decide
	switch how {
	case "validate":
	case "mutate":
		call = engine.Mutate
	default:
		return out, made, fmt.Errorf("settings: call: got %.100q, want validate or mutate", how)
	}
	out.Decision, out.Err = call(ctx, review)
	if ctx.Err() != nil {
		return out, made, context.Cause(ctx)
	}
	session, ok := made.Answers.(*builtins.Session)
	if !ok {
		return out, made, fmt.Errorf("review: %w", out.Err) // it was not judged at all
	}
	out.NotRecorded = append(session.Tape().NotRecorded(), made.Missing...)
	return out, made, nil
}

// compile makes a set, or takes the one of an equal source.
func (j *Judge) compile(ctx context.Context, source rego.Source) (*rego.Set, error) {
	documents, err := documentsOf(source)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal([]any{documents, source.Config, source.Namespaces != nil})
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(text)
	if set, ok := j.sets[key]; ok {
		return set, nil
	}
	source.Open = func(about rego.Workload) rego.Answers { return j.open(about) }
	set, err := rego.Compile(ctx, source)
	if err != nil {
		return nil, err
	}
	const most = 16 // sets at once: capsules of one day have few
	if len(j.sets) >= most {
		clear(j.sets)
	}
	j.sets[key] = set
	return set, nil
}

// facts are those of a capsule: its exchanges, its time, its trust. What had no time
// then has none when the same policies ask again. To others it is not recorded.
func (j *Judge) facts(c *capsule.Capsule, roots trust.Roots, again bool) (*builtins.Facts, oci.Credentials, error) {
	session := exchange.SessionAlias(c.Records)
	replay, err := exchange.NewReplay(c.Records, func(digest string) ([]byte, error) { return blob(c, digest) })
	if err != nil {
		return nil, session, err
	}
	options := builtins.Options{
		AnchoredIdentities: c.Settings.AnchoredIdentities, CUE: j.cue, Tenants: tenant.Named(replay.PullSecrets),
		Now: func() time.Time { return c.Settings.Time }, Record: true,
	}
	if again {
		options.Given = replay.Given
	}
	facts, err := builtins.New(replay, func() trust.Roots { return roots }, options)
	return facts, session, err
}

func blob(c *capsule.Capsule, digest string) ([]byte, error) {
	content, ok := c.Blobs[digest]
	if !ok {
		return nil, fmt.Errorf("blob %.100q: the capsule has none of that digest", digest)
	}
	return content, nil
}

func rootsOf(c *capsule.Capsule) (trust.Roots, error) {
	out := trust.Roots{Named: map[string]*trust.Root{}, Causes: map[string]string{}}
	var errs []error
	for name, recorded := range c.Trust.Roots {
		if recorded.Content == "" {
			out.Causes[name] = recorded.Cause
			continue
		}
		content, err := blob(c, recorded.Content)
		if err == nil {
			out.Named[name], err = trust.Read(trust.Form(recorded.Form), content)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("trust root %q: %w", name, err))
		}
	}
	out.Default, out.DefaultCause = out.Named[""], out.Causes[""]
	delete(out.Named, "")
	delete(out.Causes, "")
	return out, errors.Join(errs...)
}

// over puts roots in the place of those that have their names. Neither changes.
func over(roots, others trust.Roots) trust.Roots {
	if len(others.Named) == 0 && len(others.Causes) == 0 {
		return roots
	}
	roots.Named, roots.Causes = copied(roots.Named), copied(roots.Causes)
	maps.Copy(roots.Named, others.Named)
	for name := range others.Named {
		delete(roots.Causes, name)
	}
	for name, cause := range others.Causes {
		if roots.Named[name] == nil {
			roots.Causes[name] = cause
		}
	}
	return roots
}

func copied[V any](of map[string]V) map[string]V {
	out := make(map[string]V, len(of))
	maps.Copy(out, of)
	return out
}

// Same reports whether two outcomes are the same, byte for byte but for white space.
func Same(a, b capsule.Outcome) bool {
	var first, second bytes.Buffer
	if json.Compact(&first, a.Decision) != nil || json.Compact(&second, b.Decision) != nil {
		return a.Error == b.Error && len(a.Decision) == 0 && len(b.Decision) == 0
	}
	return a.Error == b.Error && bytes.Equal(first.Bytes(), second.Bytes())
}
