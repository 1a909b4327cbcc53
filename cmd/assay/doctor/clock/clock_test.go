package clock_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/clock"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
)

func noon() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

func TestSkew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		asked, answered time.Duration
		date            time.Duration
		want            time.Duration
		status          finding.Status
	}{
		{"the same second", 200 * time.Millisecond, 300 * time.Millisecond, 0, 0, finding.Fine},
		{"the second before, for dates are whole ones", time.Second, time.Second + 10, 0, 0, finding.Fine},
		{"somewhere in a slow answer", 0, 30 * time.Second, 12 * time.Second, 0, finding.Fine},
		{"ahead by a little", 0, time.Second, 5 * time.Second, 4 * time.Second, finding.Fine},
		{"ahead", 0, time.Second, 11 * time.Second, 10 * time.Second, finding.Warning},
		{"behind", 20 * time.Second, 21 * time.Second, 0, -19 * time.Second, finding.Warning},
		{"ahead by much", 0, time.Second, 2 * time.Minute, 119 * time.Second, finding.Failure},
		{"behind by much", time.Hour, time.Hour, 0, -time.Hour + time.Second, finding.Failure},
	} {
		got := clock.Skew(noon().Add(tt.asked), noon().Add(tt.answered), noon().Add(tt.date))
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		if judged := clock.Judge("server", "this machine", "NTP", got); judged.Status != tt.status {
			t.Errorf("%s: got %+v, want %s", tt.name, judged, tt.status)
		}
	}
	if got, want := clock.Judge("server", "this machine", "NTP", -90*time.Second).Message, "its clock is 1m30s behind that of this machine, want at most 5s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTheClockOfWhoLeads is seen in its Lease: it wrote one time, and the API server another.
func TestTheClockOfWhoLeads(t *testing.T) {
	t.Parallel()
	lease := func(renewed, stored time.Duration) shape.Lease {
		at, by := metav1.NewMicroTime(noon().Add(renewed)), metav1.NewTime(noon().Add(stored))
		out := shape.Lease{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Time: &metav1.Time{Time: noon().Add(-time.Hour)}}, {Time: &by}}}}
		out.Spec.HolderIdentity, out.Spec.RenewTime = "assay-1", &at
		return out
	}
	for _, tt := range []struct {
		name            string
		renewed, stored time.Duration
		want            finding.Status
	}{
		{"the same", 300 * time.Millisecond, 0, finding.Fine},
		{"a slow write", 0, 4 * time.Second, finding.Fine},
		{"ahead", 20 * time.Second, 0, finding.Warning},
		{"behind by much", 0, 3 * time.Minute, finding.Failure},
		{"ahead by much", 10 * time.Minute, 0, finding.Failure},
	} {
		got := clock.Holder(lease(tt.renewed, tt.stored))
		if len(got) != 1 || got[0].Status != tt.want {
			t.Errorf("%s: got %+v, want %s", tt.name, got, tt.want)
		}
	}
	back := lease(0, time.Hour)
	back.Spec.HolderIdentity = ""
	for _, of := range []shape.Lease{{}, back} {
		if got := clock.Holder(of); got != nil {
			t.Errorf("got %+v of a Lease that nobody holds, want nothing", got)
		}
	}
}
