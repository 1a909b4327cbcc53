package stranger_test

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/cmd/assay/doctor/stranger"
	"github.com/assay-dev/assay/rego/cip"
)

// TestWhyAStrangerIsAdmitted: what explains it is somebody's wish, and all else is a fault.
func TestWhyAStrangerIsAdmitted(t *testing.T) {
	t.Parallel()
	const pass, fail = `"authorities": [{"static": {"action": "pass"}}]`, `"authorities": [{"static": {"action": "fail"}}]`
	policy := func(spec string) unstructured.Unstructured {
		var out unstructured.Unstructured
		text := `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "a"}, "spec": {` + spec + `}, "status": {"conditions": []}}`
		if err := json.Unmarshal([]byte(text), &out.Object); err != nil {
			t.Fatal(err)
		}
		return out
	}
	of := func(specs ...string) (out []unstructured.Unstructured) {
		for _, spec := range specs {
			out = append(out, policy(spec))
		}
		return out
	}
	for _, tt := range []struct {
		name     string
		policies []unstructured.Unstructured
		noMatch  string
		want     string
	}{
		{"nothing", nil, "deny", ""},
		{"nothing is known", nil, "", ""},
		{"what no policy matches is admitted", nil, "allow", "no policy matches it, and images that none matches are admitted (allow)"},
		{"what no policy matches is warned of", of(`"images": [{"glob": "ghcr.io/**"}], ` + fail), "warn", "no policy matches it, and images that none matches are admitted (warn)"},
		{"a policy passes everything", of(`"images": [{"glob": "**"}], ` + pass), "deny", "ClusterImagePolicy a has a static authority that passes every image"},
		{"a policy passes some images", of(`"images": [{"glob": "ghcr.io/**"}], ` + pass), "deny", ""},
		{"a policy passes what Deployments run", of(`"match": [{"group": "apps", "resource": "deployments", "version": "v1"}], "images": [{"glob": "**"}], ` + pass), "deny", ""},
		{"a policy only warns", of(`"mode": "warn", "images": [{"glob": "**"}], ` + fail), "deny", "ClusterImagePolicy a only warns"},
		{"a policy passes it, and another one denies it", of(`"images": [{"glob": "**"}], `+pass, `"images": [{"glob": "**"}], `+fail), "allow", ""},
		{"a policy denies it, whatever becomes of others", of(`"images": [{"glob": "**"}], ` + fail), "allow", ""},
		{"a policy that cannot be read", of(`"images": [{"glob": "**"}], `+pass, `"images": [{"glob": "**"}], "authorities": [{"static": {"action": "perhaps"}}]`), "allow", ""},
		{"a policy passes what Pods run", of(`"match": [{"version": "v1", "resource": "pods"}], "images": [{"glob": "**"}], ` + pass), "deny", "ClusterImagePolicy a has a static authority that passes every image"},
	} {
		if got := stranger.Excuse(tt.policies, cip.Settings{Namespace: "cosign-system"}, tt.noMatch); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestThePolicyHasToBeDenied for the reason that is looked for.
func TestThePolicyHasToBeDenied(t *testing.T) {
	t.Parallel()
	policy := stranger.Policy()
	policy["metadata"] = map[string]any{"name": "a"} // the API server makes it one
	text, err := json.Marshal(policy)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cip.Parse(text); err == nil || !strings.Contains(err.Error(), stranger.PolicyFault) {
		t.Errorf("got %v, want it refused for %s", err, stranger.PolicyFault)
	}
}

// TestThePodIsNowhere: no registry can have its image (RFC 2606).
func TestThePodIsNowhere(t *testing.T) {
	t.Parallel()
	containers := stranger.Pod()["spec"].(map[string]any)["containers"].([]any)
	if image := containers[0].(map[string]any)["image"].(string); !strings.Contains(image, ".invalid/") {
		t.Errorf("got image %s, want one that is nowhere", image)
	}
}
