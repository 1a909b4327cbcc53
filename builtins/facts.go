package builtins

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/sync/singleflight"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/rego/cip"
)

// Registry is what the builtins want of registries; [oci.Client] has it.
type Registry interface {
	Resolve(ctx context.Context, cred oci.Credentials, ref string) (string, error)
	Signatures(ctx context.Context, cred oci.Credentials, ref string) (oci.List, error)
	Attestations(ctx context.Context, cred oci.Credentials, ref string) (oci.List, error)
	Bundles(ctx context.Context, cred oci.Credentials, ref string) (oci.List, error)
}

var _ Registry = (*oci.Client)(nil)

// The bounds of the caches, in entries. An answer with its statement is a few
// kilobytes to a few hundred; the evidence behind it is bounded in builtins/oci.
const (
	mostAnswers  = 2048
	mostVerdicts = 8192
)

// Options are the settings of an installation.
type Options struct {
	// AnchoredIdentities makes identity expressions match the whole value.
	AnchoredIdentities bool
	// FetchTimeout bounds one question to a registry, whoever waits for it.
	// Zero is 10 seconds.
	FetchTimeout time.Duration
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Facts answers the builtins of all decisions: it fetches, verifies, and keeps
// what may serve again. It is safe for concurrent use.
type Facts struct {
	registry Registry
	roots    func() sigstore.Roots
	options  Options

	flights  singleflight.Group
	mu       sync.Mutex
	answers  *simplelru.LRU[string, lasting[*ast.Term]]
	verdicts *simplelru.LRU[string, lasting[[]sigstore.Signature]]
}

// lasting is a value that serves until its time; zero is for ever.
type lasting[V any] struct {
	value V
	until time.Time
}

// New makes the facts of a registry and of trust material. roots is asked once
// for each decision, so that material which is refreshed in the background
// changes between decisions and never within one.
func New(registry Registry, roots func() sigstore.Roots, options Options) (*Facts, error) {
	if registry == nil || roots == nil {
		return nil, fmt.Errorf("facts need a registry and trust roots")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.FetchTimeout == 0 {
		options.FetchTimeout = 10 * time.Second
	}
	f := &Facts{registry: registry, roots: roots, options: options}
	var err error
	if f.answers, err = simplelru.NewLRU[string, lasting[*ast.Term]](mostAnswers, nil); err != nil {
		return nil, err
	}
	f.verdicts, err = simplelru.NewLRU[string, lasting[[]sigstore.Signature]](mostVerdicts, nil)
	return f, err
}

// Open starts the answers of one decision, on behalf of whom the credentials name.
func (f *Facts) Open(credentials oci.Credentials) *Session {
	roots := f.roots()
	return &Session{
		facts: f, credentials: credentials, roots: roots, generation: roots.Generation(), now: f.options.Now(),
		answers: map[string]*ast.Term{}, waiting: map[string]question{},
	}
}

// known gives an answer that another decision got and that still serves.
func (f *Facts) known(key string) (*ast.Term, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fresh(f.answers, key, f.options.Now())
}

func fresh[V any](kept *simplelru.LRU[string, lasting[V]], key string, now time.Time) (out V, ok bool) {
	entry, ok := kept.Get(key)
	if !ok {
		return out, false
	}
	if !entry.until.IsZero() && !now.Before(entry.until) {
		kept.Remove(key)
		return out, false
	}
	return entry.value, true
}

// get answers a question. Decisions that ask the same at the same time share
// one answer, which is got on a context of its own: who leaves early leaves
// alone.
func (f *Facts) get(ctx context.Context, key string, q question) *ast.Term {
	late := func() *ast.Term {
		return term(q.blank(problem{Timeout, q.host + " did not answer in time"}))
	}
	if ctx.Err() != nil {
		return late()
	}
	flight := f.flights.DoChan(key, func() (any, error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.options.FetchTimeout)
		defer cancel()
		return f.fetch(own, key, q), nil
	})
	select {
	case result := <-flight:
		return result.Val.(*ast.Term)
	case <-ctx.Done():
		return late()
	}
}

// notThereLives is how long "not found" and "no signatures" serve: a signature
// is often pushed a moment after the image.
const notThereLives = 2 * time.Second

func (f *Facts) fetch(ctx context.Context, key string, q question) (out *ast.Term) {
	// A panic here would be nobody's: the flight is not of any request.
	defer func() {
		if cause := recover(); cause != nil {
			out = term(q.blank(problem{Malformed, fmt.Sprintf("answer panicked: %.80v", cause)}))
		}
	}()
	value, lives, p := q.get(ctx)
	switch {
	case p == nil:
		out = term(value)
	case p.kept():
		out, lives = term(q.blank(*p)), notThereLives
	default:
		return term(q.blank(*p))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers.Add(key, lasting[*ast.Term]{out, f.options.Now().Add(lives)})
	return out
}

// verified fetches the evidence of an image and verifies it for an authority:
// its attestations, or else its signatures.
func (f *Facts) verified(ctx context.Context, s *Session, image oci.Reference, a cip.Authority, attestations bool) ([]sigstore.Signature, *problem) {
	check, refusal := sigstore.NewCheck(a, s.roots, sigstore.Options{
		AnchoredIdentities: f.options.AnchoredIdentities, Now: s.now,
	})
	if refusal != nil {
		return nil, problemOf(refusal)
	}
	evidence, digests, err := f.evidence(ctx, s.credentials, image.Name, a.SignatureFormat, attestations)
	if err != nil {
		return nil, problemOf(err)
	}
	key, err := verdictKey(s, image, a, check, attestations, digests)
	if err != nil {
		return nil, problemOf(err)
	}
	f.mu.Lock()
	kept, ok := fresh(f.verdicts, key, s.now)
	f.mu.Unlock()
	if ok {
		return kept, nil
	}
	verify := check.Signatures
	if attestations {
		verify = check.Attestations
	}
	found, refusal := verify(image.Digest, evidence)
	if refusal != nil {
		return nil, problemOf(refusal)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.verdicts.Add(key, lasting[[]sigstore.Signature]{found, sigstore.ValidUntil(found)})
	return found, nil
}

// verdictKey names everything that a verdict depends on, so that a verdict about
// one image, tenant, policy or root never serves another (architecture, section 5).
func verdictKey(s *Session, image oci.Reference, a cip.Authority, check *sigstore.Check, attestations bool, digests []string) (string, error) {
	encoded, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%q %q %q %q %v %v %s", s.credentials.ID, image.Name, check.TrustHash(), digests, attestations,
		s.facts.options.AnchoredIdentities, encoded), nil
}

// evidence fetches what the format names: the legacy tag, the referrers, or both.
func (f *Facts) evidence(ctx context.Context, cred oci.Credentials, image string, format cip.SignatureFormat, attestations bool) ([]sigstore.Evidence, []string, error) {
	legacy := f.registry.Signatures
	if attestations {
		legacy = f.registry.Attestations
	}
	type source struct {
		format string
		list   func(context.Context, oci.Credentials, string) (oci.List, error)
	}
	var sources []source
	switch format {
	case "", cip.FormatLegacy:
		sources = []source{{sigstore.FormatLegacy, legacy}}
	case cip.FormatBundle:
		sources = []source{{sigstore.FormatBundle, f.registry.Bundles}}
	case cip.FormatAny:
		sources = []source{{sigstore.FormatLegacy, legacy}, {sigstore.FormatBundle, f.registry.Bundles}}
	default:
		return nil, nil, &sigstore.Refusal{Code: sigstore.Unsupported, Message: fmt.Sprintf("signatureFormat: got %q", format)}
	}
	out := make([]sigstore.Evidence, len(sources))
	digests := make([]string, len(sources))
	errs := make([]error, len(sources))
	var wait sync.WaitGroup
	for i, source := range sources {
		wait.Go(func() {
			// Nobody above could recover on this goroutine.
			defer func() {
				if cause := recover(); cause != nil {
					errs[i] = fmt.Errorf("evidence panicked: %.80v", cause)
				}
			}()
			var list oci.List
			list, errs[i] = source.list(ctx, cred, image)
			out[i], digests[i] = evidenceOf(source.format, list), list.Digest
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, nil, err
		}
	}
	return out, digests, nil
}

func evidenceOf(format string, list oci.List) sigstore.Evidence {
	out := sigstore.Evidence{Format: format}
	for _, layer := range list.Layers {
		out.Layers = append(out.Layers, sigstore.Layer{Annotations: layer.Annotations, Content: layer.Content})
	}
	return out
}
