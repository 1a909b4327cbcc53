package certificate

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/assay-dev/assay/kube/watch"
)

// mostCause bounds what is told of an error.
const mostCause = 500

// trouble is what could not be written.
type trouble struct {
	log *slog.Logger

	lock sync.Mutex
	of   map[string]watch.Problem
}

func newTrouble(log *slog.Logger) *trouble {
	return &trouble{log: log, of: map[string]watch.Problem{}}
}

// note takes in what became of something. That somebody was faster is no trouble.
func (t *trouble) note(what string, err error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, errChanged) {
		delete(t.of, what)
		return
	}
	now := watch.Problem{What: what, Since: time.Now(), Cause: err.Error()}
	if len(now.Cause) > mostCause {
		now.Cause = strings.ToValidUTF8(now.Cause[:mostCause], "") + "…"
	}
	before, troubled := t.of[what]
	if troubled {
		now.Since = before.Since
	}
	t.of[what] = now
	if !troubled || before.Cause != now.Cause {
		t.log.Warn("certificate: not kept", "what", what, "cause", now.Cause)
	}
}

func (t *trouble) problems() []watch.Problem {
	t.lock.Lock()
	defer t.lock.Unlock()
	var out []watch.Problem
	for _, what := range slices.Sorted(maps.Keys(t.of)) {
		out = append(out, t.of[what])
	}
	return out
}
