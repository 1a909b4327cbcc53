package rego

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/raw"
)

// Raw are the policies in plain Rego, by name.
func (s *Set) Raw() []*raw.Policy { return s.raw.All() }

// rawIndex is what the library knows of the policies in plain Rego: their names, what
// their authors say of them, and the mode where the text alone tells it.
func rawIndex(policies *raw.Policies) map[string]any {
	out := map[string]any{}
	for _, p := range policies.All() {
		entry := map[string]any{"mode": "enforce"}
		if p.Warns() {
			entry["mode"] = "warn"
		}
		for name, text := range map[string]string{
			"title": p.Metadata.Title, "description": p.Metadata.Description,
			"severity": p.Metadata.Severity, "docs": p.Metadata.Docs, "owner": p.Metadata.Owner,
		} {
			if text != "" {
				entry[name] = text
			}
		}
		out[p.Name] = entry
	}
	return out
}

// unmatched warns of a set that denies every image, which nobody wants who wrote it.
func unmatched(source Source, policies *raw.Policies) []string {
	if len(policies.All()) == 0 || len(source.Policies) > 0 || slices.Contains([]string{"warn", "allow"}, source.Config.NoMatch) {
		return nil
	}
	return []string{"no ClusterImagePolicy: every image is denied, as no policy matches it; policies in Rego match none (--no-match)"}
}

// Metadata is what an evaluation of the set's modules needs as request metadata, so that
// its builtins answer: those that ask the world by answers, and sigstore.is_compliant and
// assay.policy by the modules of the set, each evaluated by itself. It is for evaluations
// outside of an [Engine], such as those of tests. The answers should block: nobody
// evaluates again.
func (s *Set) Metadata(answers Answers) map[string]any { return s.asking(answers, nil).metadata() }

// asking is what the modules of a set answer in one decision.
type asking struct {
	set     *Set
	answers Answers
	now     time.Time
	own     *review // the one that is decided about, nil where there is none
	look    *view   // of the labels of namespaces, nil where no policy reads them
	// explaining makes modules of ClusterImagePolicies say where they said no.
	explaining bool

	mu sync.Mutex
	// kept are the answers of builtins that an installation turned on: what was sent
	// once is not sent again by the next evaluation.
	kept builtins.NDBCache
	// hosts are the registries in scope of the review itself, nil before they were asked for.
	hosts []string
	// said are the answers about the review itself of policies that ask nothing: the
	// next evaluation would have the same.
	said map[string]ast.Value
}

func (s *Set) asking(answers Answers, own *review) *asking {
	return &asking{
		set: s, answers: answers, now: answers.Now(), own: own, look: s.look(), kept: builtins.NDBCache{}, said: map[string]ast.Value{},
	}
}

func (a *asking) metadata() map[string]any { return a.answers.Metadata(a.inline, a.policy, nil) }

// inline answers what the module of a ClusterImagePolicy says of a document. Explaining,
// it says beside a value that is no plain yes where the module said no, a line for each
// place.
func (a *asking) inline(ctx context.Context, name string, document ast.Value) (value ast.Value, code, message string) {
	module, ok := a.set.inline[name]
	if !ok {
		return nil, "unsupported", fmt.Sprintf("there is no module %s in the policy set", name)
	}
	value, failure := module.Evaluate(ctx, document, a.now)
	if failure != nil {
		return nil, string(failure.Code), failure.Message
	}
	if a.explaining && (value == nil || value.Compare(ast.Boolean(true)) != 0) {
		message = strings.Join(module.Trace(ctx, document, a.now), "\n")
	}
	return value, "", message
}

