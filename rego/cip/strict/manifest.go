package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// JSON turns one document of any kind, in YAML or JSON, into JSON: no duplicate
// keys, no aliases that explode.
func JSON(data []byte) ([]byte, error) {
	found, err := Documents(data)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("got %d documents, want one", len(found))
	}
	return found[0], nil
}

// Documents is JSON for a stream of any number of documents. Empty ones are left out.
func Documents(data []byte) ([]json.RawMessage, error) {
	trees, err := Stream(data)
	if err != nil {
		return nil, err
	}
	var found []json.RawMessage
	for _, tree := range trees {
		if tree == nil {
			continue
		}
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		err := encoder.Encode(tree)
		var refused *json.MarshalerError
		if errors.As(err, &refused) {
			err = refused.Err
		}
		if err != nil {
			return nil, err
		}
		found = append(found, bytes.TrimSpace(out.Bytes()))
	}
	return found, nil
}

// MarshalJSON leaves a number as it was written.
func (n number) MarshalJSON() ([]byte, error) {
	if !json.Valid([]byte(n)) {
		return nil, fmt.Errorf("number: got %s, want one that JSON has", string(n))
	}
	return []byte(n), nil
}
