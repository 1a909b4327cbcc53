package suite

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkAgainstOPA runs the stock opa and this program in turns on the same tests of
// pure Rego, whole processes from start to end, and tells the median of each and of
// their ratio, pair by pair: what else the machine does hits both of a pair alike.
func BenchmarkAgainstOPA(b *testing.B) {
	upstream, err := stock()
	if err != nil {
		b.Fatal(err)
	}
	program := filepath.Join(b.TempDir(), "assay")
	if built := execute(b, ".", []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, ".."); built.Code != 0 {
		b.Fatal(built.Errors)
	}
	for _, tt := range []struct {
		name           string
		files, perFile int
	}{
		{"1 file with 1 test", 1, 1},
		{"40 files with 25 tests each", 40, 25},
		{"300 files with 10 tests each", 300, 10},
	} {
		b.Run(tt.name, func(b *testing.B) {
			dir := unpacked(b, pureSuite(tt.files, tt.perFile))
			want := fmt.Sprintf("PASS: %d/%[1]d\n", tt.files*tt.perFile)
			timed := func(binary string) time.Duration {
				start := time.Now()
				got := execute(b, dir, nil, binary, "test", ".")
				took := time.Since(start)
				if got.Output != want {
					b.Fatalf("%s: got %s%s, want %s", binary, got.Output, got.Errors, want)
				}
				return took
			}
			timed(upstream) // both are in the cache of the file system then
			timed(program)
			var theirs, ours []time.Duration
			var ratios []float64
			for b.Loop() {
				pair := map[string]time.Duration{}
				order := []string{upstream, program}
				if len(ratios)%2 == 1 {
					slices.Reverse(order)
				}
				for _, binary := range order {
					pair[binary] = timed(binary)
				}
				theirs, ours = append(theirs, pair[upstream]), append(ours, pair[program])
				ratios = append(ratios, float64(pair[program])/float64(pair[upstream]))
			}
			b.ReportMetric(float64(median(theirs).Microseconds())/1000, "opa-ms")
			b.ReportMetric(float64(median(ours).Microseconds())/1000, "assay-ms")
			b.ReportMetric(median(ratios), "assay/opa")
		})
	}
}

func median[T time.Duration | float64](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

// pureSuite is an archive of modules and of as many tests of each.
func pureSuite(files, tests int) string {
	var out strings.Builder
	for i := range files {
		fmt.Fprintf(&out, "-- p%d.rego --\npackage app.p%[1]d\n\ndefault allow := false\n\n"+
			"allow if {\n\tinput.method == \"GET\"\n\tinput.path == [\"users\", input.user]\n\tcount(roles) > 0\n}\n\n"+
			"roles contains role if some role in data.roles[input.user]\n", i)
		fmt.Fprintf(&out, "-- p%d_test.rego --\npackage app.p%[1]d_test\n\nimport data.app.p%[1]d\n", i)
		for j := range tests {
			fmt.Fprintf(&out, "\ntest_%d if p%d.allow with input as {\"method\": \"GET\", \"path\": [\"users\", \"u\"], \"user\": \"u\"} with data.roles as {\"u\": [\"a\"]}\n", j, i)
		}
	}
	return out.String()
}
