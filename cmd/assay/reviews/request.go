package reviews

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/assay-dev/assay/rego/cip/strict"
)

// Request is what a review says of its request beside the object. What is empty stays
// as it is.
type Request struct {
	Operation, Namespace, User string
	Groups                     []string
}

// Of is the review with what the request says. What is deleted is the old object, as
// the API server has it.
func Of(review []byte, r Request) ([]byte, error) {
	var tree map[string]any
	decoder := json.NewDecoder(bytes.NewReader(review))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	request, ok := tree["request"].(map[string]any)
	if !ok {
		return nil, errors.New("review: got no request")
	}
	if r.Namespace != "" {
		request["namespace"] = r.Namespace
		if object, ok := request["object"].(map[string]any); ok {
			metadata, _ := object["metadata"].(map[string]any)
			if metadata == nil {
				metadata = map[string]any{}
				object["metadata"] = metadata
			}
			metadata["namespace"] = r.Namespace
		}
	}
	if r.User != "" {
		request["userInfo"] = map[string]any{"username": r.User, "groups": r.Groups}
	}
	if r.Operation != "" {
		request["operation"] = r.Operation
	}
	if r.Operation == "DELETE" {
		request["oldObject"], request["object"] = request["object"], nil
	}
	return json.Marshal(tree)
}

// Given is a review that somebody wrote, in YAML or JSON.
func Given(text []byte) ([]byte, error) {
	review, err := strict.JSON(text)
	if err != nil {
		return nil, err
	}
	var head struct {
		Kind    string          `json:"kind"`
		Request json.RawMessage `json:"request"`
	}
	if err := json.Unmarshal(review, &head); err != nil {
		return nil, err
	}
	if head.Kind != "AdmissionReview" || len(head.Request) == 0 {
		return nil, errors.New("review: got another object, want an AdmissionReview with a request")
	}
	return review, nil
}
