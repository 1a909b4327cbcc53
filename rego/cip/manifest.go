package cip

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// ManifestJSON turns one document of any kind, in YAML or JSON, into JSON, by
// the strict reading of policies: no duplicate keys, no aliases that explode.
func ManifestJSON(data []byte) ([]byte, error) {
	trees, err := readStream(data)
	if err != nil {
		return nil, err
	}
	var found []any
	for _, tree := range trees {
		if tree != nil {
			found = append(found, tree)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("got %d documents, want one", len(found))
	}
	plain, err := plainTree(found[0])
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(plain)
	return bytes.TrimSpace(out.Bytes()), err
}

// plainTree makes numbers marshal as they were written.
func plainTree(tree any) (any, error) {
	switch tree := tree.(type) {
	case number:
		if !json.Valid([]byte(tree)) {
			return nil, fmt.Errorf("number: got %s, want one that JSON has", tree)
		}
		return json.Number(tree), nil
	case []any:
		out := make([]any, len(tree))
		for i, element := range tree {
			var err error
			if out[i], err = plainTree(element); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(tree))
		for key, element := range tree {
			var err error
			if out[key], err = plainTree(element); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return tree, nil
}
