package exchange

import (
	"maps"
	"slices"
	"strconv"
	"sync"
)

// Notes are what is noted while a decision is made. They are safe for concurrent use,
// and a nil one notes nothing.
type Notes struct {
	mu sync.Mutex
	// Of the latest evaluation: logs by question, how often policies inside policies were
	// asked, and which of those calls had no verdict for lack of time.
	logs   map[string]*Log
	calls  map[string]int
	judged []Given

	pulled []Pulled
}

// NewNotes are empty notes.
func NewNotes() *Notes { return &Notes{logs: map[string]*Log{}, calls: map[string]int{}} }

// Forget leaves an evaluation that is thrown away behind.
func (n *Notes) Forget() {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.logs)
	clear(n.calls)
	n.judged = nil
}

// Seen notes that an answer was seen, which was made from the log.
func (n *Notes) Seen(question string, log *Log) {
	if n == nil || log == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.logs[question] = log
}

// Call names a call of a policy inside a policy: the first of the evaluation, the
// second, …. Equal decisions make equal calls, so that one which had no time can be
// found again. It is empty where nobody will look for it.
func (n *Notes) Call(policy string) string {
	if n == nil {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[policy]++
	return policy + "\x00" + strconv.Itoa(n.calls[policy])
}

// Unjudged notes that a call had no verdict for lack of time.
func (n *Notes) Unjudged(call, code, message string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.judged = append(n.judged, Given{Name(call), code, message})
}

// Pulled notes what pull secrets came to: As the ID of credentials, or an error.
func (n *Notes) Pulled(p Pulled) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.ContainsFunc(n.pulled, func(q Pulled) bool { return slices.Equal(p.Names, q.Names) }) {
		n.pulled = append(n.pulled, p)
	}
}

// Cost estimates the memory that is held by what was noted, in bytes.
func (n *Notes) Cost() (sum int64) {
	if n == nil {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, log := range n.logs {
		sum += log.Cost()
	}
	return sum
}

// Tape is all that was noted. session is the ID of the credentials of the decision.
func (n *Notes) Tape(session string) Tape {
	if n == nil {
		return Tape{Session: session}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return Tape{
		Session: session, Logs: slices.Collect(maps.Values(n.logs)), Judged: slices.Clone(n.judged), Pulled: slices.Clone(n.pulled),
	}
}
