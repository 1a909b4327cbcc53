package artifact_test

import (
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
)

// withManifest is an image whose manifest says something else than its parts.
type withManifest struct {
	v1.Image
	manifest *v1.Manifest
}

func (w withManifest) Manifest() (*v1.Manifest, error) { return w.manifest, nil }
func (w withManifest) RawManifest() ([]byte, error)    { return json.Marshal(w.manifest) }
func (w withManifest) Digest() (v1.Hash, error)        { return partial.Digest(w) }
func (w withManifest) Size() (int64, error)            { return partial.Size(w) }
func (w withManifest) Layers() ([]v1.Layer, error)     { return nil, nil }
