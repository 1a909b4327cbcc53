//go:build !nokms

package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/sigstore/sigstore/pkg/signature/kms/aws"
	"github.com/sigstore/sigstore/pkg/signature/kms/azure"
	"github.com/sigstore/sigstore/pkg/signature/kms/gcp"
	"github.com/sigstore/sigstore/pkg/signature/kms/hashivault"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// This file is all that knows the KMS providers. They are called by name, not
// through Sigstore's registry of providers: for a scheme that it does not know it
// looks for a program in the PATH, and runs it.
//
// Credentials are those that the provider's library takes from the environment.

// providers fetches from the KMS that the scheme of the reference names.
func providers() KMS {
	google := &googleKeys{open: map[string]*gcp.SignerVerifier{}}
	return func(ctx context.Context, reference string) (crypto.PublicKey, error) {
		switch scheme, _, _ := strings.Cut(reference, "://"); scheme {
		case "awskms":
			return awsKey(ctx, reference)
		case "azurekms":
			return azureKey(ctx, reference)
		case "gcpkms":
			return google.key(ctx, reference)
		case "hashivault", "openbao":
			return vaultKey(reference)
		default:
			return nil, fmt.Errorf("got scheme %q, want awskms, azurekms, gcpkms, hashivault or openbao", scheme)
		}
	}
}

// awsRegion finds the region of an ARN. The environment has one too, and it need
// not be that of the key.
var awsRegion = regexp.MustCompile(`/arn:aws[a-z-]*:kms:([a-z0-9-]+):`)

func awsKey(ctx context.Context, reference string) (crypto.PublicKey, error) {
	var opts []func(*config.LoadOptions) error
	if found := awsRegion.FindStringSubmatch(reference); found != nil {
		opts = append(opts, config.WithRegion(found[1]))
	}
	key, err := aws.LoadSignerVerifier(ctx, reference, opts...)
	if err != nil {
		return nil, err
	}
	return key.PublicKey(options.WithContext(ctx))
}

func azureKey(ctx context.Context, reference string) (crypto.PublicKey, error) {
	key, err := azure.LoadSignerVerifier(ctx, reference)
	if err != nil {
		return nil, err
	}
	return key.PublicKey()
}

// vaultKey knows no context: Vault's client ends by its own time-out of a minute.
// Without a token in the environment that client runs whatever token helper a
// file in the home directory names; that is not for a webhook to do.
func vaultKey(reference string) (crypto.PublicKey, error) {
	if os.Getenv("VAULT_TOKEN") == "" && os.Getenv("BAO_TOKEN") == "" {
		return nil, errors.New("got neither VAULT_TOKEN nor BAO_TOKEN in the environment, want one")
	}
	key, err := hashivault.LoadSignerVerifier(reference, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return key.PublicKey()
}

// googleKeys keeps the clients: each holds a connection that nothing closes.
type googleKeys struct {
	mu   sync.Mutex
	open map[string]*gcp.SignerVerifier
}

func (g *googleKeys) key(ctx context.Context, reference string) (crypto.PublicKey, error) {
	g.mu.Lock()
	key := g.open[reference]
	g.mu.Unlock()
	if key == nil {
		var err error
		// Its context outlives this fetch, because the client does.
		if key, err = gcp.LoadSignerVerifier(context.WithoutCancel(ctx), reference); err != nil {
			return nil, err
		}
		g.mu.Lock()
		g.open[reference] = key
		g.mu.Unlock()
	}
	return key.PublicKey(options.WithContext(ctx))
}
