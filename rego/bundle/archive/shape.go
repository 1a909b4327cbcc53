package archive

import "fmt"

// Shape says whether data is an archive within bounds, whose paths are such as [Read] takes
// them. It is for what is more than one bundle: a discovery bundle has no roots.
func Shape(data []byte, limits Limits) error {
	limits = limits.orDefaults()
	if int64(len(data)) > limits.Compressed {
		return fmt.Errorf("%w: got %d bytes, want at most %d", ErrTooLarge, len(data), limits.Compressed)
	}
	_, _, err := unpack(data, limits)
	return err
}

// AboutOf is metadata.assay of the metadata of a manifest; the zero value where it has none.
func AboutOf(metadata map[string]any) (About, error) { return readAbout(metadata) }
