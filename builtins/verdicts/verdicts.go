// Package verdicts keeps what verifying the evidence about an image came to, for everybody who asks the
// same, by whichever policies: signatures are verified once.
//
// A verdict serves under a [Question] alone, which names all that it depends on but the time. It serves
// until a check of the time in it could change. A refusal is not kept: what refused may have been the
// evidence of somebody who is about to add better.
package verdicts

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/assay-dev/assay/builtins/keep"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/builtins/sigstore/miss"
	"github.com/assay-dev/assay/rego/cip"
)

// most bounds the memory of a store, in bytes.
const most = 64 << 20

// Verdict is what was accepted, and what was refused beside it.
type Verdict struct {
	Found  []sigstore.Signature
	Misses []miss.Miss
}

// Question is everything that a verdict depends on, so that one about an image, a tenant, an authority or
// a root never serves another. All of its fields are part of the key.
type Question struct {
	// Credentials is the ID of those that the evidence was got with.
	Credentials string
	// Image is the image by digest, and Place where its evidence is.
	Image string
	Place oci.Place
	// Trust names the content of the roots that the authority relies on.
	Trust string
	// Evidence are the digests of all that was found, list by list, or why there is none.
	Evidence []string
	// Attestations says that they were verified, and not signatures.
	Attestations bool
	// Anchored says how identity expressions match.
	Anchored bool
	// Authority is what was demanded.
	Authority cip.Authority
}

// key is one for each question: the quoted parts cannot run into each other.
func (q Question) key() (string, error) {
	authority, err := json.Marshal(q.Authority)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%q %q %q %q %q %v %v %s",
		q.Credentials, q.Image, q.Place, q.Trust, q.Evidence, q.Attestations, q.Anchored, authority), nil
}

// Store keeps verdicts in bounded memory, the most recently used ones. It is safe for concurrent use.
type Store struct {
	kept   *keep.Cache[Verdict]
	looked *keep.Looked
}

// New makes an empty store. looked counts what is looked for; nil does not.
func New(looked *keep.Looked) *Store { return &Store{keep.New[Verdict](most).Counted(looked), looked} }

// Get gives the verdict of a question at a time, if it is known.
func (s *Store) Get(q Question, now time.Time) (Verdict, bool) {
	key, err := q.key()
	if err != nil {
		return Verdict{}, false
	}
	known, ok := s.kept.Get(key, now)
	if !ok {
		s.looked.Miss()
	}
	return known, ok
}

// Put keeps the verdict of a question.
func (s *Store) Put(q Question, verdict Verdict) {
	key, err := q.key()
	if err != nil {
		return
	}
	out := keep.Lasting[Verdict]{Value: verdict, Until: sigstore.ValidUntil(verdict.Found)}
	for _, signature := range verdict.Found {
		out.Cost += int64(len(signature.Statement)) + 1<<10
	}
	out.Cost += int64(len(verdict.Misses)) * miss.MostBytes
	s.kept.Put(key, out)
}
