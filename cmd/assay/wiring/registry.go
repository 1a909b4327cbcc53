package wiring

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/builtins/oci/pullsecret"
)

// AddRegistry adds the flags about registries alone, for commands without an engine.
func (f *Flags) AddRegistry(cmd *cobra.Command, privateRegistries bool) {
	flags := cmd.Flags()
	flags.BoolVar(&f.PrivateRegistries, "allow-private-registries", privateRegistries, "dial registries on loopback and private addresses")
	flags.StringVar(&f.Registries, "registries", "", "`file` about single registries: CAs, client certificates, plain HTTP and mirrors")
	flags.StringSliceVar(&f.CloudCredentials, "cloud-credentials", nil, "`hosts` of registries of ECR, Artifact Registry or ACR that are asked with a token of their cloud where there are no other credentials (repeatable)")
}

// AddTrust adds the flags about the default trust root.
func (f *Flags) AddTrust(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.TrustedRoot, "trusted-root", "", "trusted_root.json `file` for authorities without trustRootRef, instead of public-good Sigstore by TUF")
	f.TUF.add(cmd)
}

// Registry is the client of all registries; it is asked with [Wiring.Credentials].
func (w *Wiring) Registry() *oci.Client { return w.registry }

// Way is how registries are written to, and the client that reads, of a program without an
// engine, which is run by who has the credentials.
func (f *Flags) Way(timeout time.Duration) (artifact.Way, *oci.Client, error) {
	config, err := f.listed()
	if err != nil {
		return artifact.Way{}, nil, err
	}
	client, err := f.registry(config, timeout, nil)
	if err != nil {
		return artifact.Way{}, nil, err
	}
	clouds, err := f.cloudCredentials(config, timeout, func(error) {}) // the registry says what is missing
	if err != nil {
		return artifact.Way{}, nil, err
	}
	credentials := pullsecret.Before(oci.LocalCredentials(), clouds)
	return artifact.Way{Private: f.PrivateRegistries, Registries: config, Credentials: credentials}, client, nil
}
