//go:build nokms

package keys_test

import (
	"testing"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/rego/cip"
)

func TestBuildWithoutProvidersSaysSo(t *testing.T) {
	t.Parallel()
	got, _ := keys.New(keys.Options{}).Resolve(t.Context(), []cip.Policy{policy(cip.KeyRef{KMS: reference})}, keys.Sources{})
	want := `kms key "gcpkms://projects/p": this binary was built without KMS providers (build tag nokms)`
	if gap := got[0].Gaps["spec.authorities[0]"]; gap != want {
		t.Errorf("got gap %q, want %q", gap, want)
	}
}
