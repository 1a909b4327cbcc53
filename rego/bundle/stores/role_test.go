package stores_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/bundle/stores"
)

// TestNoProxySeesCredentialsOfARole: what answers them over HTTP is on the machine.
func TestNoProxySeesCredentialsOfARole(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.example:3128") // for HTTP alone: for HTTPS it is the client's, and sees no content
	for _, at := range []string{
		"http://169.254.169.254/latest/meta-data/iam/security-credentials/", "http://169.254.170.2/v2/credentials/x", "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := stores.RoleProxy(req); got != nil || err != nil {
			t.Errorf("%s: got proxy %v, %v, want none", at, got, err)
		}
	}
}

// TestHoldsSaysWhatIsTooLong before anything is put.
func TestHoldsSaysWhatIsTooLong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63) + "/" + strings.Repeat("b", 36) + "/decisions/2026/11/26/T120301Z-012345678.json.gz"
	for where, want := range map[string]string{
		"oci://registry.internal/assay/fleet": "want at most 128",
		"file://" + t.TempDir():               "",
	} {
		s, err := stores.Open(t.Context(), where, stores.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := s.(interface{ Holds(name string) error }).Holds(long); err != nil {
			got = err.Error()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", where, got, want)
		}
	}
}
