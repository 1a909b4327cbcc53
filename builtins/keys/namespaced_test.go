package keys_test

import (
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