// policy answers what a policy in plain Rego says of a review.
func (a *asking) policy(ctx context.Context, name string, input ast.Value) (answer ast.Value, code, message string) {
	policy := a.set.raw.Policy(name)
	if policy == nil {
		return nil, "unsupported", fmt.Sprintf("there is no policy %s in the policy set", name)
	}
	about, err := a.about(input)
	if err != nil {
		return nil, "malformed", fmt.Sprintf("review: %v", err)
	}
	if before := a.before(name, about); before != nil {
		return before, "", ""
	}
	asked := raw.Asked{
		Review: about.input(), Now: a.now, Seed: seed(a.now),
		Metadata: a.answers.Metadata(nil, nil, a.reach(about)), Resolved: a.look.resolved(),
	}
	if len(policy.Allowed()) > 0 {
		asked.Answers = a.known()
	}
	said, failure := policy.Judge(ctx, asked)
	if failure != nil {
		return nil, string(failure.Code), failure.Message
	}
	a.keep(asked.Answers, policy.Allowed())
	var at []*ast.Term
	if a.explaining && denies(said.Deny) {
		asked.Review = about.input() // and answers, of which the first evaluation's are kept
		if asked.Answers != nil {
			asked.Answers = a.known()
		}
		at = fired(ctx, policy, asked)
	}
	answer = ast.NewObject(
		ast.Item(ast.StringTerm("deny"), ast.NewTerm(said.Deny)),
		ast.Item(ast.StringTerm("warn"), ast.NewTerm(said.Warn)),
		ast.Item(ast.StringTerm("mode"), ast.NewTerm(said.Mode)),
		ast.Item(ast.StringTerm("at"), ast.ArrayTerm(at...)),
	)
	if about == a.own && !policy.Asks() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.said[name] = answer
	}
	return answer, "", ""
}

// before is what a policy that asks nothing said in an earlier evaluation, nil for nothing.
func (a *asking) before(name string, about *review) ast.Value {
	if about != a.own {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.said[name]
}

// denies says whether a value of deny says anything.
func denies(value ast.Value) bool {
	list, ok := value.(*ast.Array)
	return !ok || list.Len() > 0
}

// mostFired bounds the rules that are told of one policy.
const mostFired = 10

// fired are the rules deny that held, as "deny:LINE:FILE", by one more evaluation.
func fired(ctx context.Context, policy *raw.Policy, asked raw.Asked) (out []*ast.Term) {
	trace := apart.NewTrace()
	asked.Tracer = trace
	if _, failure := policy.Judge(ctx, asked); failure != nil {
		return nil
	}
	for _, traced := range trace.Rules() {
		head := traced.Rule.Head.Ref()[0].Value
		if at := traced.Rule.Location; traced.Held && at != nil && head.Compare(ast.Var("deny")) == 0 && len(out) < mostFired {
			out = append(out, ast.StringTerm(fmt.Sprintf("deny:%d:%s", at.Row, at.File)))
		}
	}
	return out
}

// about is the review that a value is. A lazy object writes to itself while it is read,
// and a policy may be left behind reading: each evaluation has an input of its own.
func (a *asking) about(input ast.Value) (*review, error) {
	if a.own != nil && a.own.is(input) {
		return a.own, nil
	}
	document, err := ast.JSON(input)
	if err != nil {
		return nil, err
	}
	return &review{document: document}, nil
}

// reach says which registries a policy in plain Rego may ask: those of the review's own
// images, those that ClusterImagePolicies name, and those of the installation's list. Who
// writes such a policy chooses no hosts.
func (a *asking) reach(about *review) func(context.Context, string) bool {
	var once sync.Once
	var hosts []string
	return func(ctx context.Context, host string) bool {
		once.Do(func() {
			// Without an answer there is none to ask.
			if own, err := a.scope(ctx, about); err == nil {
				hosts = slices.Concat(own, a.set.reachable)
			}
		})
		return slices.Contains(hosts, host)
	}
}

// scope are the registries that an evaluation about a review may ask, see [Set.scope]. Of
// the review itself they are asked for once in a decision.
func (a *asking) scope(ctx context.Context, about *review) ([]string, error) {
	if about != a.own {
		return a.set.scope(ctx, a.options(about.input()))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hosts == nil {
		hosts, err := a.set.scope(ctx, a.options(about.input()))
		if err != nil {
			return nil, err
		}
		a.hosts = hosts
	}
	return a.hosts, nil
}

// known are the answers that were kept, for one evaluation to read and to add to.
func (a *asking) known() builtins.NDBCache {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := builtins.NDBCache{}
	for name, answers := range a.kept {
		out[name] = answers.Copy()
	}
	return out
}

// keep keeps what builtins answered that an installation turned on. What ours answer the
// session keeps.
func (a *asking) keep(seen builtins.NDBCache, allowed []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range allowed {
		if answers, ok := seen[name]; ok {
			a.kept[name] = answers
		}
	}
}
