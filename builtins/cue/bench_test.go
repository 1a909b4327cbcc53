package cue_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/cue"
)

// provenance is a statement like that of a builder of containers, of about 9 KB.
func provenance(b *testing.B) []byte {
	b.Helper()
	var materials []any
	for i := range 30 {
		materials = append(materials, map[string]any{
			"uri":    fmt.Sprintf("pkg:golang/github.com/acme/module-%d@v1.%d.0", i, i),
			"digest": map[string]any{"sha256": strings.Repeat(fmt.Sprintf("%02x", i), 32)},
		})
	}
	event := map[string]any{}
	for i := range 60 {
		event[fmt.Sprintf("parameter_%d", i)] = strings.Repeat("x", 40)
	}
	statement, err := json.Marshal(map[string]any{
		"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v0.2",
		"subject": []any{map[string]any{"name": "registry.example/app", "digest": map[string]any{"sha256": strings.Repeat("a", 64)}}},
		"predicate": map[string]any{
			"builder":   map[string]any{"id": "https://github.com/acme/builder/.github/workflows/container.yml@refs/tags/v2.1.0"},
			"buildType": "https://acme.example/container@v1", "materials": materials,
			"invocation": map[string]any{
				"configSource": map[string]any{"uri": "git+https://github.com/acme/app@refs/tags/v1", "entryPoint": ".github/workflows/release.yml"},
				"environment":  event,
			},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return statement
}

const constraints = `predicateType: "https://slsa.dev/provenance/v0.2"
predicate: builder: id: =~"^https://github.com/acme/builder/[.]github/workflows/container[.]yml@refs/tags/v2[.]"
predicate: invocation: configSource: uri: =~"^git[+]https://github.com/acme/app@refs/tags/"
`

// BenchmarkValidate evaluates three constraints over a statement. Each time the
// policy is another, but for the one whose verdict is known.
func BenchmarkValidate(b *testing.B) {
	document := provenance(b)
	b.Logf("the statement has %d bytes", len(document))
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d at once", n), func(b *testing.B) {
			e := evaluator(b, cue.Options{})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				done := make(chan *cue.Refusal, n)
				for j := range n {
					go func() {
						done <- e.Validate(b.Context(), fmt.Sprintf("%s\n// %d %d", constraints, i, j), document, false)
					}()
				}
				for range n {
					if refusal := <-done; refusal != nil {
						b.Fatal(refusal)
					}
				}
			}
		})
	}
	b.Run("known", func(b *testing.B) {
		e := evaluator(b, cue.Options{})
		b.ReportAllocs()
		for b.Loop() {
			if refusal := e.Validate(b.Context(), constraints, document, false); refusal != nil {
				b.Fatal(refusal)
			}
		}
	})
}

// BenchmarkLargest evaluates documents that are just within the bounds, to see what
// they make of time and memory.
func BenchmarkLargest(b *testing.B) {
	for name, document := range map[string]string{
		"members": "[1" + strings.Repeat(",1", 19_999) + "]",
		"values":  "[0" + strings.Repeat(`,{"name":"a","version":"1","of":{"id":"b"}}`, 19_000) + "]",
		"bytes":   `["` + strings.Repeat("x", 4<<20-4) + `"]`,
		"depth":   strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if refusal := evaluator(b, cue.Options{}).Validate(b.Context(), "[...]", []byte(document), false); refusal != nil {
					b.Fatal(refusal)
				}
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapSys>>20), "MiB-heap")
		})
	}
}
