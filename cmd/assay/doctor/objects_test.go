package doctor

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	of := func(observed int64, conditions ...metav1.Condition) policy {
		p := policy{Kind: "ClusterImagePolicy"}
		p.Name, p.Generation = "signed", 3
		p.Status.ObservedGeneration, p.Status.Conditions = observed, conditions
		return p
	}
	ready := metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "InForce"}
	for _, tt := range []struct {
		name   string
		of     policy
		status finding.Status
		want   string
	}{
		{"in force", of(3, ready), "", ""},
		{"nobody has looked at it", of(0), finding.Failure, "got no condition Ready"},
		{"upstream's condition alone", of(3, metav1.Condition{Type: "KeysInlined", Status: metav1.ConditionTrue}), finding.Failure, "got no condition Ready"},
		{"the one before is", of(2, ready), finding.Failure, "the version that is in force is 2, and it was written 3 times"},
		{"it does not compile", of(3, metav1.Condition{Type: "Ready", Status: metav1.ConditionFalse, Reason: "CompileFailed", Message: "spec.policy: line 3"}), finding.Failure, "CompileFailed: spec.policy: line 3"},
		{"it lives on what it had", of(3, metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Stale", Message: "Secret a: gone"}), finding.Warning, "Stale: Secret a: gone"},
		{"a condition that is unknown", of(3, metav1.Condition{Type: "Ready", Status: metav1.ConditionUnknown, Reason: "A", Message: "b"}), finding.Failure, "A: b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want(t, judgePolicies(kube.ClusterImagePolicies(), []policy{of(3, ready), tt.of}), tt.status, tt.want)
		})
	}
	want(t, judgePolicies(kube.TrustRoots(), nil), "", "")
	many := make([]policy, 500)
	if got := judgePolicies(kube.TrustRoots(), many); len(got) != mostPolicies+1 {
		t.Errorf("got %d findings, want them bounded", len(got))
	}
}

func TestLeader(t *testing.T) {
	t.Parallel()
	lease := func(holder string, age time.Duration) shape.Lease {
		renewed := metav1.NewMicroTime(noon().Add(-age))
		var out shape.Lease
		out.Spec.HolderIdentity, out.Spec.RenewTime, out.Spec.LeaseDurationSeconds = holder, &renewed, 15
		return out
	}
	for _, tt := range []struct {
		name   string
		of     shape.Lease
		status finding.Status
		want   string
	}{
		{"somebody leads", lease("assay-1", 3*time.Second), "", ""},
		{"there is none", shape.Lease{}, finding.Failure, "got no holder"},
		{"it was given back", lease("", time.Second), finding.Failure, "got no holder"},
		{"who led is gone", lease("assay-1", time.Hour), finding.Failure, "assay-1 has not renewed it for 1h0m0s"},
	} {
		want(t, []finding.Finding{judgeLease("Lease a/assay", tt.of, noon())}, tt.status, tt.want)
	}
}

func TestDefinitions(t *testing.T) {
	t.Parallel()
	wanted := func(t *testing.T) definition {
		t.Helper()
		all, err := defined()
		if err != nil || len(all) != 5 {
			t.Fatalf("got %d definitions and %v, want those of deploy/crds", len(all), err)
		}
		return all[0]
	}
	served := func(t *testing.T) definition {
		d := wanted(t)
		d.Status.Conditions = append(d.Status.Conditions, struct {
			Type    string `json:"type"`
			Status  string `json:"status"`
			Message string `json:"message"`
		}{"Established", "True", ""})
		d.Status.StoredVersions = []string{"v1alpha1"}
		return d
	}
	for _, tt := range []struct {
		name   string
		change func(*definition)
		status finding.Status
		want   string
	}{
		{"as it is installed", func(*definition) {}, "", ""},
		{"policy-controller converts", func(d *definition) { d.Spec.Conversion.Strategy = "Webhook" }, finding.Failure, "kubectl patch crd clusterimagepolicies.policy.sigstore.dev"},
		{"it is not served", func(d *definition) { d.Status.Conditions[0].Status = "False" }, finding.Failure, "Established: got False"},
		{"nobody looked at it", func(d *definition) { d.Status.Conditions = nil }, finding.Failure, "Established"},
		{"a version is missing", func(d *definition) { d.Spec.Versions = d.Spec.Versions[:1] }, finding.Failure, "versions: got v1alpha1 served stored, want v1alpha1 served stored, v1beta1 served"},
		{"a version is not served", func(d *definition) { d.Spec.Versions[1].Served = false }, finding.Failure, "versions"},
		{"another schema", func(d *definition) { d.Spec.Versions[0].Schema = map[string]any{} }, finding.Warning, "schema"},
		{"what is stored is of yesterday", func(d *definition) { d.Status.StoredVersions = []string{"v1alpha1", "v1alpha0"} }, finding.Warning, "storedVersions: got v1alpha0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := served(t)
			tt.change(&got)
			want(t, judgeDefinition("CustomResourceDefinition a", wanted(t), got), tt.status, tt.want)
		})
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	slice := func(ready ...bool) (out shape.EndpointSlice) {
		for _, r := range ready {
			out.Endpoints = append(out.Endpoints, shape.Endpoint{})
			out.Endpoints[len(out.Endpoints)-1].Conditions.Ready = &r
		}
		return out
	}
	want(t, []finding.Finding{judgeEndpoints("Service a/b", "a", []shape.EndpointSlice{slice(false), slice(true)})}, "", "")
	want(t, []finding.Finding{judgeEndpoints("Service a/b", "a", []shape.EndpointSlice{slice(false, false)})}, finding.Failure, "got 2 endpoints, none of them ready")
	want(t, []finding.Finding{judgeEndpoints("Service a/b", "a", nil)}, finding.Failure, "got 0 endpoints")
}

