package keys_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/rego/cip"
)

// TestOfANamespaceNothingElseIsRead: neither what others have of that name, nor what would
// have to be asked for.
func TestOfANamespaceNothingElseIsRead(t *testing.T) {
	t.Parallel()
	own, system := publicPEM(t, newKey(t).Public()), publicPEM(t, newKey(t).Public())
	secret := func(namespace, data string) cip.Secret {
		return cip.Secret{Name: "k", Namespace: namespace, Data: map[string][]byte{"cosign.pub": []byte(data)}}
	}
	everywhere := []cip.Secret{secret("", system), secret("team-a", own)}
	for _, tt := range []struct {
		name, namespace string
		key             cip.KeyRef
		secrets         []cip.Secret
		place           string
		want, gap       string
	}{
		{"its own", "team-a", cip.KeyRef{SecretRef: &cip.SecretRef{Name: "k"}}, everywhere, "", own, ""},
		{"that of the cluster's policies", "", cip.KeyRef{SecretRef: &cip.SecretRef{Name: "k"}}, everywhere, "", system, ""},
		{
			"not the system's", "team-b", cip.KeyRef{SecretRef: &cip.SecretRef{Name: "k"}}, everywhere, "", "",
			`secret "k" not found, looked in the policy files for namespace team-b`,
		},
		{
			"nor in a cluster", "team-b", cip.KeyRef{SecretRef: &cip.SecretRef{Name: "k"}}, everywhere, "the system namespace of the cluster", "",
			`secret "k" not found, looked in namespace team-b of the cluster`,
		},
		{
			"a policy of the cluster not what a namespace has", "", cip.KeyRef{SecretRef: &cip.SecretRef{Name: "k"}}, everywhere[1:], "", "",
			`secret "k" not found, the policy files have one in namespace team-a, want cosign-system`,
		},
		{"no KMS", "team-a", cip.KeyRef{KMS: "gcpkms://k"}, nil, "", "", "an ImagePolicy refers to what is in its namespace alone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := policy(tt.key)
			p.Namespace = tt.namespace
			resolved, _ := keys.New(keys.Options{KMS: none(t)}).Resolve(t.Context(), []cip.Policy{p}, keys.Sources{Secrets: tt.secrets, Place: tt.place})
			if got := resolved[0].Spec.Authorities[0].Key.Data; got != tt.want {
				t.Errorf("got the key %q, want %q", got, tt.want)
			}
			want := map[string]string{}
			if tt.gap != "" {
				want["spec.authorities[0]"] = tt.gap
			}
			if diff := cmp.Diff(want, resolved[0].Gaps, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestWhatANamespaceHasIsNobodyElses: also not where it is called as the default for files.
func TestWhatANamespaceHasIsNobodyElses(t *testing.T) {
	t.Parallel()
	own, system := publicPEM(t, newKey(t).Public()), publicPEM(t, newKey(t).Public())
	secret := func(namespace, data string) cip.Secret {
		return cip.Secret{Name: "k", Namespace: namespace, Data: map[string][]byte{"cosign.pub": []byte(data)}}
	}
	owned := keys.Owned{
		Secrets:    []cip.Secret{secret("cosign-system", own)},
		ConfigMaps: []cip.ConfigMap{{Name: "c", Namespace: "cosign-system", Data: map[string]string{"p": "own: 1"}}},
	}
	resolve := func(namespace string, sources keys.Sources) cip.Policy {
		p := policy(cip.KeyRef{SecretRef: &cip.SecretRef{Name: "k"}})
		p.Namespace, p.Spec.Policy = namespace, &cip.PolicyRef{Type: "rego", ConfigMapRef: &cip.ConfigMapRef{Name: "c", Key: "p"}}
		resolved, _ := keys.New(keys.Options{KMS: none(t)}).Resolve(t.Context(), []cip.Policy{p}, sources)
		return resolved[0]
	}
	cluster := resolve("", keys.Sources{Owned: owned, Place: "the system namespace of the cluster"})
	want := map[string]string{
		"spec.authorities[0]": `secret "k" not found, looked in the system namespace of the cluster`,
		"spec.policy":         `configmap "c" not found, looked in the system namespace of the cluster`,
	}
	if diff := cmp.Diff(want, cluster.Gaps); diff != "" {
		t.Errorf("a policy of the cluster: -want +got:\n%s", diff)
	}
	both := resolve("", keys.Sources{Secrets: []cip.Secret{secret("", system)}, Owned: owned, Place: "the system namespace of the cluster"})
	if got := both.Spec.Authorities[0].Key.Data; got != system {
		t.Errorf("a policy of the cluster: got the key %q, want that of the system namespace", got)
	}
	mine := resolve("cosign-system", keys.Sources{Secrets: []cip.Secret{secret("", system)}, Owned: owned})
	if got := mine.Spec.Authorities[0].Key.Data; got != own || mine.Spec.Policy.Data != "own: 1" {
		t.Errorf("its own policy: got the key %q and the text %q", got, mine.Spec.Policy.Data)
	}
}

func TestOfANamespaceTextsAreItsOwn(t *testing.T) {
	t.Parallel()
	configMap := func(namespace, text string) cip.ConfigMap {
		return cip.ConfigMap{Name: "c", Namespace: namespace, Data: map[string]string{"p": text}}
	}
	sources := keys.Sources{ConfigMaps: []cip.ConfigMap{configMap("cosign-system", "system: 1"), configMap("team-a", "own: 1")}}
	for namespace, want := range map[string]string{"team-a": "own: 1", "cosign-system": "system: 1", "": "system: 1", "team-b": ""} {
		ref := &cip.PolicyRef{Type: "cue", ConfigMapRef: &cip.ConfigMapRef{Name: "c", Key: "p"}}
		p := cip.Policy{Name: "p", Namespace: namespace, Spec: cip.Spec{Policy: ref}}
		resolved, _ := keys.New(keys.Options{KMS: none(t)}).Resolve(t.Context(), []cip.Policy{p}, sources)
		if got := resolved[0].Spec.Policy.Data; got != want || (resolved[0].Gaps["spec.policy"] == "") != (want != "") {
			t.Errorf("%s: got %q and the gaps %q, want %q", namespace, got, resolved[0].Gaps, want)
		}
	}
}

// TestTheRegoOfANamespaceIsBounded, in one place and in all.
func TestTheRegoOfANamespaceIsBounded(t *testing.T) {
	t.Parallel()
	text := func(size int) string { return strings.Repeat("#", size) }
	attestations := func(count int) (out []cip.Attestation) {
		for range count {
			out = append(out, cip.Attestation{Policy: &cip.PolicyRef{Type: "rego", ConfigMapRef: &cip.ConfigMapRef{Name: "c", Key: "p"}}})
		}
		return out
	}
	for _, tt := range []struct {
		name, namespace string
		size, places    int
		want            string
	}{
		{"as much as may be", "team-a", cip.MostOwnedText, 4, ""},
		{"too much in one place", "team-a", cip.MostOwnedText + 1, 1, `configmap "c" key p: got 16385 bytes, want at most 16384 for an ImagePolicy`},
		{"too much in all", "team-a", cip.MostOwnedText, 5, "got more than 65536 bytes of Rego in all, want an ImagePolicy with less"},
		{"of the cluster", "", cip.MostOwnedText + 1, 5, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := cip.Policy{Name: "p", Namespace: tt.namespace, Spec: cip.Spec{Authorities: []cip.Authority{{Attestations: attestations(tt.places)}}}}
			sources := keys.Sources{ConfigMaps: []cip.ConfigMap{{Name: "c", Namespace: tt.namespace, Data: map[string]string{"p": text(tt.size)}}}}
			resolved, _ := keys.New(keys.Options{KMS: none(t)}).Resolve(t.Context(), []cip.Policy{p}, sources)
			if got := resolved[0].Gaps["spec.authorities[0]"]; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
