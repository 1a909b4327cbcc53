package doctor

import (
	"slices"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
)

// TestRightsGoByTheFlags: what is not done takes no right.
func TestRightsGoByTheFlags(t *testing.T) {
	t.Parallel()
	all := installed(t).rights
	names := installed(t).names()
	has := func(rights []right, text string) bool {
		return slices.ContainsFunc(rights, func(r right) bool { return r.String() == text })
	}
	for _, tt := range []struct {
		name, right string
		args        []string
		want        bool
	}{
		{"pull secrets of Pods", "get secrets", nil, true},
		{"a central one", "get secrets", []string{"--pull-secrets=central"}, false},
		{"none", "get serviceaccounts", []string{"--pull-secrets=none"}, false},
		{"keys are read all the same", "get secrets in namespace cosign-system", []string{"--pull-secrets=none"}, true},
		{"its own certificate", "patch secrets webhook-certs in namespace cosign-system", nil, true},
		{"the certificate of another", "patch secrets webhook-certs in namespace cosign-system", []string{"--tls-cert=a"}, false},
		{"caBundle", "patch mutatingwebhookconfigurations.admissionregistration.k8s.io policy.sigstore.dev", nil, true},
		{"caBundle of another", "patch mutatingwebhookconfigurations.admissionregistration.k8s.io policy.sigstore.dev", []string{"--tls-cert=a"}, false},
		{"the Lease", "update leases.coordination.k8s.io assay in namespace cosign-system", nil, true},
		{"status", "patch clusterimagepolicies/status.policy.sigstore.dev", nil, true},
	} {
		s := setup{known: true, flags: flagsOf(tt.args)}
		if got := has(needed(all, s, names), tt.right); got != tt.want {
			t.Errorf("%s: got %t that %q is needed, want %t", tt.name, got, tt.right, tt.want)
		}
	}
	if has(all, "delete imagepolicies.policy.assay.dev") {
		t.Error("got a right that is for people, want those of assay")
	}
	if !has(needed(all, setup{}, []string{"own"}), "list validatingwebhookconfigurations.admissionregistration.k8s.io own") {
		t.Error("got no right to the configuration that the installation has, want it")
	}
}

func TestMissingRights(t *testing.T) {
	t.Parallel()
	if !slices.Contains(installed(t).rights, texts()) {
		t.Errorf("got no right to %s in the manifests, want it: the chart has a value for it", texts())
	}
	want(t, judgeRights("system:serviceaccount:a:assay", 30, []right{texts()}), finding.Warning, "an ImagePolicy that refers to a ConfigMap fails")
	want(t, judgeRights("system:serviceaccount:a:assay", 30, nil), "", "")
	want(t, judgeRights("system:serviceaccount:a:assay", 30, []right{{verb: "get", resource: "secrets"}, {verb: "list", resource: "pods"}, {verb: "watch", resource: "secrets"}}),
		finding.Failure, "it may not ")
	if got := joined([]right{{verb: "get", resource: "secrets"}, {verb: "list", resource: "pods"}, {verb: "watch", resource: "secrets"}}); len(got) != 2 || got[0].String() != "get, watch secrets" {
		t.Errorf("got %v, want the rights to one thing as one", got)
	}
}
