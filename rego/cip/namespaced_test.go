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
		", policy: {type: cue, configMapRef: {name: c, namespace: team-a, key: p}}"))
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

func TestSourcesOutsideOfWhatIsAllowed(t *testing.T) {
	t.Parallel()
	allowed := func(texts ...string) (out []string) {
		for _, text := range texts {
			prefix, err := cip.ParseSourcePrefix(text)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, prefix)
		}
		return out
	}
	all := allowed("ghcr.io", "registry.example:5000/signatures", "docker.io/acme")
	for _, tt := range []struct {
		name, oci string
		allowed   []string
		outside   bool
	}{
		{"none is the image's own", "", nil, false},
		{"nothing is allowed", "ghcr.io/acme/sigs", nil, true},
		{"a host", "ghcr.io/acme/sigs", all, false},
		{"a repository", "registry.example:5000/signatures", all, false},
		{"below it", "registry.example:5000/signatures/app", all, false},
		{"one that begins alike", "registry.example:5000/signatures-of-mine", all, true},
		{"above it", "registry.example:5000/other", all, true},
		{"another port", "registry.example/signatures", all, true},
		{"a host that begins alike", "ghcr.io.evil.example/acme/sigs", all, true},
		{"Docker Hub by its other name", "index.docker.io/acme/sigs", all, false},
		{"Docker Hub, another's", "index.docker.io/evil/sigs", all, true},
		{"a registry alone, which is a repository of Docker Hub", "ghcr.io", all, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source := "{oci: '" + tt.oci + "'}"
			docs, err := cip.Parse(imagePolicy("{name: own, namespace: team-a}", "{key: {secretRef: {name: k}}, source: ["+source+"]}", ""))
			if err != nil {
				t.Fatal(err)
			}
			got := docs.Policies[0].Outside(tt.allowed)
			if (len(got) > 0) != tt.outside || tt.outside && !strings.Contains(got["spec.authorities[0]"], "source[0].oci: got "+tt.oci) {
				t.Errorf("got %q, want it outside: %t", got, tt.outside)
			}
			cluster := docs.Policies[0]
			cluster.Namespace = ""
			if got := cluster.Outside(nil); len(got) > 0 {
				t.Errorf("a ClusterImagePolicy: got %q, want nothing outside", got)
			}
		})
	}
	for _, text := range []string{"", "acme", "acme/sigs", "https://ghcr.io", "ghcr.io/", "ghcr.io/UPPER", "ghcr.io/*", "*.ghcr.io"} {
		if got, err := cip.ParseSourcePrefix(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}
