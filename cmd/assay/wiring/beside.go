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
