package recording_test

import (
	"io"
	"log/slog"
	"testing"

	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/recording"
)

// BenchmarkDecide is a warm decision with and without recording: what recording adds to
// it is all that is on the way of an answer.
func BenchmarkDecide(b *testing.B) {
	for _, bb := range []struct {
		name   string
		images []string
	}{{"images=1", []string{"app"}}, {"images=2", []string{"app", "bare"}}} {
		for _, record := range []bool{false, true} {
			name := bb.name + "/record=off"
			if record {
				name = bb.name + "/record=on"
			}
			b.Run(name, func(b *testing.B) {
				r := open(b, setup{record: record})
				var images []string
				for _, image := range bb.images {
					images = append(images, r.digested(image))
				}
				review := pod(images...)
				if record {
					// Its queue is full soon and nobody empties it: dropping takes what taking does.
					recorder := recording.NewRecorder(recording.Flags{Dir: b.TempDir(), Sample: 1, MaxBytes: 1 << 30}, new(recording.Sealer),
						slog.New(slog.DiscardHandler), func(recording.Result) {})
					r.Record(recorder.Take)
				}
				for b.Loop() {
					if _, err := r.Decide(b.Context(), review); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

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

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

var _ io.Writer = (*counter)(nil)
