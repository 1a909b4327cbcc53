package lease

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestRecords(t *testing.T) {
	t.Parallel()
	object := (&Lease{name: "assay"}).empty()
	object.SetResourceVersion("7")
	now := time.Date(2026, 6, 1, 12, 0, 0, 123456789, time.UTC)
	r := record{version: "7", holder: "a_1", duration: 15 * time.Second, transitions: 2, acquired: "2026-06-01T11:00:00.000000Z"}
	if err := r.into(object, now); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, recordOf(object), cmp.AllowUnexported(record{})); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	renewed, _, err := unstructured.NestedString(object.Object, "spec", "renewTime")
	if want := "2026-06-01T12:00:00.123456Z"; renewed != want || err != nil {
		t.Errorf("renewTime: got %q, %v, want %q", renewed, err, want)
	}
	object.SetResourceVersion("8")
	if err := r.into(object, now); err == nil {
		t.Error("another version: got it written, want an error")
	}
}

func TestRecordsOfStrangers(t *testing.T) {
	t.Parallel()
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"holderIdentity": int64(3), "leaseDurationSeconds": int64(1 << 40), "acquireTime": true, "leaseTransitions": "many",
	}}}
	if diff := cmp.Diff(record{duration: time.Minute}, recordOf(object), cmp.AllowUnexported(record{})); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(record{}, recordOf(&unstructured.Unstructured{Object: map[string]any{}}), cmp.AllowUnexported(record{})); diff != "" {
		t.Errorf("an empty one (-want +got):\n%s", diff)
	}
}
