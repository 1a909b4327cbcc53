package artifact

import (
	"context"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/edge"
)

// Tag gives a bundle another tag in its own repository. ref names it by digest, and tag by
// registry/repository:tag. What is pushed is its very manifest: the digest stays, and with
// it the signatures that are about it. They are kept in that repository, so that another
// one is refused. What is there under the tag gives way to it.
func Tag(ctx context.Context, way Way, ref, tag string) error {
	from, err := oci.Parse(ref)
	if err != nil {
		return err
	}
	to, err := oci.Parse(tag)
	if err != nil {
		return err
	}
	switch {
	case from.Digest == "":
		return edge.Refuse(edge.Malformed, "reference %q: got no digest, want the bundle by digest: a tag may name another one in a moment", ref)
	case to.Digest != "" || to.Tag == "":
		return edge.Refuse(edge.Malformed, "reference %q: got a digest, want a tag", tag)
	case from.Registry != to.Registry || from.Repository != to.Repository:
		return edge.Refuse(edge.Malformed, "reference %q: got repository %s/%s, want %s/%s: that is where the signatures are",
			tag, to.Registry, to.Repository, from.Registry, from.Repository)
	}
	at, options, err := way.to(ctx, to)
	if err != nil {
		return err
	}
	what := "manifest " + from.Name
	manifest, err := remote.Get(at.Context().Digest(from.Digest), options...)
	if err != nil {
		return refusal(what, err)
	}
	// Get holds the bytes to the digest; that they are a bundle is for here to see.
	if _, err := Layer(what, manifest.Manifest, MaxBytes); err != nil {
		return err
	}
	if got := digestOf(manifest.Manifest); got != from.Digest {
		return edge.Refuse(edge.DigestMismatch, "%s: got bytes with digest %s", what, got)
	}
	if err := remote.Tag(at, manifest, options...); err != nil {
		return refusal("tag "+to.Name, err)
	}
	return nil
}
