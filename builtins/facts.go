package builtins

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/sync/singleflight"

	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
)

// Registry is what the builtins want of registries; [oci.Client] has it.
type Registry interface {
	Resolve(ctx context.Context, cred oci.Credentials, ref string) (string, error)
	Signatures(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error)
	Attestations(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error)
	Bundles(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error)
	Count(ctx context.Context, cred oci.Credentials, ref string, at oci.Place, storage oci.Storage) (int, error)
	Manifest(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error)
	Index(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error)
	Configs(ctx context.Context, cred oci.Credentials, ref string) (map[string]json.RawMessage, error)
	Config(ctx context.Context, cred oci.Credentials, ref string) (json.RawMessage, error)
	Blob(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error)
	Referrers(ctx context.Context, cred oci.Credentials, ref string) ([]oci.Referrer, error)
	Files(ctx context.Context, cred oci.Credentials, ref string, paths []string) (oci.Files, error)
}

var _ Registry = (*oci.Client)(nil)

// The bounds of the caches, in bytes. A small answer takes a few kilobytes; one
// with a statement takes about ten times its JSON as a term of OPA.
const (
	mostAnswerBytes  = 64 << 20
	mostVerdictBytes = 64 << 20
	termOverhead     = 10
)

// Options are the settings of an installation.
type Options struct {
	// AnchoredIdentities makes identity expressions match the whole value.
	AnchoredIdentities bool
	// FetchTimeout bounds one question to a registry, whoever waits for it.
	// Zero is 10 seconds.
	FetchTimeout time.Duration
	// PullSecrets gives the credentials in Secrets of a namespace, by their
	// names. Secrets that are not there are left out, and without any the
	// credentials are anonymous. Nil is an installation without Secrets. It must
	// not block, and its errors must not hold what is secret.
	PullSecrets func(namespace string, names []string) (oci.Credentials, error)
	// CUE decides CUE policies. Its limits are those of the process, so that what
	// runs past its time counts on when policies are read again. Nil is a new one.
	CUE *cue.Evaluator
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Facts answers the builtins of all decisions: it fetches, verifies, and keeps
// what may serve again. It is safe for concurrent use.
type Facts struct {
	registry Registry
	roots    func() trust.Roots
	options  Options

	flights  singleflight.Group
	answers  *kept[*ast.Term]
	verdicts *kept[verdict]
}

// New makes the facts of a registry and of trust material. roots is asked once
// for each decision, so that material which is refreshed in the background
// changes between decisions and never within one.
func New(registry Registry, roots func() trust.Roots, options Options) (*Facts, error) {
	if registry == nil || roots == nil {
		return nil, fmt.Errorf("facts need a registry and trust roots")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.FetchTimeout == 0 {
		options.FetchTimeout = 10 * time.Second
	}
	if options.CUE == nil {
		evaluator, err := cue.New(cue.Options{})
		if err != nil {
			return nil, err
		}
		options.CUE = evaluator
	}
	return &Facts{
		registry: registry, roots: roots, options: options,
		answers: keeping[*ast.Term](mostAnswerBytes), verdicts: keeping[verdict](mostVerdictBytes),
	}, nil
}

// Open starts the answers of one decision, on behalf of whom the credentials name,
// about an object of a namespace; "" is none.
func (f *Facts) Open(credentials oci.Credentials, namespace string) *Session {
	roots := f.roots()
	return &Session{
		facts: f, credentials: credentials, namespace: namespace, roots: roots, generation: roots.Generation(), now: f.options.Now(),
		answers: map[string]*ast.Term{}, waiting: map[string]question{}, runaways: map[string]bool{},
	}
}

// known gives an answer that another decision got and that still serves.
func (f *Facts) known(key string) (*ast.Term, bool) { return f.answers.get(key, f.options.Now()) }

// get answers a question. Decisions that ask the same at the same time share
// one answer, which is got on a context of its own: who leaves early leaves
// alone.
func (f *Facts) get(ctx context.Context, key string, q question) *ast.Term {
	late := func() *ast.Term {
		return declare.Term(q.blank(declare.Refuse(declare.Timeout, q.host+" did not answer in time")))
	}
	if ctx.Err() != nil {
		return late()
	}
	within := f.within(ctx)
	flight := f.flights.DoChan(fmt.Sprint(within.Round(time.Second), key), func() (any, error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
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

// landing is what is left between the end of a fetch and that of who waits for
// it: what was got by then is verified and answered, though a layer may hang.
const landing = 250 * time.Millisecond

// within is how long a fetch may take. Only who waits about as long shares it.
func (f *Facts) within(ctx context.Context) time.Duration {
	out := f.options.FetchTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		out = min(out, left-min(landing, left/4))
	}
	return out
}

// notThereLives is how long "not found" and "no signatures" serve: a signature
// is often pushed a moment after the image.
const notThereLives = 2 * time.Second

func (f *Facts) fetch(ctx context.Context, key string, q question) (out *ast.Term) {
	// A panic here would be nobody's: the flight is not of any request.
	defer func() {
		if cause := recover(); cause != nil {
			out = declare.Term(q.blank(declare.Refuse(declare.Malformed, fmt.Sprintf("answer panicked: %.80v", cause))))
		}
	}()
	value, until, p := q.get(ctx)
	lives := q.lives
	if p != nil {
		value = q.refusal(value, p)
	}
	switch {
	case p == nil:
	case p.Kept():
		lives = notThereLives
	default:
		return declare.Term(value)
	}
	out, size := declare.Sized(value)
	// The clock is read after the fetch, which may have taken its time: an answer
	// serves no longer than what it says is true.
	if end := f.options.Now().Add(lives); until.IsZero() || end.Before(until) {
		until = end
	}
	f.answers.put(key, lasting[*ast.Term]{value: out, until: until, cost: termOverhead * size})
	return out
}
