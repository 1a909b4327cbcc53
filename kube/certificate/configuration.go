package certificate

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// patchOf is the JSON patch after which every webhook of a configuration trusts the bundle,
// and none if every one does. It changes nothing else, and nothing of another version than
// the one that was seen: naming that one is a condition to the API server.
func patchOf(configuration *unstructured.Unstructured, bundle []byte) ([]byte, error) {
	if managed(configuration) {
		return nil, errManaged
	}
	webhooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	wanted := base64.StdEncoding.EncodeToString(bundle)
	patch := []operation{{"replace", "/metadata/resourceVersion", configuration.GetResourceVersion()}}
	for i, webhook := range webhooks {
		fields, ok := webhook.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("webhooks[%d]: got %T, want an object", i, webhook)
		}
		found, _, err := unstructured.NestedString(fields, "clientConfig", "caBundle")
		if err != nil {
			return nil, fmt.Errorf("webhooks[%d]: %w", i, err)
		}
		if found != wanted {
			patch = append(patch, operation{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), wanted})
		}
	}
	if len(patch) == 1 {
		return nil, nil
	}
	return json.Marshal(patch)
}
