package sbom_test

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/assay-dev/assay/predicate/bounded"
	"github.com/assay-dev/assay/predicate/sbom"
)

// What is refused before it is decoded costs next to nothing, and what is as dense as a
// document can be costs a bounded multiple of the largest one. Not parallel, and the
// least of some runs: what others allocate meanwhile is counted too.
func TestPackagesMemoryIsBounded(t *testing.T) {
	dense := func(head, element, tail string) string {
		return head + strings.Repeat(element+",", bounded.MaxObjects-10) + element + tail
	}
	for _, tt := range []struct {
		name, document string
		most           uint64
	}{
		{"a hundred megabytes", strings.Repeat("[", 100<<20), 1 << 16},
		{"a million packages", `{"spdxVersion": "SPDX-2.3", "packages": [` + strings.Repeat(`{"name":"a"},`, 1_000_000) + `{}]}`, 1 << 18},
		{"SPDX 2 of empty packages", dense(`{"spdxVersion": "SPDX-2.3", "packages": [`, `{}`, `]}`), 64 << 20},
		{"CycloneDX of empty components", dense(`{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [`, `{}`, `]}`), 64 << 20},
		{"SPDX 3 of small elements", dense(`{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [`, `{"type":"Bom"}`, `]}`), 256 << 20},
		{"CycloneDX of components in one another", `{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": ` + strings.Repeat(`[{"name":"a","components":`, 30) + `["` + strings.Repeat("x", 15<<20) + `"]` + strings.Repeat("}]", 30) + `}`, 64 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := []byte(tt.document)
			least := uint64(math.MaxUint64)
			for run := 0; run < 10 && least > tt.most; run++ {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err := sbom.Packages(data)
				runtime.ReadMemStats(&after)
				if err == nil && tt.name != "SPDX 3 of small elements" {
					t.Error("got no error, want one")
				}
				least = min(least, after.TotalAlloc-before.TotalAlloc)
			}
			if least > tt.most {
				t.Errorf("got %d bytes allocated, want at most %d", least, tt.most)
			} else {
				t.Logf("%d bytes allocated", least)
			}
		})
	}
}
