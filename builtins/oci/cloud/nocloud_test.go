//go:build nocloud

package cloud_test

import (
	"testing"

	"github.com/assay-dev/assay/builtins/oci/cloud"
)

// TestWithoutClouds: what a binary cannot do is an error when it starts, and not an anonymous request later.
func TestWithoutClouds(t *testing.T) {
	t.Parallel()
	_, err := cloud.Credentials([]string{"acmecorp.azurecr.io"}, cloud.Options{})
	if want := "this binary was built without credentials of clouds (build tag nocloud)"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if credentials, err := cloud.Credentials(nil, cloud.Options{}); err != nil || credentials.Keychain != nil {
		t.Errorf("got %v and %v of no hosts, want none", credentials, err)
	}
}
