package cip_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

func imagePolicy(metadata, authority, policy string) []byte {
	return []byte("apiVersion: policy.assay.dev/v1alpha1\nkind: ImagePolicy\nmetadata: " + metadata +
		"\nspec: {images: [{glob: '**'}], authorities: [" + authority + "]" + policy + "}")
}

func TestImagePoliciesBearTheirNamespace(t *testing.T) {
	t.Parallel()
	docs, err := cip.Parse(imagePolicy("{name: own, namespace: team-a}", "{key: {secretRef: {name: k, namespace: team-a}}}",
		", policy: {type: rego, configMapRef: {name: c, namespace: team-a, key: p}}"))
	if err != nil {
		t.Fatal(err)
	}
	got := docs.Policies[0]
	if diff := cmp.Diff([]string{"team-a/own", "team-a", "v1alpha1", "ImagePolicy", "policy.assay.dev", "ImagePolicy team-a/own"},
		[]string{got.Name, got.Namespace, got.Version, got.Kind(), got.Group(), got.String()}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestImagePoliciesOfOneName(t *testing.T) {
	t.Parallel()
	one := string(imagePolicy("{name: own, namespace: team-a}", "{static: {action: pass}}", ""))
	other := strings.Replace(one, "team-a", "team-b", 1)
	cluster := "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: own}\n" +
		"spec: {images: [{glob: '**'}], authorities: [{static: {action: pass}}]}"
	docs, err := cip.Parse([]byte(one + "\n---\n" + other + "\n---\n" + cluster))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range docs.Policies {
		got = append(got, p.String())
	}
	if diff := cmp.Diff([]string{"ImagePolicy team-a/own", "ImagePolicy team-b/own", "ClusterImagePolicy own"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	differs := strings.Replace(one, "pass", "fail", 1)
	if _, err := cip.Parse([]byte(one + "\n---\n" + differs)); err == nil || !strings.Contains(err.Error(), `duplicate policy named "own", and the two differ`) {
		t.Errorf("got error %v, want the duplicate refused", err)
	}
}

func TestWhatAnImagePolicyMayNotSay(t *testing.T) {
	t.Parallel()
	const named, fine = "{name: own, namespace: team-a}", "{static: {action: pass}}"
	for _, tt := range []struct{ name, metadata, authority, policy, want string }{
		{"no namespace", "{name: own}", fine, "", "missing field(s): metadata.namespace"},
		{"a namespace that is none", "{name: own, namespace: 'team/a'}", fine, "", `invalid value: "team/a": metadata.namespace`},
		{"a namespace with a dot", "{name: own, namespace: team.a}", fine, "", `invalid value: "team.a": metadata.namespace`},
		{"a long namespace", "{name: own, namespace: " + strings.Repeat("a", 64) + "}", fine, "", "metadata.namespace"},
		{"a key in a KMS", named, "{key: {kms: 'gcpkms://k'}}", "", "must not set the field(s): spec.authorities[0].key.kms"},
		{
			"a certificate's key in a KMS", named, "{keyless: {ca-cert: {kms: 'gcpkms://k'}, identities: [{issuer: i, subject: s}]}}", "",
			"must not set the field(s): spec.authorities[0].keyless.ca-cert.kms",
		},
		{
			"a policy behind a URL", named, fine, ", policy: {type: cue, remote: {url: 'https://a.example/p', sha256sum: s}}",
			"must not set the field(s): spec.policy.remote",
		},
		{
			"that of an attestation", named, "{key: {secretRef: {name: k}}, attestations: [{name: a, predicateType: custom, policy: " +
				"{type: rego, remote: {url: 'https://a.example/p', sha256sum: s}}}]}", "",
			"must not set the field(s): spec.authorities[0].attestations[0].policy.remote",
		},
		{
			"a Secret of another namespace", named, "{key: {secretRef: {name: k, namespace: cosign-system}}}", "",
			"invalid value: cosign-system: spec.authorities[0].key.secretref.namespace\nwant the namespace of the ImagePolicy",
		},
		{
			"a ConfigMap of another namespace", named, fine, ", policy: {type: cue, configMapRef: {name: c, namespace: kube-system, key: k}}",
			"invalid value: kube-system: spec.policy.configMapRef.namespace",
		},
		{"CUE", named, fine, ", policy: {type: cue, data: 'a: 1'}", "invalid value: cue: spec.policy.type\nonly [rego] is supported in an ImagePolicy"},
		{"a long text", named, fine, ", policy: {type: rego, data: '" + strings.Repeat("#", cip.MostOwnedText+1) + "'}", "too long a policy: got 16385 bytes, want at most 16384: spec.policy.data"},
		{"many authorities", named, fine + strings.Repeat(","+fine, 16), "", "too many authorities: got 17, want at most 16: spec.authorities"},
		{"many identities", named, "{keyless: {identities: [" + strings.Repeat("{issuer: i, subject: s},", 101) + "]}}", "", "too many identities: got 101, want at most 100"},
		{
			"many attestations", named, "{key: {secretRef: {name: k}}, attestations: [" + strings.Repeat("{name: a, predicateType: custom},", 9) + "]}", "",
			"too many attestations: got 9, want at most 8: spec.authorities[0].attestations",
		},
		{
			"large expressions", named, "{keyless: {identities: [{issuer: i, subjectRegExp: '" + strings.Repeat("a{1000}", 40) + "'}]}}", "",
			"too many instructions: got more than 32768 in all expressions of the policy",
		},
		{"what is wrong with any policy", named, "{}", "", "expected exactly one, got neither: spec.authorities[0].key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := cip.Parse(imagePolicy(tt.metadata, tt.authority, tt.policy))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q in it", err, tt.want)
			}
		})
	}
}
