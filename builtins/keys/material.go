package keys

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

// reference names what has to be fetched: a key in a KMS, or a policy behind a
// URL with its digest.
type reference struct{ kms, url, sum string }

// String names the reference in messages.
func (r reference) String() string {
	if r.kms != "" {
		return fmt.Sprintf("kms key %q", r.kms)
	}
	return "policy " + r.url
}

// material is the last good content behind a reference, and why the last attempt
// gave none.
type material struct {
	mu      sync.Mutex // fetches run side by side, and beside loads
	content string
	cause   string
	begun   bool // a fetch is under way
	asked   time.Time
	told    time.Time // since when cause has its words
	good    time.Time // when content was fetched last
}

func (m *material) read() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.content
}

// ended says why a key serves no longer that cannot be fetched any more: a KMS that
// has disabled or destroyed it answers like one that is down.
func (m *material) ended(now time.Time) string {
	if m.cause == "" || now.Sub(m.good) <= maxStale {
		return ""
	}
	return fmt.Sprintf("%s; the last good key is of %s, want none older than %s", m.cause, m.good.UTC().Format(time.RFC3339), maxStale)
}

// begin says that it is to be fetched now: nobody is fetching it.
func (m *material) begin() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.begun {
		return false
	}
	m.begun = true
	return true
}

// due reports whether it is time to fetch. A policy with its digest is never due
// again: its reference is asked for by sum first.
func (m *material) due(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	wait := retryFailed
	if m.content != "" && m.ended(now) == "" {
		wait = refreshAfter
	}
	return m.asked.IsZero() || now.Sub(m.asked) >= wait
}

// take notes the outcome of a fetch. One cause that repeats keeps its words: they
// are part of the compiled policy, which must not change with every request id.
func (m *material) take(now time.Time, content string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked, m.begun = now, false
	if err == nil {
		m.content, m.cause, m.good = content, "", now
		return
	}
	if cause := brief(err.Error()); m.cause == "" || !alike(cause, m.cause) && now.Sub(m.told) >= retell {
		m.cause, m.told = cause, now
	}
}

// retell is how long a cause keeps its words at least. Each other text is another
// policy set, which is compiled and knows no answers yet: whoever serves a policy
// badly in two ways in turn must not have that happen with every poll.
const retell = 10 * time.Minute

// varying is what differs between two equal errors: ports, times, request ids. A
// status code is shorter.
var varying = regexp.MustCompile(`[0-9a-fA-F-]{4,}`)

func alike(a, b string) bool {
	return varying.ReplaceAllString(a, "#") == varying.ReplaceAllString(b, "#")
}

// The text of a stranger becomes part of a denial, and is bounded: what was asked
// stands at its head, and why in vain at its end.
const causeHead, causeTail = 200, 300

// brief leaves one short line of text.
func brief(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if runes := []rune(text); len(runes) > causeHead+causeTail {
		text = string(runes[:causeHead]) + " … " + string(runes[len(runes)-causeTail:])
	}
	return text
}

// fetch asks once, within its time.
func (r *Resolver) fetch(ctx context.Context, ref reference) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if ref.kms != "" {
		content, err := r.publicKey(ctx, ref.kms)
		if err != nil {
			return "", fmt.Errorf("%s: %w", ref, err)
		}
		return content, nil
	}
	return r.remote(ctx, ref)
}
