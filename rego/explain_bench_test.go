package rego_test

import (
	"fmt"
	"testing"
)

// BenchmarkExplain is the cost of an explanation on a warm decision: each row decides
// and explains in turn, so that both see the same machine, and reports how much
// longer explaining took.
func BenchmarkExplain(b *testing.B) {
	yaml := "images:\n"
	for i := range 10 {
		yaml += fmt.Sprintf("  app%d: {signatures: [{signer: release}]}\n  bad%d: {signatures: [{signer: laptop}]}\n", i, i)
	}
	w := openWorld(b, yaml)
	for _, tt := range []struct {
		name, image string
		images      int
	}{
		{"allowed/images=1", "app", 1},
		{"allowed/images=10", "app", 10},
		{"denied/images=1", "bad", 1},
		{"denied/images=10", "bad", 10},
	} {
		b.Run(tt.name, func(b *testing.B) {
			r := open(b, w, setup{policies: policy("signed", "", ""), explains: true})
			var images []string
			for i := range tt.images {
				images = append(images, byDigest(b, w, fmt.Sprint(tt.image, i)))
			}
			review := pod(images...)
			paired(b, func() {
				if _, err := r.Decide(b.Context(), review); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if _, _, err := r.Explain(b.Context(), review); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
