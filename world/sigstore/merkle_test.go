package sigstore

import (
	"fmt"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// Every leaf of every tree up to a size with two full levels and a ragged one.
func TestAuditPathProvesEveryLeaf(t *testing.T) {
	t.Parallel()
	var grown tree
	for size := 1; size <= 21; size++ {
		grown.add(fmt.Append(nil, size))
		for index := range size {
			root, path := rootHash(grown.leaves), auditPath(index, grown.leaves)
			err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), grown.leaves[index], path, root)
			if err != nil {
				t.Errorf("leaf %d of %d: %v", index, size, err)
			}
		}
	}
}

func TestRootOfAnEmptyTree(t *testing.T) {
	t.Parallel()
	if got, want := string(rootHash(nil)), string(rfc6962.DefaultHasher.EmptyRoot()); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}
