package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/assay-dev/assay/cmd/assay/doctor/clock"
	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
)

// leaseName is that of the Lease that replicas contend for.
const leaseName = "assay"

// leader looks at who writes.
func (d *doctor) leader(ctx context.Context) []finding.Finding {
	namespace := d.api.Client.Namespace
	object := "Lease " + namespace + "/" + leaseName
	lease, there, err := cluster.Get[shape.Lease](ctx, d.api, kube.Leases(), namespace, leaseName)
	if err != nil {
		return []finding.Finding{finding.NotChecked(object, err)}
	}
	if !there {
		lease = shape.Lease{}
	}
	return []finding.Finding{judgeLease(object, lease, d.now)}
}

// judgeLease says whether somebody leads. now is of the API server's clock, the holder's may be
// another one: see the clocks.
func judgeLease(object string, lease shape.Lease, now time.Time) finding.Finding {
	const idle = "nobody writes statuses and renews certificates"
	fix := fmt.Sprintf("see what the checks of the Deployment and of the rights say; kubectl logs -n %s -l %s", namespaceOf(lease), selector)
	renewed := clock.Stored(lease.ManagedFields)
	if renewed.IsZero() && lease.Spec.RenewTime != nil {
		renewed = lease.Spec.RenewTime.Time
	}
	lives := 15 * time.Second
	if seconds := lease.Spec.LeaseDurationSeconds; seconds > 0 {
		lives = time.Duration(seconds) * time.Second
	}
	switch holder := lease.Spec.HolderIdentity; {
	case holder == "":
		return finding.Failed(object, fix, "got no holder: %s", idle)
	case now.Sub(renewed) > lives:
		return finding.Failed(object, fix, "%s has not renewed it for %s, want %s at most: %s", holder, now.Sub(renewed).Round(time.Second), lives, idle)
	default:
		return finding.OK(object, "%s leads", holder)
	}
}

func namespaceOf(lease shape.Lease) string {
	if lease.Namespace == "" {
		return kube.DefaultNamespace
	}
	return lease.Namespace
}

// clocks compares those that certificates, Leases and signatures are compared with.
func (d *doctor) clocks(ctx context.Context) []finding.Finding {
	out := []finding.Finding{clock.Judge("API server", "this machine",
		"set both clocks by NTP: certificates, Leases and the times of signatures are compared with them",
		clock.Skew(d.server.Asked, d.server.Answered, d.server.Date))}
	lease, there, err := cluster.Get[shape.Lease](ctx, d.api, kube.Leases(), d.api.Client.Namespace, leaseName)
	switch {
	case err != nil:
		return append(out, finding.NotChecked("Lease "+leaseName, err))
	case !there:
		return out // which the leader's check says
	}
	return append(out, clock.Holder(lease)...)
}
