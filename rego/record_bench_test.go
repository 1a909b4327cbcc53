package rego_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/recording"
)

// BenchmarkRecord is a warm decision without and with recording, in turn: what it adds
// is all that is on the way of an answer. What the worker does afterwards is
// BenchmarkCapsule of cmd/assay/recording.
func BenchmarkRecord(b *testing.B) {
	yaml, names := "images:\n", []string{}
	for i := range 10 {
		names = append(names, fmt.Sprint("app", i))
		yaml += fmt.Sprintf("  app%d: {signatures: [{signer: release}]}\n", i)
	}
	w := openWorld(b, yaml)
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("images=%d", n), func(b *testing.B) {
			var images []string
			for _, name := range names[:n] {
				images = append(images, byDigest(b, w, name))
			}
			review := pod(images...)
			plain, with := open(b, w, setup{}), open(b, w, setup{record: true})
			// Its queue is full soon and nobody empties it: to drop takes what to take does.
			recorder := recording.NewRecorder(recording.Flags{Dir: b.TempDir(), Sample: 1, MaxBytes: 1 << 30}, new(recording.Sealer),
				slog.New(slog.DiscardHandler), func(recording.Result) {})
			with.Record(recorder.Take)
			decide := func(r *rig) func() {
				return func() {
					if d, err := r.Decide(b.Context(), review); err != nil || !d.Allowed {
						b.Fatalf("got %+v and %v", d, err)
					}
				}
			}
			paired(b, decide(plain), decide(with))
		})
	}
}
