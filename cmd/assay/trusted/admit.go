package trusted

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/rego"
)

// ErrDenied is a bundle that the bootstrap policy does not admit.
var ErrDenied = errors.New("denied by the bundle trust")

// ErrEvidence is evidence that was kept and does not prove what it should.
var ErrEvidence = errors.New("evidence of a bundle")

// Admit has the policy judge the bundle with that digest, repository@sha256:…. The capsule
// is the evidence: [Policy.Again] admits by it alone, which was tried.
func (p *Policy) Admit(ctx context.Context, ref string) (*capsule.Capsule, error) {
	name, review, err := reviewOf(ref)
	if err != nil {
		return nil, err
	}
	var made *rego.Made
	engine := rego.NewEngine(p.set, nil)
	engine.Record(func(m rego.Made) { made = &m })
	decision, err := engine.Decide(ctx, review)
	if err != nil {
		return nil, fmt.Errorf("%s: no decision: %w", name, err)
	}
	if err := admitted(decision, name); err != nil {
		return nil, err
	}
	if made == nil {
		return nil, fmt.Errorf("%w: %s: the decision was not recorded", ErrEvidence, name)
	}
	evidence, err := p.sealer.Seal(*made)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrEvidence, name, err)
	}
	return evidence, p.Again(ctx, evidence, name)
}

// reviewOf is the review of a Pod that runs the bundle. It is the same whenever the
// reference is: so a capsule can be held to it.
func reviewOf(ref string) (name string, review []byte, err error) {
	r, err := oci.Parse(ref)
	if err != nil {
		return "", nil, err
	}
	if r.Digest == "" {
		return "", nil, fmt.Errorf("bundle %s: got a tag, want a digest: a tag can be moved", r.Name)
	}
	review, err = reviews.Pod([]string{r.Name})
	return r.Name, review, err
}

// admitted wants a decision about exactly that image, with somebody who signed it.
func admitted(d rego.Decision, name string) error {
	if !d.Allowed {
		return fmt.Errorf("%w: %s: %s", ErrDenied, name, oneLine(d.Reasons))
	}
	if len(d.Images) != 1 || d.Images[0].Image != name || !strings.HasSuffix(name, "@"+d.Images[0].Digest) {
		return fmt.Errorf("%w: %s: got a decision about %d other images", ErrDenied, name, len(d.Images))
	}
	if !slices.ContainsFunc(d.Images[0].Policies, vouched) {
		return fmt.Errorf("%w: %s: got a decision without a signer, want one", ErrDenied, name)
	}
	return nil
}

// oneLine is what logs and /readyz have room for: a reason has its details on a line of their own.
func oneLine(reasons []string) string {
	return plain.Line(strings.Join(strings.Fields(strings.Join(reasons, "; ")), " "))
}

func vouched(p rego.Policy) bool {
	return p.Outcome == "passed" && slices.ContainsFunc(p.Authorities, func(a rego.Authority) bool {
		return a.Outcome == "passed" && len(a.Signers) > 0
	})
}

// Again has the policy of now judge the bundle with that digest once more, by what is signed
// in a capsule, and asks nobody. The capsule says what registries had; all else of a decision
// is the policy's own: the review, the settings, the trust roots, and the time.
func (p *Policy) Again(ctx context.Context, evidence *capsule.Capsule, ref string) error {
	name, review, err := reviewOf(ref)
	if err != nil {
		return err
	}
	if !sameJSON(evidence.Review, review) {
		return fmt.Errorf("%w: got evidence about something else, want it about %s", ErrEvidence, name)
	}
	own := &capsule.Capsule{
		Settings: capsule.Settings{Time: p.now(), Call: "validate", Config: p.config, AnchoredIdentities: true},
		Review:   review, Records: evidence.Records, Blobs: maps.Clone(evidence.Blobs),
	}
	if own.Blobs == nil {
		own.Blobs = map[string][]byte{}
	}
	roots := p.roots(own)
	p.judging.Lock()
	defer p.judging.Unlock()
	judged, err := p.judge.Judge(ctx, own, &recording.Policies{Source: p.source, Roots: roots})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", ErrEvidence, name, err)
	case len(judged.NotRecorded) > 0:
		return fmt.Errorf("%w: %s: got %d questions that it has no answer to, want none: %s", ErrEvidence, name, len(judged.NotRecorded),
			plain.Below(judged.NotRecorded[0]))
	case judged.Err != nil:
		return fmt.Errorf("%w: %s: no decision: %w", ErrEvidence, name, judged.Err)
	}
	return admitted(judged.Decision, name)
}

// roots are those of now. The default one has its place in a capsule, and the named ones
// beside it: of the roots that a capsule was recorded with none is left.
func (p *Policy) roots(into *capsule.Capsule) trust.Roots {
	named := p.documents.Named.Roots()
	into.Trust.Roots = map[string]capsule.Root{}
	switch root, cause := p.wiring.Root.Serving(); {
	case root != nil:
		form, content := root.Content()
		into.Trust.Roots[""] = capsule.Root{Form: string(form), Content: into.Keep(content)}
	default:
		into.Trust.Roots[""] = capsule.Root{Cause: cause}
	}
	return named
}

func sameJSON(a, b []byte) bool {
	var first, second bytes.Buffer
	return json.Compact(&first, a) == nil && json.Compact(&second, b) == nil && bytes.Equal(first.Bytes(), second.Bytes())
}
