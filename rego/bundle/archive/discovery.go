package archive

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/open-policy-agent/opa/v1/bundle"
)

// Discovery is what a discovery bundle of OPA says of itself, and the Rego in it. Its content is
// not policies but a configuration, so that it needs no roots, and no place in it is reserved.
type Discovery struct {
	Revision string
	About    About
	// Set names the content, as [Archive.Set] does.
	Set string
	// Modules are the Rego by path. OPA evaluates it to have the configuration.
	Modules map[string]string
}

// ReadDiscovery is [Read] for a discovery bundle: the same bounds, paths and files.
func ReadDiscovery(data []byte, limits Limits) (*Discovery, error) {
	limits = limits.orDefaults()
	if int64(len(data)) > limits.Compressed {
		return nil, fmt.Errorf("%w: got %d bytes, want at most %d", ErrTooLarge, len(data), limits.Compressed)
	}
	files, _, err := unpack(data, limits)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		errs = append(errs, expected(name))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if _, delta := files[patchFile]; delta {
		return nil, errors.New("discovery bundle: got a delta, want one that is whole")
	}
	out := &Discovery{Modules: map[string]string{}}
	var manifest bundle.Manifest
	if text, ok := files[manifestFile]; ok {
		if err := out.readManifest(text, &manifest); err != nil {
			return nil, fmt.Errorf("%s: %w", manifestFile, err)
		}
	}
	delete(files, manifestFile)
	delete(files, signaturesFile)
	for name, text := range files {
		if path.Ext(name) == ".rego" {
			out.Modules[name] = string(text)
		}
	}
	out.Set = (&Archive{Manifest: manifest, Files: files}).Set()
	if out.About.Format != "" && out.About.Set != out.Set {
		return nil, fmt.Errorf("%s: metadata.assay.set: got %s, want %s, that of the content", manifestFile, out.About.Set, out.Set)
	}
	return out, nil
}

func (d *Discovery) readManifest(text []byte, manifest *bundle.Manifest) (err error) {
	if err := decode(text, manifest); err != nil {
		return err
	}
	if err := printable(manifest.Revision); err != nil {
		return fmt.Errorf("revision: %w", err)
	}
	d.Revision = manifest.Revision
	d.About, err = readAbout(manifest.Metadata)
	return err
}
