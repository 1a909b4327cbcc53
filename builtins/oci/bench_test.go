package oci_test

import (
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/oci"
)

func BenchmarkSignaturesWarm(b *testing.B) {
	f := newFake(b)
	ref, _ := f.signed(b, "org/app")
	c := newClient(b, oci.WithClock(newClock().now))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Signatures(b.Context(), anonymous, ref, oci.Place{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignaturesCold pays ping, manifest and blob each time; the connection stays.
func BenchmarkSignaturesCold(b *testing.B) {
	f := newFake(b)
	ref, _ := f.signed(b, "org/app")
	now := newClock()
	c := newClient(b, oci.WithClock(now.now), oci.WithBlobCache(0))
	b.ReportAllocs()
	for b.Loop() {
		now.add(time.Hour) // longer than any session lives
		if _, err := c.Signatures(b.Context(), anonymous, ref, oci.Place{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	ref := "ghcr.io/org/app:v1@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := oci.Parse(ref); err != nil {
			b.Fatal(err)
		}
	}
}