// TestWhatTheAPIServerSays of a webhook that it asked.
func TestWhatTheAPIServerSays(t *testing.T) {
	t.Parallel()
	internal := func(cause string) error {
		return apierrors.NewInternalError(errors.New(`failed calling webhook "policy.sigstore.dev": failed to call webhook: ` + cause))
	}
	verdict := func(object string, err error, hooks []hook) finding.Finding {
		return judgeVerdict(object, err, hooks, "")
	}
	excused := func(object string, err error, hooks []hook) finding.Finding {
		return judgeVerdict(object, err, hooks, "a policy passes it")
	}
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "a", errors.New("no"))
	for _, tt := range []struct {
		name   string
		judge  func(string, error, []hook) finding.Finding
		err    error
		status finding.Status
		want   string
	}{
		{"a policy: it was denied", judgeAnswer, apierrors.NewBadRequest(`admission webhook "validating.clusterimagepolicy.sigstore.dev" denied the request: validation failed: invalid value: [: spec.images[0].glob`), "", ""},
		{"a policy: nobody denied it", judgeAnswer, nil, finding.Failure, "a policy that cannot be read would be stored"},
		{"a policy: another webhook denied it", judgeAnswer, apierrors.NewBadRequest(`admission webhook "other.example" denied the request: spec.images[0].glob`), finding.Unknown, "other.example"},
		{"a policy: it was denied for something else", judgeAnswer, apierrors.NewBadRequest(`admission webhook "validating.clusterimagepolicy.sigstore.dev" denied the request: not ready`), finding.Unknown, "not ready"},
		{"a policy: TLS", judgeAnswer, internal("x509: certificate signed by unknown authority"), finding.Failure, "the check of the certificate"},
		{"a policy: nobody is there", judgeAnswer, internal("dial tcp 10.0.0.1:443: connect: connection refused"), finding.Failure, "no replica is ready"},
		{"a policy: a firewall", judgeAnswer, internal("context deadline exceeded"), finding.Failure, "NetworkPolicy"},
		{"a policy: no Service", judgeAnswer, internal(`service "webhook" not found`), finding.Failure, "the Service is gone"},
		{"a policy: no right", judgeAnswer, forbidden, finding.Unknown, "as somebody who may"},
		{"a policy: the word of a stranger", judgeAnswer, errors.New("failed calling webhook"), finding.Unknown, "failed calling"},
		{"a Pod: denied", verdict, apierrors.NewBadRequest(`admission webhook "policy.sigstore.dev" denied the request: no matching policies`), "", ""},
		{"a Pod: admitted", verdict, nil, finding.Failure, "an image that is nowhere was admitted: assay was not asked"},
		{"a Pod: admitted, as somebody wished", excused, nil, finding.Warning, "an image that is nowhere was admitted: a policy passes it"},
		{"a Pod: nobody is there", verdict, internal("EOF"), finding.Failure, "no replica is ready"},
		{"a Pod: another webhook denies it", verdict, apierrors.NewBadRequest(`admission webhook "other.example" denied the request: no`), finding.Unknown, "other.example"},
		{"a Pod: another webhook does not answer", verdict, apierrors.NewInternalError(errors.New(`failed calling webhook "other.example": EOF`)), finding.Unknown, "other.example"},
		{"a Pod: no right", verdict, forbidden, finding.Unknown, "forbidden"},
		{"a Pod: a quota", verdict, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "a", errors.New("exceeded quota")), finding.Unknown, "quota"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want(t, []finding.Finding{tt.judge("dry run", tt.err, installed(t).hooks)}, tt.status, tt.want)
		})
	}
}
