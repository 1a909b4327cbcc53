package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/reviews"
)

// thousand is a bundle of a thousand ClusterImagePolicies.
func thousand(t testing.TB, revision int) []byte {
	t.Helper()
	files, roots := map[string]string{}, []string{}
	for i := range 1000 {
		name := fmt.Sprintf("p%04d", i)
		at := "resources/ClusterImagePolicy/" + name
		roots = append(roots, at)
		files[at+"/data.json"] = strings.Replace(denying(fmt.Sprintf("r%d.io/%d/**", i, revision), ""), `"name": "p"`, fmt.Sprintf("%q: %q", "name", name), 1)
	}
	manifest, err := json.Marshal(map[string]any{"revision": fmt.Sprint(revision), "roots": roots})
	if err != nil {
		t.Fatal(err)
	}
	return bundleOf(t, string(manifest), files)
}

// BenchmarkActivation lets a bundle of a thousand policies, all of them other than before, become
// active beside decisions. It tells how long that takes, how long a decision took meanwhile,
// and how much the heap held at most.
func BenchmarkActivation(b *testing.B) {
	files := newBucket(b, map[string][]byte{"main": thousand(b, 1)})
	f := withBundles(b, manual(b, files.URL, "main"), nil)
	f.fetch()
	review, err := reviews.Pod([]string{"r7.io/1/x" + digest})
	if err != nil {
		b.Fatal(err)
	}
	var bodies [6][]byte // no two after one another are the same
	for i := range bodies {
		bodies[i] = thousand(b, i+2)
	}
	var peak uint64
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		files.put("main", bodies[i%len(bodies)])
		runtime.GC()
		ctx, stop := context.WithCancel(b.Context())
		var deciding sync.WaitGroup
		deciding.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				if _, err := f.reloader.engine.Decide(context.WithoutCancel(ctx), review); err != nil {
					b.Error(err)
				}
				took = append(took, time.Since(began))
				time.Sleep(200 * time.Microsecond) // a request now and then: a loop would be a load of its own
			}
		})
		deciding.Go(func() { peak = max(peak, highest(ctx)) })
		f.fetch()
		stop()
		deciding.Wait()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs/decision")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "max-µs/decision")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs/decision")
	b.ReportMetric(float64(peak)/1e6, "peak-MB")
}

// highest is the most that the heap held until ctx ended, in bytes.
func highest(ctx context.Context) (most uint64) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for ctx.Err() == nil {
		metrics.Read(sample)
		most = max(most, sample[0].Value.Uint64())
		time.Sleep(time.Millisecond)
	}
	return most
}
