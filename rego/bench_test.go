package rego_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

// manyPolicies are for n organisations, each with its own prefix.
func manyPolicies(n int) string {
	var out strings.Builder
	for i := range n {
		out.WriteString("---\n" + strings.Replace(policy(fmt.Sprint("org-", i), "", ""), `"**"`, fmt.Sprintf(`"ghcr.io/org-%d/**"`, i), 1))
	}
	return out.String()
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) {
			documents, err := cip.Parse([]byte(manyPolicies(n)))
			if err != nil {
				b.Fatal(err)
			}
			source := rego.Source{Policies: documents.Policies, Open: func(rego.Workload) rego.Answers { return nil }}
			for b.Loop() {
				if _, err := rego.Compile(b.Context(), source); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecide: warm is one evaluation over known answers; cold asks the
// registry, in memory, and verifies.
func BenchmarkDecide(b *testing.B) {
	yaml, names := "images:\n", []string{}
	for i := range 10 {
		names = append(names, fmt.Sprint("app", i))
		yaml += fmt.Sprintf("  app%d: {signatures: [{signer: release}]}\n", i)
	}
	w := openWorld(b, yaml)
	for _, tt := range []struct {
		name           string
		images, others int
		cold           bool
	}{
		{"warm/images=1", 1, 0, false},
		{"warm/images=10", 10, 0, false},
		{"warm/images=1/policies=1001", 1, 1000, false},
		{"cold/images=1", 1, 0, true},
		{"cold/images=10", 10, 0, true},
	} {
		b.Run(tt.name, func(b *testing.B) {
			setup := setup{policies: policy("signed", "", "") + manyPolicies(tt.others), clock: newClock()}
			r := open(b, w, setup)
			var images []string
			for _, name := range names[:tt.images] {
				images = append(images, byDigest(b, w, name))
			}
			review := pod(images...)
			facts := factsOf(b, w, setup)
			r.source.Open = func(about rego.Workload) rego.Answers { return facts.Open(setup.credentials, tenant.Workload(about)) }
			set, err := rego.Compile(b.Context(), r.source)
			if err != nil {
				b.Fatal(err)
			}
			r.Swap(set)
			for b.Loop() {
				if tt.cold {
					facts = factsOf(b, w, setup)
				}
				if d, err := r.Decide(b.Context(), review); err != nil || !d.Allowed {
					b.Fatalf("got %+v and %v", d, err)
				}
			}
		})
	}
}

// BenchmarkReview is what it costs to read a review of which nothing is judged.
func BenchmarkReview(b *testing.B) {
	w := openWorld(b, signedApp)
	r := open(b, w, setup{})
	for _, size := range []int{1 << 10, 100 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			review := []byte(`{"request": {"operation": "DELETE", "object": {"data": [` + strings.Repeat(`{"name": "value"},`, size/18) + `{}]}}}`)
			b.SetBytes(int64(len(review)))
			for b.Loop() {
				if d, err := r.Decide(b.Context(), review); err != nil || !d.Allowed {
					b.Fatalf("got %+v and %v", d, err)
				}
			}
		})
	}
}
