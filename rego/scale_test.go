package rego_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

// crowd are n policies, of which the last are about the registry and the others
// each about an organisation of its own. inside is a spec.policy, in which %d is
// a number of its own, or "".
func crowd(n, matching int, registry, inside string) string {
	var out strings.Builder
	for i := range n {
		glob := fmt.Sprintf("ghcr.io/org-%d/**", i)
		if i >= n-matching {
			glob = registry + "/**"
		}
		document := policy(fmt.Sprint("policy-", i), "", "")
		if inside != "" {
			document += fmt.Sprintf(inside, i)
		}
		out.WriteString("---\n" + strings.Replace(document, `"**"`, `"`+glob+`"`, 1))
	}
	return out.String()
}

const (
	insideRego = `  policy:
    type: rego
    data: |
      package sigstore
      isCompliant { count(input.authorityMatches) < %d + 2 }
`
	insideCUE = `  policy:
    type: cue
    data: |
      authorityMatches: main: signatures: [...{id: !="%d"}]
`
)

// sizes are the sets and the matches that are measured.
func sizes() (out [][2]int) {
	for _, n := range []int{10, 100, 1000} {
		for _, matching := range []int{1, 10, n} {
			if size := [2]int{n, matching}; matching < n || n > 10 {
				out = append(out, size)
			}
		}
	}
	return append(out, [2]int{10, 10})
}

// BenchmarkScale is a warm decision about one image: it grows with the policies
// that match, and not with those that do not.
func BenchmarkScale(b *testing.B) {
	w := openWorld(b, signedApp)
	image := byDigest(b, w, "app")
	for kind, inside := range map[string]string{"plain": "", "rego": insideRego, "cue": insideCUE} {
		for _, size := range sizes() {
			if inside != "" && size[0] != 1000 {
				continue
			}
			b.Run(fmt.Sprintf("%s/policies=%d/matching=%d", kind, size[0], size[1]), func(b *testing.B) {
				r := open(b, w, setup{policies: crowd(size[0], size[1], w.Registry(), inside)})
				if d := r.decide(b, image); !d.Allowed || len(d.Images[0].Policies) != size[1] {
					b.Fatalf("got %t and %d policies, want it admitted by %d: %.1000s", d.Allowed, len(d.Images[0].Policies), size[1], d.Reasons)
				}
				review := pod(image)
				b.ReportAllocs()
				for b.Loop() {
					if d, err := r.Decide(b.Context(), review); err != nil || !d.Allowed {
						b.Fatalf("got %+v and %v", d, err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size[1]), "µs/match")
			})
		}
	}
}

// BenchmarkCompileThousand also says what a set of 1,000 policies holds in memory.
func BenchmarkCompileThousand(b *testing.B) {
	for kind, inside := range map[string]string{"plain": "", "rego": insideRego, "cue": insideCUE} {
		b.Run(kind, func(b *testing.B) {
			documents, err := cip.Parse([]byte(crowd(1000, 1, "registry.example", inside)))
			if err != nil {
				b.Fatal(err)
			}
			source := rego.Source{Policies: documents.Policies, Open: func(string) rego.Answers { return nil }}
			before := liveHeap()
			var set *rego.Set
			b.ReportAllocs()
			for b.Loop() {
				if set, err = rego.Compile(b.Context(), source); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(liveHeap()-before)/(1<<20), "MB-live")
			runtime.KeepAlive(set)
			runtime.KeepAlive(documents)
		})
	}
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers held
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
