package canary

import (
	"sync"
	"time"
)

// Hooks are told what is counted. They must not wait, and each may be nil.
type Hooks struct {
	// Decided is told of each decision that the candidate judged.
	Decided func(Outcome)
	// Dropped is told of each that it did not: too many were waiting, or another candidate
	// came.
	Dropped func()
	// Worked is told what a judgment, or compiling, took.
	Worked func(time.Duration)
	// Fetched is told of each question to a registry.
	Fetched func()
}

func (h Hooks) decided(outcome Outcome) {
	if h.Decided != nil {
		h.Decided(outcome)
	}
}

func (h Hooks) dropped() {
	if h.Dropped != nil {
		h.Dropped()
	}
}

func (h Hooks) worked(d time.Duration) {
	if h.Worked != nil {
		h.Worked(d)
	}
}

func (h Hooks) fetched() {
	if h.Fetched != nil {
		h.Fetched()
	}
}

// allowance is how many questions a minute may have, each minute anew.
type allowance struct {
	most int
	now  func() time.Time
	took func()

	mu    sync.Mutex
	since time.Time
	used  int
}

// Left implements recording.Allowance.
func (a *allowance) Left() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left()
}

func (a *allowance) left() bool {
	if now := a.now(); now.Sub(a.since) >= time.Minute {
		a.since, a.used = now, 0
	}
	return a.used < a.most
}

// Take implements recording.Allowance.
func (a *allowance) Take() bool {
	a.mu.Lock()
	ok := a.left()
	if ok {
		a.used++
	}
	a.mu.Unlock()
	if ok {
		a.took()
	}
	return ok
}
