package bundle

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/writes"
)

// gate is the store of the plugin manager. Whatever changes it, an activation, a delta or a
// configuration without a bundle, is committed here, and nowhere else.
type gate struct {
	*writes.Store
	prepare func(context.Context, Content) (func(), error)
	removed func(context.Context, Content)
	ending  *ending
	library map[string]string // see [Options.Library]

	mu          sync.Mutex
	names       []string          // of the bundles in the store
	identities  map[string]string // of those bundles, by name: see [Bundle.identity]
	refused     error             // why the latest transaction is not
	content     [sha256.Size]byte // of all that is in the store
	unpublished bool              // that is, whoever serves does not serve it
}

func newGate(prepare func(context.Context, Content) (func(), error), removed func(context.Context, Content), library map[string]string) *gate {
	shelf := map[string]string{}
	for path, text := range library {
		shelf["library of assay/"+path] = text
	}
	return &gate{Store: writes.New(inmem.New()), library: shelf, prepare: prepare, removed: removed, ending: newEnding()}
}

// active are the bundles in the store.
func (g *gate) active() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.names
}

// bundles tell those in the store from others, by name.
func (g *gate) bundles() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.identities
}

// Commit implements [storage.Store]. It refuses what cannot serve. OPA ends in a panic where a
// bundle cannot be taken out, so that is never refused.
func (g *gate) Commit(ctx context.Context, txn storage.Transaction) error {
	wrote := g.Ended(txn)
	if wrote == nil {
		return g.Store.Commit(ctx, txn)
	}
	err := g.commit(ctx, txn, *wrote)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = err
	return err
}

// refusal is that of the latest transaction, nil where it was committed.
func (g *gate) refusal() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

func (g *gate) commit(ctx context.Context, txn storage.Transaction, wrote writes.Transaction) error {
	next, err := g.next(ctx, txn)
	before, names := g.active(), next.names()
	lost := !subset(before, names)
	// Of what cannot be read at all nobody knows the bundles, and that they seem lost says nothing.
	read := next.Modules != nil
	switch {
	case subset(names, before) && (lost && read || !wrote.Puts):
		return g.taken(ctx, txn, next, lost, err)
	case err != nil:
		g.Abort(ctx, txn)
		return err
	case len(before) == 0 && len(names) == 0, g.same(next): // a server without ETags sends it again and again
		return g.Store.Commit(ctx, txn)
	}
	ctx, cancel := g.ending.within(ctx)
	defer cancel()
	publish, err := g.prepared(ctx, next)
	if err != nil {
		g.Abort(ctx, txn)
		return err
	}
	if err := g.committed(ctx, txn, next); err != nil {
		return err
	}
	if err := guarded("publishing the bundles", publish); err != nil {
		g.unserved()
		return err
	}
	return nil
}

// taken commits what only takes bundles out, and maybe none: of what is left each was admitted, and
// OPA ends the program where it is refused. What cannot be read then, nobody is shown: with some of it
// missing it could admit more than before.
func (g *gate) taken(ctx context.Context, txn storage.Transaction, next Content, lost bool, unread error) error {
	if !lost { // and whoever serves has it, or is told by the next poll
		return g.Store.Commit(ctx, txn)
	}
	if err := g.committed(ctx, txn, next); err != nil {
		return err
	}
	if unread != nil {
		g.unserved()
		return nil
	}
	g.removed(ctx, next)
	return nil
}

// unserved has the next poll tell whoever serves of the store again.
func (g *gate) unserved() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unpublished = true
}

// same says whether a content is what the store has, bundles among it.
func (g *gate) same(next Content) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.names) > 0 && next.sum == g.content && !g.unpublished
}

func (g *gate) committed(ctx context.Context, txn storage.Transaction, next Content) error {
	if err := g.Store.Commit(ctx, txn); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.names, g.content, g.identities, g.unpublished = next.names(), next.sum, map[string]string{}, false
	for _, of := range next.Bundles {
		g.identities[of.Name] = of.identity()
	}
	return nil
}

// prepared asks whoever serves. A panic over what somebody wrote is a refusal.
func (g *gate) prepared(ctx context.Context, next Content) (publish func(), err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("preparing the bundles panicked: %.200v", cause)
		}
	}()
	return g.prepare(ctx, next)
}

// next is what the store would hold, and an error where bundles may not have that; their names it has then, too.
func (g *gate) next(ctx context.Context, txn storage.Transaction) (Content, error) {
	next, err := contentOf(ctx, g.Store, txn)
	if err != nil {
		return next, err
	}
	for _, b := range next.Bundles {
		if err := archive.Reserved(b.Roots); err != nil {
			return next, fmt.Errorf("bundle %s: %w", b.Name, err)
		}
		if err := b.About.As(b.Name); err != nil {
			return next, fmt.Errorf("bundle %s: %w", b.Name, err)
		}
		if err := able(b.About.Requires); err != nil {
			return next, fmt.Errorf("bundle %s: %w", b.Name, err)
		}
	}
	return next, next.claimed()
}

// able refuses what a later program would be needed for.
func able(requires archive.Requires) error {
	for _, name := range requires.Builtins {
		if _, known := ast.BuiltinMap[name]; !known {
			return fmt.Errorf("metadata.assay.requires.builtins: got %s, which this program has not: want a later assay", name)
		}
	}
	return nil
}

func subset(of, all []string) bool {
	return !slices.ContainsFunc(of, func(name string) bool { return !slices.Contains(all, name) })
}

// MakeDir implements [storage.MakeDirer].
func (g *gate) MakeDir(ctx context.Context, txn storage.Transaction, path storage.Path) error {
	return storage.MakeDir(ctx, g.Store, txn, path)
}

// ListPolicies implements [storage.Store]. OPA compiles what a bundle brings with what the store has:
// the library is there for it, and for nobody else.
func (g *gate) ListPolicies(ctx context.Context, txn storage.Transaction) ([]string, error) {
	ids, err := g.Store.ListPolicies(ctx, txn)
	return append(ids, slices.Sorted(maps.Keys(g.library))...), err
}

// GetPolicy implements [storage.Store].
func (g *gate) GetPolicy(ctx context.Context, txn storage.Transaction, id string) ([]byte, error) {
	if text, ok := g.library[id]; ok {
		return []byte(text), nil
	}
	return g.Store.GetPolicy(ctx, txn, id)
}
