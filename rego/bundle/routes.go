package bundle

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/assay-dev/assay/rego/bundle/archive"
)

// OPA shows a configuration that was discovered to the hook before it looks at the rest of it,
// which it may refuse. So what the hook makes of a configuration is staged, and nothing of
// what serves is changed. It is in force once OPA has taken the configuration: it says so, or asks for
// what is in that one alone, which it may do although something failed after it had taken it.

// routes are what a configuration makes of bundles.
type routes struct {
	// feeds and carriers answer OPA, by path.
	feeds    map[string]Feed
	carriers map[string]carrier
	// asked are the URLs at which OPA asks for what neither of them has.
	asked map[string]bool
	// persisted are the URLs of bundles that OPA persists, by name.
	persisted map[string]string
	// names are those of all bundles.
	names []string
	// bundles is the text of them: a later configuration without any leaves them as they are.
	bundles json.RawMessage
	// of is the discovery bundle that has the configuration, nil where the file has it.
	of *archive.Discovery
	// apply has others know.
	apply func()
}

// stage takes the routes of a configuration that may yet be refused. The discovery bundle stays
// the one that it was.
func (b *bounds) stage(next *routes) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for path, by := range b.active.carriers {
		if strings.HasPrefix(path, ofDiscovery+"/") {
			next.carriers[path] = by
		}
	}
	b.staged, b.refused = next, false
}

// commit puts in force what is staged.
func (b *bounds) commit() {
	b.mu.Lock()
	next := b.staged
	if next != nil {
		b.active, b.staged = next, nil
		b.services.take(next.carriers)
	}
	b.mu.Unlock()
	if next == nil {
		return
	}
	if next.apply != nil {
		next.apply()
	}
	if next.of != nil && b.applied != nil {
		b.applied(*next.of)
	}
}

// said is what OPA says of what is staged. One that it refused is kept: it may have taken it all the same.
func (b *bounds) said(refused bool) {
	b.mu.Lock()
	b.refused = b.refused || refused
	refused = b.refused
	b.mu.Unlock()
	if !refused {
		b.commit()
	}
}

// route is who answers at a path, neither where nobody does.
func (b *bounds) route(path string) (Feed, carrier) {
	b.mu.Lock()
	taken := !b.active.has(path) && b.staged.has(path)
	b.mu.Unlock()
	if taken {
		b.commit()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.active.feeds[path], b.active.carriers[path]
}

func (r *routes) has(path string) bool {
	return r != nil && (r.feeds[path] != nil || r.carriers[path] != nil)
}

// asks hears of each URL that OPA asks for.
func (b *bounds) asks(at string) {
	b.mu.Lock()
	taken := b.staged != nil && b.staged.asked[at] && !b.active.asked[at]
	b.mu.Unlock()
	if taken {
		b.commit()
	}
}

// persists are the bundles that OPA persists, or will if it takes what is staged.
func (b *bounds) persists() map[string]string {
	out := map[string]string{}
	maps.Copy(out, b.active.persisted)
	if b.staged != nil {
		maps.Copy(out, b.staged.persisted)
	}
	return out
}

// names are those of the bundles of the configuration that is in force, and of one that is staged: OPA
// may have begun to take it. OPA's plugin has names as well, behind a lock that it takes twice: whoever
// asks beside a change of the configuration may wait for ever.
func (b *bounds) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(b.active.names)
	if b.staged != nil && !b.refused {
		out = append(out, b.staged.names...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// texts is the configuration of bundles that is in force, as it was written.
func (b *bounds) texts() json.RawMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.active.bundles
}

// found is the discovery bundle.
type found struct {
	at     string             // the URL that OPA asks for it at
	latest *archive.Discovery // the one that came last, nil before
}

// discovers says that the discovery bundle is asked for there.
func (b *bounds) discovers(at string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.discovery.at = at
}

// discovered reads a discovery bundle before OPA does, which evaluates what is in it.
func (b *bounds) discovered(body []byte) error {
	latest, err := archive.ReadDiscovery(body, b.limits)
	if err == nil && b.admits != nil {
		err = b.admits(*latest)
	}
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.discovery.latest = latest
	return nil
}

// latest is the discovery bundle that came last.
func (b *bounds) latest() *archive.Discovery {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.discovery.latest
}
