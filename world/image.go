package world

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// defaultPlatform is that of an image which names none.
const defaultPlatform = "linux/amd64"

// nameFile is the file of every layer that holds the image's name.
const nameFile = "etc/world-image"

// pushImage writes the image under its tag. Its digest depends on the
// description alone.
func (s *shelf) pushImage(name string, i Image, clock time.Time) (descriptor, error) {
	if len(i.Platforms) == 0 {
		return s.pushPlatform(name, i, defaultPlatform, i.Tag, clock)
	}
	index := manifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, platform := range i.Platforms {
		d, err := s.pushPlatform(name, i, platform, "", clock)
		if err != nil {
			return descriptor{}, err
		}
		if d.Platform, err = v1.ParsePlatform(platform); err != nil {
			return descriptor{}, err
		}
		index.Manifests = append(index.Manifests, d)
	}
	return s.pushManifest(i.Tag, index)
}

func (s *shelf) pushPlatform(name string, i Image, platform, tag string, clock time.Time) (descriptor, error) {
	plain, err := i.layer(name, clock)
	if err != nil {
		return descriptor{}, fmt.Errorf("layer: %w", err)
	}
	config, err := i.configFile(platform, digestOf(plain), clock)
	if err != nil {
		return descriptor{}, fmt.Errorf("config: %w", err)
	}
	var packed bytes.Buffer
	compressor := gzip.NewWriter(&packed)
	if _, err := compressor.Write(plain); err != nil {
		return descriptor{}, err
	}
	if err := compressor.Close(); err != nil {
		return descriptor{}, err
	}
	m := manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	if m.Config, err = s.pushBlob(string(types.OCIConfigJSON), config); err != nil {
		return descriptor{}, err
	}
	l, err := s.pushBlob(string(types.OCILayer), packed.Bytes())
	if err != nil {
		return descriptor{}, err
	}
	m.Layers = []descriptor{l}
	return s.pushManifest(tag, m)
}

// configFile is the image's configuration for one platform.
func (i Image) configFile(platform, diffID string, clock time.Time) ([]byte, error) {
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	layer, err := v1.NewHash(diffID)
	if err != nil {
		return nil, err
	}
	created := i.Config.Created
	if created.IsZero() {
		created = clock
	}
	return json.Marshal(v1.ConfigFile{
		OS: p.OS, Architecture: p.Architecture, Variant: p.Variant,
		Created: v1.Time{Time: created},
		Config: v1.Config{
			User: i.Config.User, Env: i.Config.Env, Entrypoint: i.Config.Entrypoint,
			Cmd: i.Config.Cmd, Labels: i.Config.Labels,
		},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{layer}},
	})
}

// layer is the tar archive of the image's files. A file of ours names the image,
// so that two images are never one digest: what is signed for one must not hold
// for another unless a story says so.
func (i Image) layer(name string, clock time.Time) ([]byte, error) {
	files := maps.Clone(i.Files)
	if files == nil {
		files = map[string]string{}
	}
	files[nameFile] = name + "\n"
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{
			Name: strings.TrimPrefix(path, "/"), Size: int64(len(files[path])), Mode: 0o644,
			ModTime: clock, Format: tar.FormatPAX,
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write([]byte(files[path])); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), archive.Close()
}
