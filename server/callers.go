package server

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// LongestTimeout is the longest that an API server waits for a webhook.
const LongestTimeout = 30 * time.Second

// open says whether whoever reaches the port may ask, and the port is reached by others
// than this machine. Plain HTTP has a name that says more.
func (s *Server) open() bool {
	return s.certificates != nil && !s.config.TLS.asksClients() && !s.local()
}

const openEffect = "whoever reaches the port may ask what registries answer to the credentials that are used here"

// clients says whether those who ask are known.
func (s *Server) clients() Check {
	out := Check{Name: "clients"}
	if s.open() {
		out.Note = "there is no client CA: " + openEffect
	}
	return out
}

// waits are the webhooks for which an API server waits longer than they are decided: it
// would have had the time for what is denied by ours. It is no trouble that others wait less.
type waits struct {
	log *slog.Logger

	lock   sync.Mutex
	longer map[string]time.Duration
}

// saw takes in how long the API server waits, and how long we do.
func (w *waits) saw(webhook string, theirs, ours time.Duration) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if theirs <= ours {
		delete(w.longer, webhook)
		return
	}
	if theirs > LongestTimeout || w.longer[webhook] == theirs {
		return // it is no API server, or known
	}
	w.longer[webhook] = theirs
	w.log.Warn("timeout", "webhook", webhook, "waits", theirs.String(), "decided within", ours.String(),
		"fix", "give timeoutSeconds of the webhook and the timeout here the same value")
}

func (w *waits) check() Check {
	w.lock.Lock()
	defer w.lock.Unlock()
	var notes []string
	for _, webhook := range slices.Sorted(maps.Keys(w.longer)) {
		notes = append(notes, fmt.Sprintf("the API server waits %s for %s, longer than it is decided", w.longer[webhook], webhook))
	}
	return Check{Name: "timeout", Note: strings.Join(notes, "; ")}
}
