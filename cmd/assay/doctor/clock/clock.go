// Package clock compares clocks: that of a server, which says the time in whole seconds, with
// the one of who asks; and that of a replica with the API server's.
package clock

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
)

// A clock that is wrong by more is a finding. Certificates and signatures are of minutes, and
// Leases of seconds.
const (
	someSkew = 5 * time.Second
	muchSkew = time.Minute
)

// Skew is by how much a clock is ahead of ours: one that said date, in whole seconds, at
// some moment between asked and answered. Zero where it may be the same.
func Skew(asked, answered, date time.Time) time.Duration {
	switch latest := date.Add(time.Second); {
	case date.After(answered):
		return date.Sub(answered)
	case latest.Before(asked):
		return latest.Sub(asked)
	}
	return 0
}

// Judge says what it means that the clock of an object is ahead of another one.
func Judge(object, other, fix string, skew time.Duration) finding.Finding {
	side := "ahead of"
	if skew < 0 {
		side = "behind"
	}
	switch size := skew.Abs().Round(time.Second); {
	case size > muchSkew:
		return finding.Failed(object, fix, "its clock is %s %s that of %s, want at most %s", size, side, other, someSkew)
	case size > someSkew:
		return finding.Warned(object, fix, "its clock is %s %s that of %s, want at most %s", size, side, other, someSkew)
	}
	return finding.OK(object, "its clock and that of %s differ by no more than %s", other, someSkew)
}

// Holder compares the clock of the replica that leads, which wrote when it renewed the
// Lease, with that of the API server, which wrote when it stored that.
func Holder(lease shape.Lease) []finding.Finding {
	stored := Stored(lease.ManagedFields)
	holder := lease.Spec.HolderIdentity
	if holder == "" || lease.Spec.RenewTime == nil || stored.IsZero() {
		return nil // nobody leads
	}
	return []finding.Finding{Judge("replica "+holder, "the API server", "set the clock of its node by NTP",
		-Skew(lease.Spec.RenewTime.Time, lease.Spec.RenewTime.Add(someSkew), stored))} // a write may take so long
}

// Stored is when an API server last stored something of an object, by its clock.
func Stored(fields []metav1.ManagedFieldsEntry) (out time.Time) {
	for _, entry := range fields {
		if entry.Time != nil && entry.Time.After(out) {
			out = entry.Time.Time
		}
	}
	return out
}
