package wiring

import (
	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/cmd/assay/recording"
)

// Fetch is how a candidate beside the policies that serve asks for facts that their
// decisions did not see: as they would ask. serving are the documents that serve now, whose
// Secrets may be those of a policy.
func (w *Wiring) Fetch(serving func() *Documents) *recording.Fetch {
	return &recording.Fetch{
		Registry:    observe.Asking(w.registry, w.Watched.Observer),
		Tenants:     func() tenant.Source { return w.Watched.tenants(w.tenants(serving())) },
		Credentials: w.Credentials, Timeout: w.timeout,
	}
}

// Beside reads policies with other bundles than those that serve, of what is there now: it
// needs no lock of whoever loads policies.
func (w *Wiring) Beside(with *Bundled) *Wiring {
	out := *w
	out.Bundled = with
	return &out
}

// Trial is [Wiring.Beside] for what will not serve: what it refers to holds up nobody.
func (w *Wiring) Trial(with *Bundled) *Wiring {
	out := w.Beside(with)
	out.Resolver = w.Resolver.Beside()
	return out
}
