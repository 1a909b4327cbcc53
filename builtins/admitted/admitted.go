// Package admitted keeps what was answered while an image was admitted, for the updates
// that leave the image as it is (RES-7): a label of a running Pod can be edited while its
// registry is down. Evaluating is never spared, only fetching.
//
// An answer serves again only to the same question under the same [Scope]: the policy set,
// the namespace, the trust material, the credentials. It was part of a decision that
// admitted; another answer to the same question, learned since, takes its place or removes it; and
// it serves no longer than it is true by the clock, nor than [Lives]. That the same answer was
// part of a denial removes nothing: another image of the object was to blame, or the
// object, and whoever may create objects could make others fetch anew.
//
// Also "not found" and "no signatures" are answers that serve again. It was with them that the image
// was admitted, so an update meets the verdict of its creation; what was signed since
// counts for it when [Lives] is over, and for what is created within seconds.
package admitted

import (
	"fmt"
	"time"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/keep"
)

// Lives is how long an answer serves at most since it was got. A signature that was
// removed, or an attestation that was added, counts by then for updates as well; for what
// is created it counts at once.
const Lives = 4 * time.Hour

// most bounds the memory of a store, in bytes.
const most = 64 << 20

// Scope is who was admitted by whom.
type Scope struct {
	// Set is the hash of the policy set.
	Set string
	// Namespace is that of the object, "" where it has none.
	Namespace string
}

// Standing says how an answer stands to the same question asked earlier. The zero value is
// the one that changes nothing.
type Standing int

const (
	// Missing is no answer: a registry that is down says nothing about an image.
	Missing Standing = iota
	// Refuting takes the place of what was known, and is not kept itself.
	Refuting
	// Serving may serve again.
	Serving
)

// StandingOf is the standing of an answer with a problem, or with none.
func StandingOf(p *declare.Problem) Standing {
	switch {
	case p == nil || p.Kept():
		return Serving
	case p.Code == declare.Timeout || p.Code == declare.Unreachable || p.Code == declare.RateLimited:
		return Missing
	default:
		return Refuting
	}
}

// Store keeps answers in bounded memory, the most recently used ones. It is safe for
// concurrent use.
type Store[V any] struct {
	answers *keep.Cache[V]
	looked  *keep.Looked
	same    func(a, b V) bool
}

// New makes an empty store. looked counts what is recalled; nil does not. same says of two
// answers that no evaluation can tell them apart.
func New[V any](looked *keep.Looked, same func(a, b V) bool) *Store[V] {
	return &Store[V]{keep.New[V](most).Counted(looked), looked, same}
}

// Recall gives what a question was answered when the image that it is about was admitted.
// question names all else that the answer depends on.
func (s *Store[V]) Recall(scope Scope, question string, now time.Time) (V, bool) {
	value, ok := s.answers.Get(scope.key(question), now)
	if !ok {
		s.looked.Miss()
	}
	return value, ok
}

// Learn takes in what a decision was answered to a question, anew: about an image that it
// admitted, or did not. until is when the answer could change by time alone, zero for never.
func (s *Store[V]) Learn(scope Scope, question string, admitted bool, standing Standing, answer keep.Lasting[V], now time.Time) {
	key := scope.key(question)
	switch {
	case standing == Missing:
	case admitted && standing == Serving:
		if end := now.Add(Lives); answer.Until.IsZero() || end.Before(answer.Until) {
			answer.Until = end
		}
		s.answers.Put(key, answer)
	case standing == Serving && s.answers.Holds(key, func(known V) bool { return s.same(known, answer.Value) }):
		// Nothing else was learned.
	default:
		s.answers.Remove(key)
	}
}

// key is one for each scope and question: the quoted parts cannot run into each other.
func (s Scope) key(question string) string {
	return fmt.Sprintf("%q %q %s", s.Set, s.Namespace, question)
}
