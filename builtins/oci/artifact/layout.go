package artifact

import (
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// WriteLayout writes an image as an OCI layout, into a directory that is empty or not there.
func WriteLayout(dir string, image v1.Image) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s: got a directory with %d entries, want an empty one, or none", dir, len(entries))
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if err := path.AppendImage(image); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

// ReadLayout reads the image of a bundle out of an OCI layout that has no other; most
// bounds the bundle. What has another digest than it should is refused.
func ReadLayout(dir string, most int64) (image v1.Image, bundle []byte, err error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	if len(list.Manifests) != 1 {
		return nil, nil, fmt.Errorf("%s: got %d images, want the one of a bundle", dir, len(list.Manifests))
	}
	digest := list.Manifests[0].Digest
	if image, err = index.Image(digest); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	text, err := image.RawManifest()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	d, err := Layer("manifest "+digest.String(), text, most)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	if bundle, err = readBlob(layout.Path(dir), d.Digest, most); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	if err := Check(digest.String(), text, bundle); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	return image, bundle, nil
}

func readBlob(from layout.Path, digest string, most int64) ([]byte, error) {
	hash, err := v1.NewHash(digest)
	if err != nil {
		return nil, err
	}
	blob, err := from.Blob(hash)
	if err != nil {
		return nil, err
	}
	defer func() { _ = blob.Close() }() // only read
	return io.ReadAll(io.LimitReader(blob, most+1))
}
