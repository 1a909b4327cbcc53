package wiring

import (
	"sync"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
)

// lasting are the facts that outlive policy sets, so that a change of policies has no image fetched and verified
// anew. They are made when the first set is compiled, with what does not change later, and know no policies: those of
// a set that serves no more are held by nobody. Copies of a wiring share them.
type lasting struct {
	once  sync.Once
	facts *builtins.Facts
	err   error
}

// facts are those of the policy set of documents.
func (w *Wiring) facts(d *Documents) (*builtins.Facts, error) {
	known := w.known
	known.once.Do(func() {
		known.facts, known.err = builtins.New(observe.Asking(w.registry, w.Watched.Observer), func() trust.Roots { return trust.Roots{} }, builtins.Options{
			AnchoredIdentities: w.Flags.IdentityRegexp == "anchored", FetchTimeout: w.timeout, CUE: w.CUE,
			Observer: w.Watched.Observer, Looked: w.Watched.Looked,
			Record: w.Flags.Record.Dir != "" || w.Noted,
		})
	})
	if known.err != nil {
		return nil, known.err
	}
	return known.facts.For(func() trust.Roots {
		roots := d.Named.Roots()
		roots.Default, roots.DefaultCause = w.Root.Serving()
		return roots
	}, w.Watched.tenants(w.tenants(d))), nil
}
