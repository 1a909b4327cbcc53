// Package artifact is a policy bundle as an image: what is pushed to a registry, signed
// there by cosign as any image is, and pulled by its digest.
//
// The image has one layer, the bundle as it is, with the media type by which OPA's own
// downloader finds it, and a config file as other images have. Equal bundles of equal
// revisions are equal images: the digest that is signed can be computed from the file.
//
// [Pull] believes nothing but a digest: the manifest must hash to the one that was asked
// for, the layer to the one that the manifest names, and both are bounded before they are
// read. An image with another layer beside the bundle, or with one of another type, is
// refused: OPA would take the first that it knows, and another reader another one.
//
// Whether the bundle may be trusted is not known here.
package artifact

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/manifest"
)

// MaxBytes bounds a bundle in a registry where nobody says another bound.
const MaxBytes = 64 << 20

// MaxManifest bounds the manifest of a bundle: one with one layer has 600 bytes.
const MaxManifest = 64 << 10

// mostUnpacked bounds what is read of a bundle to compute the digest of its tar, which a
// config file has to name: a file of one's own may be a bomb, too.
const mostUnpacked = 1 << 30

// layerType is the media type by which OPA's downloader finds the bundle.
const layerType = types.OCILayer

// Image is the image of a bundle, which is a gzip of a tar. The revision stands in an
// annotation, for people: what a bundle's revision is, the bundle says.
func Image(bundle []byte, revision string) (v1.Image, error) {
	made, err := layerOf(bundle)
	if err != nil {
		return nil, err
	}
	out := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if out, err = mutate.AppendLayers(out, made); err != nil {
		return nil, fmt.Errorf("image of a bundle: %w", err)
	}
	annotations := map[string]string{"org.opencontainers.image.title": "bundle.tar.gz"}
	if revision != "" {
		annotations["org.opencontainers.image.version"] = revision
	}
	return mutate.Annotations(out, annotations).(v1.Image), nil
}

// layer is a bundle as the layer of an image.
type layer struct {
	content      []byte
	digest, tars v1.Hash
}

func layerOf(bundle []byte) (*layer, error) {
	tar, err := gzip.NewReader(bytes.NewReader(bundle))
	if err != nil {
		return nil, fmt.Errorf("bundle: got no gzip, want a .tar.gz: %w", err)
	}
	hash := sha256.New()
	switch n, err := io.Copy(hash, io.LimitReader(tar, mostUnpacked+1)); {
	case err != nil:
		return nil, fmt.Errorf("bundle: got a broken gzip: %w", err)
	case n > mostUnpacked:
		return nil, fmt.Errorf("bundle: got more than %d bytes unpacked, want at most that", mostUnpacked)
	}
	sum := sha256.Sum256(bundle)
	return &layer{bundle, hashOf(sum[:]), hashOf(hash.Sum(nil))}, nil
}

func hashOf(sum []byte) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum)} }

// Digest implements v1.Layer.
func (l *layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID implements v1.Layer.
func (l *layer) DiffID() (v1.Hash, error) { return l.tars, nil }

// Compressed implements v1.Layer.
func (l *layer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.content)), nil
}

// Uncompressed implements v1.Layer.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	return gzip.NewReader(bytes.NewReader(l.content))
}

// Size implements v1.Layer.
func (l *layer) Size() (int64, error) { return int64(len(l.content)), nil }

// MediaType implements v1.Layer.
func (l *layer) MediaType() (types.MediaType, error) { return layerType, nil }

// Layer finds the bundle in the manifest of an image; most bounds it. That the manifest is
// the one of a digest is for the caller to know.
func Layer(what string, text []byte, most int64) (manifest.Descriptor, error) {
	if len(text) > MaxManifest {
		return manifest.Descriptor{}, edge.Refuse(edge.TooLarge, "%s: got %d bytes, want at most the %d of a bundle's", what, len(text), MaxManifest)
	}
	d, err := manifest.ParseDocument(what, text)
	if err != nil {
		return manifest.Descriptor{}, err
	}
	switch kind := d.Kind(); {
	case kind == manifest.AnIndex:
		return manifest.Descriptor{}, edge.Refuse(edge.Malformed, "%s: got an index of %d manifests, want the image of one bundle", what, len(d.Manifests))
	case kind != manifest.AnImage:
		return manifest.Descriptor{}, edge.Refuse(edge.Malformed, "%s: got media type %.100q, want the image of a bundle", what, d.MediaType)
	case len(d.Layers) != 1:
		return manifest.Descriptor{}, edge.Refuse(edge.Malformed, "%s: got %d layers, want one, which is the bundle", what, len(d.Layers))
	case d.Layers[0].MediaType != string(layerType):
		return manifest.Descriptor{}, edge.Refuse(edge.Malformed, "%s: layers[0]: got media type %.100q, want %s", what, d.Layers[0].MediaType, layerType)
	}
	if refused := d.Layers[0].Check(what+": layers[0]", most); refused != nil {
		return manifest.Descriptor{}, refused
	}
	return d.Layers[0], nil
}

// Pulled is a bundle out of a registry.
type Pulled struct {
	// Ref is the reference by digest, registry/repository@sha256:….
	Ref string
	// Digest is that of the manifest: what signatures are about.
	Digest string
	// Manifest hashes to Digest, and names the digest of Bundle.
	Manifest []byte
	Bundle   []byte
}

// Pull reads the bundle that ref names; most bounds its bytes. A tag is resolved once, and
// all else is read by digest.
func Pull(ctx context.Context, client *oci.Client, credentials oci.Credentials, ref string, most int64) (out Pulled, err error) {
	r, err := oci.Parse(ref)
	if err != nil {
		return out, err
	}
	if out.Digest, err = client.Resolve(ctx, credentials, ref); err != nil {
		return out, err
	}
	out.Ref = r.Registry + "/" + r.Repository + "@" + out.Digest
	if out.Manifest, err = client.Manifest(ctx, credentials, out.Ref); err != nil {
		return out, err
	}
	layer, err := Layer("manifest "+out.Ref, out.Manifest, most)
	if err != nil {
		return out, err
	}
	out.Bundle, err = client.Layer(ctx, credentials, out.Ref, layer, most)
	return out, err
}

// Check is the chain from a digest to the bytes of a bundle, for what was pulled before:
// the manifest has the digest, and the bundle is what the manifest names.
func Check(digest string, text, bundle []byte) error {
	if got := digestOf(text); got != digest {
		return edge.Refuse(edge.DigestMismatch, "manifest: got bytes with digest %s, want %s", got, digest)
	}
	layer, err := Layer("manifest "+digest, text, int64(len(bundle)))
	if err != nil {
		return err
	}
	if got := digestOf(bundle); got != layer.Digest || int64(len(bundle)) != layer.Size {
		return edge.Refuse(edge.DigestMismatch, "bundle: got %d bytes with digest %s, want %d with %s", len(bundle), got, layer.Size, layer.Digest)
	}
	return nil
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
