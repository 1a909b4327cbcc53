package compile_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/compile"
)

func BenchmarkPolicy(b *testing.B) {
	policy := policiesOf(b, "testdata/keyless.txtar")[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compile.Policy(policy); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIndexOfThousand(b *testing.B) {
	policies := slices.Repeat(policiesOf(b, "testdata/keyless.txtar"), 1000)
	for i := range policies {
		policies[i].Name = fmt.Sprintf("policy-%d", i)
		policies[i].Spec.Images = []cip.ImagePattern{{Glob: fmt.Sprintf("ghcr.io/team-%d/**", i)}}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compile.Index(policies); err != nil {
			b.Fatal(err)
		}
	}
}
