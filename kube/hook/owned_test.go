package hook_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assay-dev/assay/kube/hook"
	"github.com/assay-dev/assay/rego/cip"
)

// TestPoliciesOfNamespaces are judged as the cluster's are, within their bounds, and what
// they refer to is looked for beside them.
func TestPoliciesOfNamespaces(t *testing.T) {
	t.Parallel()
	object := func(spec, managed string) string {
		return `{"apiVersion": "policy.assay.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": "own", "namespace": "shop", ` +
			`"managedFields": ["` + managed + `"]}, "spec": ` + spec + `}`
	}
	const static = `{"images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail", "message": "%s"}}]}`
	for _, tt := range []struct{ name, object, refused, warned string }{
		{"valid", object(fmt.Sprintf(static, ""), ""), "", ""},
		{
			"its Secret is not there", object(`{"images": [{"glob": "**"}], "authorities": [{"key": {"secretRef": {"name": "key"}}}]}`, ""),
			"", "spec.authorities[0].key.secretRef: there is no Secret key in namespace shop",
		},
		{
			"what it may not say", object(`{"images": [{"glob": "**"}], "authorities": [{"key": {"kms": "gcpkms://k"}}]}`, ""),
			"must not set the field(s): spec.authorities[0].key.kms", "",
		},
		{"too large", object(fmt.Sprintf(static, strings.Repeat("m", cip.MostOwned)), ""), "want an ImagePolicy of at most 65536", ""},
		{"large for what others wrote into it", object(fmt.Sprintf(static, ""), strings.Repeat("f", cip.MostOwned)), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := hook.Read(fmt.Appendf(nil, `{"request": {"uid": "u", "kind": {"group": "policy.assay.dev", "version": "v1alpha1", "kind": "ImagePolicy"},
				"namespace": "shop", "operation": "CREATE", "object": %s}}`, tt.object))
			if err != nil || r.Namespace != "shop" {
				t.Fatalf("got %q and %v", r.Namespace, err)
			}
			j := judge()
			j.Finder = existing{}
			got := j.Validate(t.Context(), r)
			if got.Allowed != (tt.refused == "") || !strings.Contains(got.Message(), tt.refused) {
				t.Errorf("got %q, want %q", got.Message(), tt.refused)
			}
			if !strings.Contains(strings.Join(got.Warnings, "\n"), tt.warned) {
				t.Errorf("got warnings %q, want %q", got.Warnings, tt.warned)
			}
		})
	}
}
