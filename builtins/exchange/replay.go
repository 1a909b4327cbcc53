package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/assay-dev/assay/builtins/oci"
)

// ErrNotRecorded is the cause of a refusal to answer what was not recorded.
var ErrNotRecorded = errors.New("not recorded")

// Records is what was recorded of a decision.
type Records struct {
	// Exchanges are those of all its questions, each once.
	Exchanges []Record `json:"exchanges"`
	// Questions say which exchanges each of them led to.
	Questions []Answered `json:"questions"`
	// Judged are the policies inside policies that had no verdict for lack of time.
	Judged []Given `json:"judged,omitempty"`
	// Pulled are the pull secrets that were asked for.
	Pulled []Pulled `json:"pull_secrets,omitempty"`
}

// Answered is a question with what its answer was made from.
type Answered struct {
	Question string `json:"question"`
	// Exchanges are indexes.
	Exchanges []int `json:"exchanges,omitempty"`
	// Given is the answer where there was no time to ask.
	Given *Given `json:"given,omitempty"`
}

// Pulled is what pull secrets came to: the alias of credentials, or why there are none.
type Pulled struct {
	Namespace string   `json:"namespace"`
	Names     []string `json:"names"`
	As        string   `json:"as,omitempty"`
	Error     *Refusal `json:"error,omitempty"`
}

// Replay is a registry that answers what was recorded, and refuses everything else
// as unreachable and [ErrNotRecorded].
//
// A question is answered from its own exchanges: a registry may have answered the
// same call in two ways while a decision was made. A question that was not asked
// then is answered from those of all others. Exchanges that contradict each other
// answer neither: which of them was meant cannot be known.
type Replay struct {
	own   map[string]answers // by question
	all   answers
	given map[string]*Given
	pulls map[string]Pulled
	blobs func(digest string) ([]byte, error)
	asked *asked // nil where nobody is asked
}

var _ Registry = (*Replay)(nil)

// NewReplay is the registry of records, whose bytes blobs has by their digest.
func NewReplay(records Records, blobs func(digest string) ([]byte, error)) (*Replay, error) {
	r := newReplay(blobs)
	for _, record := range records.Exchanges {
		r.all.add(known{Record: record})
	}
	for _, q := range records.Questions {
		if _, twice := r.own[q.Question]; twice {
			return nil, fmt.Errorf("question %.100s: got it twice", q.Question)
		}
		own := answers{}
		for _, i := range q.Exchanges {
			if i < 0 || i >= len(records.Exchanges) {
				return nil, fmt.Errorf("question %.100s: got exchange %d of %d", q.Question, i, len(records.Exchanges))
			}
			own.add(known{Record: records.Exchanges[i]})
		}
		r.own[q.Question], r.given[q.Question] = own, q.Given
	}
	for _, given := range records.Judged {
		if other, twice := r.given[given.Question]; twice && (other == nil || *other != given) {
			return nil, fmt.Errorf("question %.100s: got it twice", given.Question)
		}
		r.given[given.Question] = &given
	}
	for _, p := range records.Pulled {
		key := pullKey(p.Namespace, p.Names)
		if _, twice := r.pulls[key]; twice {
			return nil, fmt.Errorf("pull secrets %.100s: got them twice", key)
		}
		r.pulls[key] = p
	}
	return r, nil
}

func newReplay(blobs func(digest string) ([]byte, error)) *Replay {
	return &Replay{own: map[string]answers{}, all: answers{}, given: map[string]*Given{}, pulls: map[string]Pulled{}, blobs: blobs}
}

// known is a record, with the answer itself where nothing was written yet.
type known struct {
	Record
	heard any
}

// answers are records by their calls, nil for a call with different answers.
type answers map[string]*known

func (a answers) add(r known) {
	key := r.key()
	if other, twice := a[key]; twice && (other == nil || !same(*other, r)) {
		a[key] = nil
		return
	}
	a[key] = &r
}

func same(a, b known) bool {
	if a.Error != nil || b.Error != nil {
		return a.Error != nil && b.Error != nil && *a.Error == *b.Error
	}
	return string(a.Answer) == string(b.Answer) && reflect.DeepEqual(a.heard, b.heard)
}

func pullKey(namespace string, names []string) string { return fmt.Sprintf("%q %q", namespace, names) }

// Given is what a question was answered, or a policy inside a policy judged, without
// anything to repeat it from.
func (r *Replay) Given(question string) *Given { return r.given[Name(question)] }

// PullSecrets gives the alias of the credentials that pull secrets came to. They are
// the name of somebody who asked, and no credentials. Those that were not asked for
// then are a name that nothing was recorded of.
func (r *Replay) PullSecrets(namespace string, names []string) (oci.Credentials, error) {
	p, ok := r.pulls[pullKey(namespace, names)]
	switch {
	case !ok:
		return oci.Credentials{ID: "not recorded"}, nil
	case p.Error != nil:
		return oci.Credentials{}, refused(p.Error)
	}
	return oci.Credentials{ID: p.As}, nil
}

