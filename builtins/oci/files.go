package oci

import (
	"context"
	"encoding/json"
	"io"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/layers"
	"github.com/assay-dev/assay/builtins/oci/manifest"
)

const (
	// maxUnpackers bounds how many images are unpacked at a time: each may take seconds of a processor and some 70 MB.
	// Whoever comes too late waits.
	maxUnpackers = 2
	// maxImageLayers bounds the layers of an image. Docker makes at most 127.
	maxImageLayers = 256
)

// Files is what [Client.Files] found.
type Files = layers.Files

// Files reads files out of the layers of the image that the digest reference ref names, by their paths; see package
// layers for what a path may lead to. An index is refused. Every layer is read to its end, and must have the digest
// that the manifest names and the diff ID that the config file names. Layers are read from the repository of ref and
// from nowhere else: the URLs of foreign layers are not followed.
func (c *Client) Files(ctx context.Context, cred Credentials, ref string, paths []string) (Files, error) {
	if _, err := layers.New(paths, c.unpacking); err != nil { // before anything is asked
		return Files{}, err
	}
	what := "layers of " + ref
	r, d, config, err := c.single(ctx, cred, ref, "files")
	if err != nil {
		return Files{}, err
	}
	described, err := c.unpackable(what, d, config)
	if err != nil {
		return Files{}, err
	}
	if err := c.unpackers.Acquire(ctx, 1); err != nil {
		return Files{}, edge.Refusal(what, err)
	}
	defer c.unpackers.Release(1)
	var found Files
	if c.network.Mirrored(ctx, r.Registry, r.Repository, func(ctx context.Context, registry, repository string) error {
		found, err = c.unpack(ctx, cred, Reference{Registry: registry, Repository: repository}, paths, described)
		return err
	}) {
		return found, nil
	}
	return c.unpack(ctx, cred, r, paths, described)
}

// unpack reads layers, all from one repository.
func (c *Client) unpack(ctx context.Context, cred Credentials, r Reference, paths []string, described []layers.Layer) (Files, error) {
	image, err := layers.New(paths, c.unpacking)
	if err != nil {
		return Files{}, err
	}
	for _, layer := range described {
		if err := c.apply(ctx, cred, r, image, layer); err != nil {
			return Files{}, err
		}
	}
	return image.Files(), nil
}

// unpackable are the layers of an image, if they may be read.
func (c *Client) unpackable(what string, d manifest.Document, config []byte) ([]layers.Layer, error) {
	var file struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(config, &file); err != nil {
		return nil, &Error{Code: Malformed, Message: what + ": got a config file that is none of an image", Err: err}
	}
	if len(d.Layers) != len(file.RootFS.DiffIDs) {
		return nil, edge.Refuse(Malformed, "%s: got %d layers, want the %d of the config file", what, len(d.Layers), len(file.RootFS.DiffIDs))
	}
	if len(d.Layers) > maxImageLayers {
		return nil, edge.Refuse(TooLarge, "%s: got %d, want at most %d", what, len(d.Layers), maxImageLayers)
	}
	out, left := make([]layers.Layer, len(d.Layers)), c.maxImage
	for i, layer := range d.Layers {
		if err := layer.Check(what, c.maxImage); err != nil {
			return nil, err
		}
		if left -= layer.Size; left < 0 {
			return nil, edge.Refuse(TooLarge, "%s: got more than %d bytes in all", what, c.maxImage)
		}
		if !layer.IsLayer() {
			return nil, edge.Refuse(Malformed, "%s: got one of media type %.100q, want a tar of files", what, layer.MediaType)
		}
		out[i] = layers.Layer{Digest: layer.Digest, Size: layer.Size, DiffID: file.RootFS.DiffIDs[i]}
		if !manifest.IsDigest(out[i].DiffID) {
			return nil, edge.Refuse(Malformed, "%s: got the diff ID %.80q, want sha256: and 64 hexadecimal digits", what, out[i].DiffID)
		}
	}
	return out, nil
}

// apply reads one layer.
func (c *Client) apply(ctx context.Context, cred Credentials, r Reference, image *layers.Image, layer layers.Layer) error {
	what := r.Registry + "/" + r.Repository + "/blobs/" + layer.Digest
	get := request{path: "blobs/" + layer.Digest, most: layer.Size, exact: true, what: what}
	return c.ask(ctx, cred, r, what, func(s *session) error {
		return s.stream(ctx, get, func(body io.Reader) error {
			if err := image.Apply(ctx, body, layer); err != nil {
				return wrapped(what, err)
			}
			return nil
		})
	})
}
