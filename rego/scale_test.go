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
			source := rego.Source{Policies: documents.Policies, Open: func(rego.Workload) rego.Answers { return nil }}
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

// TestOnlyCandidatesAreAsked: what a decision asks of policies grows with those that
// match, however many others there are.
func TestOnlyCandidatesAreAsked(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	image := byDigest(t, w, "app")
	for _, tt := range []struct{ policies, matching int }{{10, 1}, {300, 1}, {300, 10}, {300, 300}} {
		t.Run(fmt.Sprintf("%d of %d", tt.matching, tt.policies), func(t *testing.T) {
			t.Parallel()
			r := open(t, w, setup{policies: crowd(tt.policies, tt.matching, w.Registry(), "")})
			if d := r.decide(t, image); !d.Allowed || len(d.Images[0].Policies) != tt.matching {
				t.Fatalf("got %t and %d policies", d.Allowed, len(d.Images[0].Policies))
			}
			counted, err := r.Set().Counted(t.Context(), pod(image))
			if err != nil {
				t.Fatal(err)
			}
			asked := map[string]int{}
			for rule, n := range counted {
				if _, of, ok := strings.Cut(rule, `data.cip["`); ok {
					name, _, _ := strings.Cut(of, `"`)
					asked[name] += n
				}
			}
			if len(asked) != tt.matching {
				t.Errorf("got %d policies asked, want %d", len(asked), tt.matching)
			}
			if got, want := counted["cosign.verify"], tt.matching; got != want {
				t.Errorf("got %d signatures asked for, want %d", got, want)
			}
			// As written, and without the port that https has anyway.
			if got, want := counted["regex.match"], 2*tt.matching; got != want {
				t.Errorf("got %d globs asked, want %d", got, want)
			}
		})
	}
}

// TestPoliciesInsideAreAskedOnce: a warm decision asks each once for each image of
// which an authority has passed, the policies of attestations for each attestation,
// and none of the others.
func TestPoliciesInsideAreAskedOnce(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images:\n  app: {signatures: [{signer: release}], attestations: [{signer: release, predicateType: "+provenance+", predicate: {}}]}\n"+
		"  db: {signatures: [{signer: release}]}\n  bare: {}\n")
	images := []string{byDigest(t, w, "app"), byDigest(t, w, "db"), byDigest(t, w, "bare")}
	judged := strings.Replace(attested, "}]", ", policy: {type: %s, data: '%s'}}]", 1)
	const rego, cue = "package sigstore\n\n      isCompliant { true }", "predicateType: string"
	for _, tt := range []struct {
		name, policies   string
		modules, schemas int
	}{
		{"nothing inside", crowd(20, 5, w.Registry(), ""), 0, 0},
		{"Rego, two images of three", crowd(20, 5, w.Registry(), insideRego), 10, 0},
		{"CUE, two images of three", crowd(20, 5, w.Registry(), insideCUE), 0, 10},
		{"an authority beside that fails", crowd(5, 5, w.Registry(), "  - {name: no, static: {action: fail}}\n"+insideRego), 10, 0},
		{"of an attestation, which one image has", policy("a", "", fmt.Sprintf(judged, "rego", rego)), 1, 0},
		{"of an attestation, in CUE", policy("a", "", fmt.Sprintf(judged, "cue", cue)), 0, 1},
		{"both", policy("a", "", fmt.Sprintf(judged, "rego", rego)) + fmt.Sprintf(insideRego, 1), 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := open(t, w, setup{policies: tt.policies})
			d := r.decide(t, append(images, images...)...)
			counted, err := r.Set().Counted(t.Context(), pod(append(images, images...)...))
			if err != nil {
				t.Fatal(err)
			}
			if got := [2]int{counted["sigstore.is_compliant"], counted["cue.validate"]}; got != [2]int{tt.modules, tt.schemas} {
				t.Errorf("got %v modules and schemas asked, want %v; reasons %q", got, [2]int{tt.modules, tt.schemas}, d.Reasons)
			}
		})
	}
}

// TestManyGlobsOfOnePolicyAreIndexed: of ten thousand globs those are asked whose
// beginning the image has.
func TestManyGlobsOfOnePolicyAreIndexed(t *testing.T) {
	t.Parallel()
	var globs strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&globs, "{glob: registry.example/team-%d/**}, ", i)
	}
	w := openWorld(t, "images: {}")
	r := open(t, w, setup{policies: strings.Replace(static("many", "**", "pass", ""), `{glob: "**"}`, globs.String(), 1)})
	image := strings.Replace(someApp, "/app", "/team-9999/app", 1)
	if d := r.decide(t, image); !d.Allowed {
		t.Errorf("got %q, want it admitted", d.Reasons)
	}
	counted, err := r.Set().Counted(t.Context(), pod(image))
	if err != nil {
		t.Fatal(err)
	}
	if got := counted["regex.match"]; got != 1 {
		t.Errorf("got %d globs asked, want 1", got)
	}
}

// BenchmarkManyGlobs is a warm decision by a policy of 10,000 globs: of an image
// that one matches, when they begin each with a name of its own and when they all
// begin with a star.
func BenchmarkManyGlobs(b *testing.B) {
	w := openWorld(b, "images: {}")
	review := pod(strings.Replace(someApp, "/app", "/team-9999/app", 1))
	for _, begin := range []string{"registry.example", "*"} {
		b.Run("begin="+begin, func(b *testing.B) {
			var globs strings.Builder
			for i := range 10_000 {
				fmt.Fprintf(&globs, "{glob: \"%s/team-%d/**\"}, ", begin, i)
			}
			r := open(b, w, setup{policies: strings.Replace(static("many", "**", "pass", ""), `{glob: "**"}`, globs.String(), 1)})
			for b.Loop() {
				if d, err := r.Decide(b.Context(), review); err != nil || !d.Allowed {
					b.Fatalf("got %+v and %v", d, err)
				}
			}
		})
	}
}
