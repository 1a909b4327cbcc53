package exchange

import (
	"slices"
	"strconv"
	"sync"
)

// Notes are what is noted while a decision is made. They are safe for concurrent use,
// and a nil one notes nothing.
type Notes struct {
	mu sync.Mutex
	// Of the latest evaluation: answers by question, how often policies inside policies were
	// asked, and which of those calls had no verdict for lack of time.
	seen   map[string]seen
	calls  map[string]int
	judged []Given

	pulled []Pulled
}

// NewNotes are empty notes.
func NewNotes() *Notes { return &Notes{seen: map[string]seen{}, calls: map[string]int{}} }

// seen is an answer of a builtin, and what it was made from where that is recorded.
type seen struct {
	answer any
	cost   int64
	log    *Log
}

// Forget leaves an evaluation that is thrown away behind.
func (n *Notes) Forget() {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.seen)
	clear(n.calls)
	n.judged = nil
}

// Seen notes that an answer was seen, what it costs to hold, and the log that it was
// made from, if there is one.
func (n *Notes) Seen(question string, answer any, cost int64, log *Log) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen[question] = seen{answer, cost, log}
}

// Answers tells of each answer that was seen, of which question it is, and what it costs
// to hold.
func (n *Notes) Answers(tell func(question string, answer any, cost int64)) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for question, s := range n.seen {
		tell(question, s.answer, s.cost)
	}
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

// Cost estimates the memory that is held by what is recorded, in bytes.
func (n *Notes) Cost() (sum int64) {
	if n == nil {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.seen {
		sum += s.log.Cost()
	}
	return sum
}

// Tape is all that was noted. session is the ID of the credentials of the decision.
func (n *Notes) Tape(session string) Tape {
	out := Tape{Session: session}
	if n == nil {
		return out
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.seen {
		if s.log != nil {
			out.Logs = append(out.Logs, s.log)
		}
	}
	out.Judged, out.Pulled = slices.Clone(n.judged), slices.Clone(n.pulled)
	return out
}
