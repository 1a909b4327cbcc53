package canary_test

import (
	"testing"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/rego"
)

// BenchmarkTake is all that a candidate costs a decision that is answered. What judging
// costs is BenchmarkShadow of cmd/assay/recording.
func BenchmarkTake(b *testing.B) {
	r := open(b, signed)
	var made rego.Made
	r.Record(func(m rego.Made) { made = m })
	r.decide(b, "app")
	c := canary.New(canary.Options{}) // nobody judges: its queue is full soon, and to lose takes what to take does
	b.Run("none", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Take(made)
		}
	})
	c.Candidate(candidate(b, signed))
	b.Run("candidate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Take(made)
		}
	})
}
