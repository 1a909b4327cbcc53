package wiring

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/sigstore/trust"

	"github.com/assay-dev/assay/rego/cip"
)

// cached is a root whose mirror is down.
type cached struct{ root *trust.Root }

func (c cached) Serving() (*trust.Root, string) { return c.root, "" }
func (c cached) Refresh(context.Context) error  { return errors.New("the mirror is down") }

// TestRefreshSaysWhatServesInstead: a cached root does, a named one is a warning, and no
// default root at all is an error.
func TestRefreshSaysWhatServesInstead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		root string
		of   *trust.Root
		want string
		err  bool
	}{
		"a default root in the cache": {"", &trust.Root{}, "warning: --old: trust root from the cache: the mirror is down\n", false},
		"no default root":             {"", nil, "", true},
		"a TrustRoot in the cache":    {"own", &trust.Root{}, "warning: --old: trust root from the cache: the mirror is down\n", false},
		"a TrustRoot":                 {"own", nil, "warning: --old: TrustRoot own: the mirror is down: whatever refers to it is denied\n", false},
	} {
		var said strings.Builder
		err := Refresh(t.Context(), map[string]RootSource{tt.root: cached{tt.of}}, time.Minute, "warning: --old:", &said)
		if said.String() != tt.want || (err != nil) != tt.err {
			t.Errorf("%s: got %q and %v, want %q", name, said.String(), err, tt.want)
		}
	}
}

// TestGenerationOfARootThatIsMadeLater: a set that knows no root is not the set that has one,
// though the TrustRoot says what it said.
func TestGenerationOfARootThatIsMadeLater(t *testing.T) {
	t.Parallel()
	roots := []cip.TrustRoot{{Name: "own"}}
	before := &Documents{roots: roots, Named: NamedRoots{"own": {RootSource: noRoot{"not valid yet"}}}}
	again := &Documents{roots: roots, Named: NamedRoots{"own": {RootSource: noRoot{"not valid for another second"}}}}
	after := &Documents{roots: roots, Named: NamedRoots{"own": {RootSource: givenRoot{}}}}
	if before.Generation() == after.Generation() {
		t.Error("got one generation with the root and without, want the set to be taken that has it")
	}
	if before.Generation() != again.Generation() {
		t.Error("got another generation for another cause, want none")
	}
}
