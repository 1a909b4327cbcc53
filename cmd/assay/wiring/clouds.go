package wiring

import (
	"fmt"
	"net/http"
	"time"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/cloud"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/pullsecret"
	"github.com/assay-dev/assay/builtins/oci/registries"
)

// AskWith sets the credentials of whoever runs the program. Those of clouds stand behind them.
func (w *Wiring) AskWith(credentials oci.Credentials) {
	w.Credentials = pullsecret.Before(credentials, w.clouds)
}

// listed is what the file of registries says.
func (f *Flags) listed() (*registries.Config, error) {
	if f.Registries == "" {
		return nil, nil
	}
	config, err := registries.Read(f.Registries)
	if err != nil {
		return nil, fmt.Errorf("--registries: %w", err)
	}
	return config, nil
}

// cloudCredentials are those for the registries that the flag lists. timeout is a decision's: half of it is left for
// the registry.
func (f *Flags) cloudCredentials(config *registries.Config, timeout time.Duration, failed func(error)) (oci.Credentials, error) {
	for _, host := range f.CloudCredentials {
		if config.Plain(host) {
			return oci.Credentials{}, fmt.Errorf("--cloud-credentials: got %s, which --registries has asked over plain HTTP", host)
		}
	}
	network := config.Network(edge.Pool{Guard: edge.Guard{Private: f.PrivateRegistries}, Concurrency: 1}, time.Now)
	found, err := cloud.Credentials(f.CloudCredentials, cloud.Options{
		Timeout: timeout / 2, Failed: failed,
		Registry: func(host string) http.RoundTripper { return network.Over(host) },
	})
	if err != nil {
		return oci.Credentials{}, fmt.Errorf("--cloud-credentials: %w", err)
	}
	return found, nil
}
