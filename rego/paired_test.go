package rego_test

import (
	"syscall"
	"testing"
	"time"
)

// paired runs two functions in turn and reports how much longer the second takes, in
// time of the processor: the machine may be busy with others.
func paired(b *testing.B, first, second func()) {
	b.Helper()
	first()
	second()
	var one, other time.Duration
	for i := 0; b.Loop(); i++ {
		// In turn they come first: what comes second pays for some of the other's garbage.
		if i%2 == 0 {
			one, other = one+timed(b, first), other+timed(b, second)
		} else {
			other, one = other+timed(b, second), one+timed(b, first)
		}
	}
	b.ReportMetric(float64(one.Microseconds())/float64(b.N), "plain-µs/op")
	b.ReportMetric(float64(other.Microseconds())/float64(b.N), "with-µs/op")
	b.ReportMetric(100*(float64(other)/float64(one)-1), "%more")
}

// processor is the time that the process has had.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func timed(b *testing.B, f func()) time.Duration {
	b.Helper()
	start := processor(b)
	f()
	return processor(b) - start
}
