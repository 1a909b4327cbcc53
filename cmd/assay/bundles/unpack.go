package bundles

import (
	"encoding/json"
	"path"
	"strings"

	"github.com/assay-dev/assay/cmd/assay/tree"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

// unpack writes what a bundle was built of into a directory: objects as files at the top,
// Rego and data at their places.
func unpack(a *archive.Archive, dir string) error {
	objects, err := a.Resources()
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for place, object := range objects {
		text, err := json.Marshal(object)
		if err != nil {
			return err
		}
		files[strings.ReplaceAll(place, "/", "_")+".json"] = text // no name of an object has the character
	}
	for name, text := range a.Files {
		base := path.Base(name)
		switch {
		case path.Ext(name) == ".rego":
			files[name] = text
		case name == base && base == "data.json": // may have objects beside other data
			if text, err = without(text, "resources"); err != nil {
				return err
			}
			files[name] = text
		case !strings.HasPrefix(name, "resources/"):
			files[name] = text
		}
	}
	return tree.Write(dir, files)
}

func without(text []byte, name string) ([]byte, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, err
	}
	delete(object, name)
	return json.Marshal(object)
}
