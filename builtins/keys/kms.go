package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/assay-dev/assay/rego/cip/pubkey"
)

var errNoProviders = errors.New("this binary was built without KMS providers (build tag nokms)")

// publicKey asks the KMS and gives up with ctx, even where a provider does not:
// some of their libraries know no context, and end by their own time-outs.
func (r *Resolver) publicKey(ctx context.Context, name string) (string, error) {
	if r.kms == nil {
		return "", errNoProviders
	}
	type answer struct {
		key crypto.PublicKey
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				answered <- answer{err: fmt.Errorf("provider: %v", fault)}
			}
		}()
		key, err := r.kms(ctx, name)
		answered <- answer{key, err}
	}()
	select {
	case <-ctx.Done():
		return "", fmt.Errorf("no answer within %v", r.timeout)
	case got := <-answered:
		if got.err != nil {
			return "", got.err
		}
		return encode(got.key)
	}
}

// encode writes a public key as the data of a policy.
func encode(key crypto.PublicKey) (string, error) {
	text, err := cryptoutils.MarshalPublicKeyToPEM(key)
	if err != nil {
		return "", err
	}
	return pubkey.Parse(text)
}
