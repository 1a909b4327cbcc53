package exchange

import (
	"context"
	"encoding/json"

	"github.com/assay-dev/assay/builtins/oci"
)

// recording asks a registry and takes down what it answers.
type recording struct{ from Registry }

var _ Registry = recording{}

// Recording is a registry whose every exchange goes to the log of the context, where
// there is one. It asks nothing of its own.
func Recording(from Registry) Registry { return recording{from} }

// heard is one exchange.
func heard[V any](ctx context.Context, call Call, ask func() (V, error)) (V, error) {
	answer, err := ask()
	if log := logOf(ctx); log != nil {
		e := Exchange{Call: call, Err: refusalOf(err)}
		if err == nil {
			e.Answer = answer
		}
		log.add(e)
	}
	return answer, err
}

// Resolve implements [Registry].
func (r recording) Resolve(ctx context.Context, cred oci.Credentials, ref string) (string, error) {
	return heard(ctx, resolve(cred, ref), func() (string, error) { return r.from.Resolve(ctx, cred, ref) })
}

// Signatures implements [Registry].
func (r recording) Signatures(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return heard(ctx, attached("signatures", cred, ref, at), func() (oci.List, error) { return r.from.Signatures(ctx, cred, ref, at) })
}

// Attestations implements [Registry].
func (r recording) Attestations(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return heard(ctx, attached("attestations", cred, ref, at), func() (oci.List, error) { return r.from.Attestations(ctx, cred, ref, at) })
}

// Bundles implements [Registry].
func (r recording) Bundles(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return heard(ctx, attached("bundles", cred, ref, at), func() (oci.List, error) { return r.from.Bundles(ctx, cred, ref, at) })
}

// Count implements [Registry].
func (r recording) Count(ctx context.Context, cred oci.Credentials, ref string, at oci.Place, storage oci.Storage) (int, error) {
	return heard(ctx, attached("count", cred, ref, at, string(storage)), func() (int, error) {
		return r.from.Count(ctx, cred, ref, at, storage)
	})
}

// Manifest implements [Registry].
func (r recording) Manifest(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error) {
	return heard(ctx, pinned("manifest", cred, ref), func() ([]byte, error) { return r.from.Manifest(ctx, cred, ref) })
}

// Index implements [Registry].
func (r recording) Index(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error) {
	return heard(ctx, pinned("index", cred, ref), func() ([]byte, error) { return r.from.Index(ctx, cred, ref) })
}

// Configs implements [Registry].
func (r recording) Configs(ctx context.Context, cred oci.Credentials, ref string) (map[string]json.RawMessage, error) {
	return heard(ctx, pinned("configs", cred, ref), func() (map[string]json.RawMessage, error) { return r.from.Configs(ctx, cred, ref) })
}

// Config implements [Registry].
func (r recording) Config(ctx context.Context, cred oci.Credentials, ref string) (json.RawMessage, error) {
	return heard(ctx, pinned("config", cred, ref), func() (json.RawMessage, error) { return r.from.Config(ctx, cred, ref) })
}

// Blob implements [Registry].
func (r recording) Blob(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error) {
	return heard(ctx, pinned("blob", cred, ref), func() ([]byte, error) { return r.from.Blob(ctx, cred, ref) })
}

// Referrers implements [Registry].
func (r recording) Referrers(ctx context.Context, cred oci.Credentials, ref string) ([]oci.Referrer, error) {
	return heard(ctx, pinned("referrers", cred, ref), func() ([]oci.Referrer, error) { return r.from.Referrers(ctx, cred, ref) })
}

// Files implements [Registry].
func (r recording) Files(ctx context.Context, cred oci.Credentials, ref string, paths []string) (oci.Files, error) {
	return heard(ctx, pinned("files", cred, ref, paths...), func() (oci.Files, error) { return r.from.Files(ctx, cred, ref, paths) })
}

func resolve(cred oci.Credentials, ref string) Call {
	return Call{Name: "resolve", As: cred.ID, Ref: ref}
}

// attached is a call about what is kept for an image, perhaps elsewhere.
func attached(name string, cred oci.Credentials, ref string, at oci.Place, with ...string) Call {
	return Call{Name: name, As: cred.ID, Ref: ref, Place: at.String(), With: with}
}

// pinned is a call about what a digest names.
func pinned(name string, cred oci.Credentials, ref string, with ...string) Call {
	return Call{Name: name, As: cred.ID, Ref: ref, With: with}
}
