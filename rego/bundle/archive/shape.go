package archive

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Shape is [Read] for what may be a discovery bundle as well, which has no roots: one that
// says none, or all of data, has its archive looked at, its bounds and its paths, and no content. Any other, a
// delta among them, is read whole. delta says that it only changes another one.
func Shape(data []byte, limits Limits) (delta bool, err error) {
	limits = limits.orDefaults()
	if int64(len(data)) > limits.Compressed {
		return false, fmt.Errorf("%w: got %d bytes, want at most %d", ErrTooLarge, len(data), limits.Compressed)
	}
	files, written, err := unpack(data, limits)
	if err != nil {
		return false, err
	}
	var manifest struct {
		Roots *[]string `json:"roots"`
	}
	_, delta = files[patchFile]
	if text, ok := files[manifestFile]; ok {
		if err := json.Unmarshal(text, &manifest); err != nil {
			return delta, fmt.Errorf("%s: %w", manifestFile, err)
		}
	}
	all := manifest.Roots == nil || slices.Contains(*manifest.Roots, "") // which a bundle of policies may not have
	if all && !delta {
		return false, nil
	}
	_, err = assemble(files, written)
	return delta, err
}

// AboutOf is metadata.assay of the metadata of a manifest; the zero value where it has none.
func AboutOf(metadata map[string]any) (About, error) { return readAbout(metadata) }
