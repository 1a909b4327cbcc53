package sigstore

import (
	"encoding/base64"
	"fmt"
	"math/bits"

	"github.com/transparency-dev/merkle/rfc6962"
)

// tree is an append-only Merkle tree by RFC 6962, section 2.1. It computes from
// the leaves each time: a world's log has tens of them.
type tree struct {
	leaves [][]byte // hashed
}

func (t *tree) add(entry []byte) (index int64) {
	t.leaves = append(t.leaves, rfc6962.DefaultHasher.HashLeaf(entry))
	return int64(len(t.leaves) - 1)
}

// rootHash is MTH(D[n]) of section 2.1.
func rootHash(leaves [][]byte) []byte {
	switch len(leaves) {
	case 0:
		return rfc6962.DefaultHasher.EmptyRoot()
	case 1:
		return leaves[0]
	}
	k := split(len(leaves))
	return rfc6962.DefaultHasher.HashChildren(rootHash(leaves[:k]), rootHash(leaves[k:]))
}

// auditPath is PATH(m, D[n]) of section 2.1.1. Requires 0 <= m < len(leaves).
func auditPath(m int, leaves [][]byte) [][]byte {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if m < k {
		return append(auditPath(m, leaves[:k]), rootHash(leaves[k:]))
	}
	return append(auditPath(m-k, leaves[k:]), rootHash(leaves[:k]))
}

// split is "the largest power of two smaller than n". Requires n > 1.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// checkpoint is the signed note of C2SP tlog-checkpoint: the state of a log
// with origin, and under it one signature line of the key with that hint.
func (t *tree) checkpoint(origin, name string, hint []byte, sign func([]byte) ([]byte, error)) (string, error) {
	note := fmt.Sprintf("%s\n%d\n%s\n", origin, len(t.leaves), base64.StdEncoding.EncodeToString(rootHash(t.leaves)))
	signature, err := sign([]byte(note))
	if err != nil {
		return "", fmt.Errorf("sign checkpoint: %w", err)
	}
	line := base64.StdEncoding.EncodeToString(append(hint[:4:4], signature...))
	return fmt.Sprintf("%s\n— %s %s\n", note, name, line), nil
}
