package hook_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

// roots says the same of every TrustRoot.
type roots string

func (r roots) CheckRoot(cip.TrustRoot) string { return string(r) }

// TestTrustRootsWithoutARoot are stored, with a warning: the clock, or the repository, may be
// another one when somebody relies on them.
func TestTrustRootsWithoutARoot(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		said string
		want []string
	}{
		"all is well":       {"", nil},
		"there is no root":  {"spec.repository: it has expired", []string{"spec.repository: it has expired: whatever relies on it is denied"}},
		"much to say of it": {strings.Repeat("x", 9<<10), []string{strings.Repeat("x", 8<<10) + "…"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := judge()
			j.Roots = roots(tt.said)
			got := j.Validate(t.Context(), request(t, "CREATE", root, ""))
			if diff := cmp.Diff(tt.want, got.Warnings); diff != "" || !got.Allowed {
				t.Errorf("got allowed=%t %q, warnings (-want +got):\n%s", got.Allowed, got.Reasons, diff)
			}
		})
	}
}
