package observe

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/oci"
)

// observed tells of every question to a registry.
type observed struct {
	from exchange.Registry
	by   Observer
}

var _ exchange.Registry = observed{}

// Asking is a registry of whose every question an observer is told; nil is no observer.
// It asks nothing of its own and changes no answer.
func Asking(from exchange.Registry, by Observer) exchange.Registry {
	if by == nil {
		return from
	}
	return observed{from, by}
}

func asked[V any](ctx context.Context, by Observer, call string, ask func(context.Context) (V, error)) (V, error) {
	ctx, end := by.Begin(ctx, Work{Stage: Registry, Name: call})
	answer, err := ask(ctx)
	end(CodeOf(err))
	return answer, err
}

// CodeOf is the code of an error of a registry or of credentials, as the builtins read it;
// of none it is the empty one.
func CodeOf(err error) string {
	var refused *oci.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return string(refused.Code)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return string(oci.Timeout)
	}
	return string(oci.Malformed)
}

// Resolve implements [exchange.Registry].
func (o observed) Resolve(ctx context.Context, cred oci.Credentials, ref string) (string, error) {
	return asked(ctx, o.by, "resolve", func(ctx context.Context) (string, error) { return o.from.Resolve(ctx, cred, ref) })
}

// Signatures implements [exchange.Registry].
func (o observed) Signatures(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return asked(ctx, o.by, "signatures", func(ctx context.Context) (oci.List, error) { return o.from.Signatures(ctx, cred, ref, at) })
}

// Attestations implements [exchange.Registry].
func (o observed) Attestations(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return asked(ctx, o.by, "attestations", func(ctx context.Context) (oci.List, error) { return o.from.Attestations(ctx, cred, ref, at) })
}

// Bundles implements [exchange.Registry].
func (o observed) Bundles(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return asked(ctx, o.by, "bundles", func(ctx context.Context) (oci.List, error) { return o.from.Bundles(ctx, cred, ref, at) })
}

// Count implements [exchange.Registry].
func (o observed) Count(ctx context.Context, cred oci.Credentials, ref string, at oci.Place, storage oci.Storage) (int, error) {
	return asked(ctx, o.by, "count", func(ctx context.Context) (int, error) { return o.from.Count(ctx, cred, ref, at, storage) })
}

// Manifest implements [exchange.Registry].
func (o observed) Manifest(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error) {
	return asked(ctx, o.by, "manifest", func(ctx context.Context) ([]byte, error) { return o.from.Manifest(ctx, cred, ref) })
}

// Index implements [exchange.Registry].
func (o observed) Index(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error) {
	return asked(ctx, o.by, "index", func(ctx context.Context) ([]byte, error) { return o.from.Index(ctx, cred, ref) })
}

// Configs implements [exchange.Registry].
func (o observed) Configs(ctx context.Context, cred oci.Credentials, ref string) (map[string]json.RawMessage, error) {
	return asked(ctx, o.by, "configs", func(ctx context.Context) (map[string]json.RawMessage, error) { return o.from.Configs(ctx, cred, ref) })
}

// Config implements [exchange.Registry].
func (o observed) Config(ctx context.Context, cred oci.Credentials, ref string) (json.RawMessage, error) {
	return asked(ctx, o.by, "config", func(ctx context.Context) (json.RawMessage, error) { return o.from.Config(ctx, cred, ref) })
}

// Blob implements [exchange.Registry].
func (o observed) Blob(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error) {
	return asked(ctx, o.by, "blob", func(ctx context.Context) ([]byte, error) { return o.from.Blob(ctx, cred, ref) })
}

// Referrers implements [exchange.Registry].
func (o observed) Referrers(ctx context.Context, cred oci.Credentials, ref string) ([]oci.Referrer, error) {
	return asked(ctx, o.by, "referrers", func(ctx context.Context) ([]oci.Referrer, error) { return o.from.Referrers(ctx, cred, ref) })
}

// Files implements [exchange.Registry].
func (o observed) Files(ctx context.Context, cred oci.Credentials, ref string, paths []string) (oci.Files, error) {
	return asked(ctx, o.by, "files", func(ctx context.Context) (oci.Files, error) { return o.from.Files(ctx, cred, ref, paths) })
}
