package bundled

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/fresh"
)

// TestSettled: what an object of the cluster came later than. Whatever was not active here as it is
// may be refused for one.
func TestSettled(t *testing.T) {
	t.Parallel()
	floors, err := fresh.Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"highest", "other", "unordered"} {
		if err := floors.Raise(name, "2", "sum"); err != nil {
			t.Fatal(err)
		}
	}
	b := &Bundles{floors: floors, flags: Flags{Minimum: map[string]string{"highest": "1", "other": "1"}}, active: []bundle.Bundle{{Name: "serves", Revision: "1", Sum: "sum"}}}
	got := b.Settled(bundle.Content{Bundles: []bundle.Bundle{
		{Name: "serves", Revision: "1", Sum: "sum"}, {Name: "restored", Revision: "1", Restored: true},
		{Name: "highest", Revision: "2", Sum: "sum"}, {Name: "other", Revision: "2", Sum: "another"},
		{Name: "unordered", Revision: "2", Sum: "sum"}, {Name: "new", Revision: "1", Sum: "sum"},
	}})
	want := map[string]bool{"serves": true, "restored": true, "highest": true, "other": false, "unordered": false, "new": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = b.Settled(bundle.Content{Bundles: []bundle.Bundle{{Name: "serves", Revision: "2", Sum: "sum"}}})
	if got["serves"] {
		t.Error("a newer one than serves: got it settled, want it new")
	}
}