// told answers a call; ask makes it of another registry.
func told[V any](ctx context.Context, r *Replay, call Call, ask func(Registry) (V, error)) (V, error) {
	var none V
	missing := func(why string) (V, error) {
		if r.asked != nil && !call.hint() && r.asked.may() {
			return ask(r.asked.registry)
		}
		return none, &oci.Error{Code: oci.Unreachable, Message: why + ": " + call.String(), Err: ErrNotRecorded}
	}
	var record *known
	key, recorded := call.key(), false
	if log := logOf(ctx); log != nil {
		record, recorded = r.own[Name(log.Question())][key]
	}
	if !recorded {
		record, recorded = r.all[key]
	}
	switch {
	case !recorded:
		return missing("not recorded")
	case record == nil:
		return missing("recorded with different answers")
	}
	if answer, ok := record.heard.(V); ok && record.Error == nil {
		return answer, nil
	}
	answer, err := read[V](record.Record, r.blobs)
	var own *oci.Error
	if err != nil && !errors.As(err, &own) {
		return missing("recorded badly, " + err.Error())
	}
	return answer, err
}

// Resolve implements [Registry]. A reference with a digest answers itself.
func (r *Replay) Resolve(ctx context.Context, cred oci.Credentials, ref string) (string, error) {
	digest, err := told(ctx, r, resolve(cred, ref), func(o Registry) (string, error) { return o.Resolve(ctx, cred, ref) })
	if named, invalid := oci.Parse(ref); err != nil && invalid == nil && named.Digest != "" {
		return named.Digest, nil
	}
	return digest, err
}

// Signatures implements [Registry].
func (r *Replay) Signatures(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return told(ctx, r, attached("signatures", cred, ref, at), func(o Registry) (oci.List, error) { return o.Signatures(ctx, cred, ref, at) })
}

// Attestations implements [Registry].
func (r *Replay) Attestations(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return told(ctx, r, attached("attestations", cred, ref, at), func(o Registry) (oci.List, error) { return o.Attestations(ctx, cred, ref, at) })
}

// Bundles implements [Registry].
func (r *Replay) Bundles(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return told(ctx, r, attached("bundles", cred, ref, at), func(o Registry) (oci.List, error) { return o.Bundles(ctx, cred, ref, at) })
}

// Count implements [Registry].
func (r *Replay) Count(ctx context.Context, cred oci.Credentials, ref string, at oci.Place, storage oci.Storage) (int, error) {
	return told(ctx, r, attached("count", cred, ref, at, string(storage)), func(o Registry) (int, error) {
		return o.Count(ctx, cred, ref, at, storage)
	})
}

// Manifest implements [Registry].
func (r *Replay) Manifest(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error) {
	return told(ctx, r, pinned("manifest", cred, ref), func(o Registry) ([]byte, error) { return o.Manifest(ctx, cred, ref) })
}

// Index implements [Registry].
func (r *Replay) Index(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error) {
	return told(ctx, r, pinned("index", cred, ref), func(o Registry) ([]byte, error) { return o.Index(ctx, cred, ref) })
}

// Configs implements [Registry].
func (r *Replay) Configs(ctx context.Context, cred oci.Credentials, ref string) (map[string]json.RawMessage, error) {
	return told(ctx, r, pinned("configs", cred, ref), func(o Registry) (map[string]json.RawMessage, error) { return o.Configs(ctx, cred, ref) })
}

// Config implements [Registry].
func (r *Replay) Config(ctx context.Context, cred oci.Credentials, ref string) (json.RawMessage, error) {
	return told(ctx, r, pinned("config", cred, ref), func(o Registry) (json.RawMessage, error) { return o.Config(ctx, cred, ref) })
}

// Blob implements [Registry].
func (r *Replay) Blob(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error) {
	return told(ctx, r, pinned("blob", cred, ref), func(o Registry) ([]byte, error) { return o.Blob(ctx, cred, ref) })
}

// Referrers implements [Registry].
func (r *Replay) Referrers(ctx context.Context, cred oci.Credentials, ref string) ([]oci.Referrer, error) {
	return told(ctx, r, pinned("referrers", cred, ref), func(o Registry) ([]oci.Referrer, error) { return o.Referrers(ctx, cred, ref) })
}

// Files implements [Registry].
func (r *Replay) Files(ctx context.Context, cred oci.Credentials, ref string, paths []string) (oci.Files, error) {
	return told(ctx, r, pinned("files", cred, ref, paths...), func(o Registry) (oci.Files, error) { return o.Files(ctx, cred, ref, paths) })
}
