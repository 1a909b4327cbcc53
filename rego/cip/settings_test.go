package cip_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/cip"
)

// TestSettingsOfAnInstallation has what depends on where a policy is applied.
func TestSettingsOfAnInstallation(t *testing.T) {
	t.Parallel()
	const inNamespace = `{apiVersion: policy.sigstore.dev/v1alpha1, kind: ClusterImagePolicy, metadata: {name: p}, spec: {images: [{glob: "**"}],
  authorities: [{key: {secretRef: {name: s, namespace: %s}}}]}}`
	const empty = `{apiVersion: policy.sigstore.dev/v1alpha1, kind: ClusterImagePolicy, metadata: {name: p}, spec: {images: [{glob: "**"}]}}`
	const other = "secretref.namespace is invalid. If set, it should use the same namespace where the policy-controller was deployed"
	for _, tt := range []struct {
		name, data string
		settings   cip.Settings
		want       string
	}{
		{"a Secret of the default namespace", fmt.Sprintf(inNamespace, "cosign-system"), cip.Settings{}, ""},
		{"a Secret of another namespace", fmt.Sprintf(inNamespace, "assay"), cip.Settings{}, other},
		{"a Secret of the namespace of the installation", fmt.Sprintf(inNamespace, "assay"), cip.Settings{Namespace: "assay"}, ""},
		{"the default is no second namespace", fmt.Sprintf(inNamespace, "cosign-system"), cip.Settings{Namespace: "assay"}, other},
		{"no authorities", empty, cip.Settings{}, "missing field(s): spec.authorities"},
		{"no authorities where they may be empty", empty, cip.Settings{EmptyAuthorities: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.settings.Parse([]byte(tt.data))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
