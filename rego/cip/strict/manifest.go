package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// JSON turns one document of any kind, in YAML or JSON, into JSON: no duplicate
// keys, no aliases that explode.
func JSON(data []byte) ([]byte, error) {
	trees, err := Stream(data)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(trees, func(tree any) bool { return tree == nil })
	if len(found) != 1 {
		return nil, fmt.Errorf("got %d documents, want one", len(found))
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(found[0])
	var refused *json.MarshalerError
	if errors.As(err, &refused) {
		err = refused.Err
	}
	return bytes.TrimSpace(out.Bytes()), err
}

// MarshalJSON leaves a number as it was written.
func (n number) MarshalJSON() ([]byte, error) {
	if !json.Valid([]byte(n)) {
		return nil, fmt.Errorf("number: got %s, want one that JSON has", string(n))
	}
	return []byte(n), nil
}
