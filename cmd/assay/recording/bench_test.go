package recording_test

import (
	"io"
	"testing"

	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

// BenchmarkCapsule is what the worker does with each decision: masking, hashing, and
// writing to nowhere, or to a file.
func BenchmarkCapsule(b *testing.B) {
	r := open(b, setup{record: true})
	r.decide(b, r.image("app"))
	made, sealer := r.made[0], new(recording.Sealer)
	b.Run("seal", func(b *testing.B) {
		size := counter(0)
		for b.Loop() {
			c, err := sealer.Seal(made)
			if err != nil {
				b.Fatal(err)
			}
			size = 0
			if _, err := capsule.Write(&size, c); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(size), "bytes/capsule")
	})
	b.Run("save", func(b *testing.B) {
		dir := b.TempDir()
		for b.Loop() {
			c, err := sealer.Seal(made)
			if err != nil {
				b.Fatal(err)
			}
			if _, _, err := capsule.Save(dir, c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("replay", func(b *testing.B) {
		c, _ := r.last(b)
		j, err := recording.NewJudge()
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := j.Judge(b.Context(), c, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkShadow is what another set costs that judges a decision which was just made:
// without a capsule, and with one.
func BenchmarkShadow(b *testing.B) {
	r := open(b, setup{record: true})
	r.decide(b, r.image("app"))
	made := r.made[0]
	documents, err := cip.Parse([]byte(signed))
	if err != nil {
		b.Fatal(err)
	}
	policies := recording.Policies{Source: rego.Source{Policies: documents.Policies, Config: made.Set.Source().Config}}
	b.Run("shadow", func(b *testing.B) {
		shadow, err := recording.NewShadow(b.Context(), policies, recording.Beside{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if out, _, err := shadow.Judge(b.Context(), made, nil); err != nil || !out.Decision.Allowed || len(out.NotRecorded) > 0 {
				b.Fatalf("got %+v, %v, want it admitted", out, err)
			}
		}
	})
	b.Run("capsule", func(b *testing.B) {
		sealer := new(recording.Sealer)
		j, err := recording.NewJudge()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			c, err := sealer.Seal(made)
			if err != nil {
				b.Fatal(err)
			}
			if out, err := j.Judge(b.Context(), c, &policies); err != nil || !out.Decision.Allowed {
				b.Fatalf("got %+v, %v, want it admitted", out, err)
			}
		}
	})
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

var _ io.Writer = (*counter)(nil)
