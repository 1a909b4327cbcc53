// Package cue decides CUE policies: a policy and a JSON document to nothing, when
// the document complies, or a refusal.
//
// It says what cosign says: compile both, unify, validate. That CUE ignores what
// is missing is part of it; the concrete mode is the stricter question.
//
// A policy reaches neither files nor the network: what it may import is compiled
// in, and of that the packages below tool only describe tasks, which nothing here
// runs. None of the packages reads a clock or makes random numbers, so a verdict
// is a function of policy, document and mode, and is kept.
//
// CUE cannot be cancelled. An evaluation that takes too long is denied and left
// to itself; while too many of those still run, nothing is evaluated. What they
// do to time is bounded by that, what they do to memory is not.
package cue

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Options are the limits. What is zero gets its default.
type Options struct {
	// Timeout bounds one evaluation, besides the context. 1 second.
	Timeout time.Duration
	// Parallel is how many evaluations run at once and are waited for; more wait
	// for their turn. As many as there are processors.
	Parallel int
	// Abandoned is how many evaluations may run on that nobody waits for any more
	// before others are refused. 4. Half of them may be of one policy, so that it
	// takes more than one to keep all others from being evaluated.
	Abandoned int
	// Verdicts is how many verdicts are kept. 1024.
	Verdicts int
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.Parallel == 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	if o.Abandoned == 0 {
		o.Abandoned = 4
	}
	if o.Verdicts == 0 {
		o.Verdicts = 1024
	}
	return o
}

// Evaluator decides policies within limits. It is safe for concurrent use.
type Evaluator struct {
	options  Options
	slots    chan struct{}
	verdicts *lru.Cache[question, *Refusal]

	mu        sync.Mutex
	abandoned map[question]int
}

// question names everything that a verdict depends on.
type question struct {
	policy, document [sha256.Size]byte
	concrete         bool
}

// evaluation is one run of a question. Its fields belong to the lock of its
// evaluator, but for verdict, which has room for the one that it will get.
type evaluation struct {
	verdict          chan *Refusal
	ended, abandoned bool
}

// New makes an evaluator.
func New(options Options) (*Evaluator, error) {
	if options.Timeout < 0 || options.Parallel < 0 || options.Abandoned < 0 || options.Verdicts < 0 {
		return nil, fmt.Errorf("limits of cue: got %+v, want none below zero", options)
	}
	options = options.withDefaults()
	verdicts, err := lru.New[question, *Refusal](options.Verdicts)
	if err != nil {
		return nil, err
	}
	return &Evaluator{
		options: options, slots: make(chan struct{}, options.Parallel), verdicts: verdicts, abandoned: map[question]int{},
	}, nil
}

// Abandoned is how many evaluations run that nobody waits for any more.
func (e *Evaluator) Abandoned() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return int64(e.running())
}

func (e *Evaluator) running() (n int) {
	for _, count := range e.abandoned {
		n += count
	}
	return n
}

func (e *Evaluator) runningOf(policy [sha256.Size]byte) (n int) {
	for q, count := range e.abandoned {
		if q.policy == policy {
			n += count
		}
	}
	return n
}

// Validate says why a JSON document does not comply with a policy, nil when it
// does. What the policy wants and the document does not have complies, unless
// concrete: then every value has to be there.
func (e *Evaluator) Validate(ctx context.Context, policy string, document []byte, concrete bool) *Refusal {
	if refusal := tooLong(policy, document); refusal != nil {
		return refusal
	}
	q := question{sha256.Sum256([]byte(policy)), sha256.Sum256(document), concrete}
	if verdict, ok := e.verdicts.Get(q); ok {
		return verdict
	}
	if refusal := tooMuch(document); refusal != nil {
		return refusal
	}
	if ctx.Err() != nil {
		return refuse(Timeout, "the cue policy was not evaluated: no time is left")
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return refuse(Timeout, "the cue policy was not evaluated: %d others are", e.options.Parallel)
	}
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, e.options.Timeout)
	defer cancel()
	if refusal := e.refused(q); refusal != nil {
		return refusal
	}
	run := &evaluation{verdict: make(chan *Refusal, 1)}
	go e.evaluate(run, q, policy, document)
	select {
	case verdict := <-run.verdict:
		return verdict
	case <-ctx.Done():
	}
	if e.abandon(run, q) {
		return refuse(Timeout, "the cue policy was not evaluated within %v", time.Since(started).Round(10*time.Millisecond))
	}
	return <-run.verdict
}

// refused says why a question is not to be tried: it, or too many others, ran past
// their time and still run.
func (e *Evaluator) refused(q question) *Refusal {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.abandoned[q] > 0 {
		return refuse(Timeout, "the cue policy is still being evaluated, past its time")
	}
	if n, most := e.runningOf(q.policy), max(e.options.Abandoned/2, 1); n >= most {
		return refuse(Timeout, "the cue policy was not evaluated: %d evaluations of it still run past their time, want less than %d", n, most)
	}
	if n := e.running(); n >= e.options.Abandoned {
		return refuse(Timeout, "the cue policy was not evaluated: %d evaluations still run past their time, want less than %d", n, e.options.Abandoned)
	}
	return nil
}

// evaluate answers a question on a goroutine of its own. A verdict that comes too
// late serves whoever asks again.
func (e *Evaluator) evaluate(run *evaluation, q question, policy string, document []byte) {
	verdict, pure := decide(policy, document, q.concrete)
	if pure {
		e.verdicts.Add(q, verdict)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	run.ended = true
	if run.abandoned {
		if e.abandoned[q]--; e.abandoned[q] == 0 {
			delete(e.abandoned, q)
		}
	}
	run.verdict <- verdict
}

// abandon leaves an evaluation to itself, unless it has ended meanwhile.
func (e *Evaluator) abandon(run *evaluation, q question) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if run.ended {
		return false
	}
	run.abandoned = true
	e.abandoned[q]++
	return true
}
