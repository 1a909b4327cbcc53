package wiring

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego/cip"
)

// withKMS is a policy in JSON of a key in a KMS.
const withKMS = `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": {
	"images": [{"glob": "a.io/**"}], "authorities": [{"key": {"kms": "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/1"}}]}}`

// withoutKMS is another one, of files of its own beside those of bundles and the cluster.
const withoutKMS = `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "other"}, "spec": {
	"images": [{"glob": "b.io/**"}], "authorities": [{"static": {"action": "fail"}}]}}`

// TestARefusedSetTakesNoKeys from the one that serves, wherever the policies are: with the KMS down
// nobody could get them again.
func TestARefusedSetTakesNoKeys(t *testing.T) {
	t.Parallel()
	named := func(d *Documents) cip.Policy {
		return d.Policies[slices.IndexFunc(d.Policies, func(p cip.Policy) bool { return p.Name == "p" })]
	}
	for name, read := range map[string]func(t *testing.T, w *Wiring, policies []byte) (*Documents, error){
		"files": func(t *testing.T, w *Wiring, policies []byte) (*Documents, error) {
			if err := os.WriteFile(w.Flags.Policies[0], policies, 0o600); err != nil {
				t.Fatal(err)
			}
			return w.Read(t.Context())
		},
		"bundles": func(t *testing.T, w *Wiring, policies []byte) (*Documents, error) {
			return w.Beside(&Bundled{Resources: map[string][]byte{"bundle main: p": policies}}).Read(t.Context())
		},
		"objects of the cluster": func(t *testing.T, w *Wiring, policies []byte) (*Documents, error) {
			parsed, err := cip.Parse(policies)
			if err != nil {
				t.Fatal(err)
			}
			return w.ReadCluster(t.Context(), watch.Objects{Policies: parsed.Policies})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			var down error
			flags := Defaults()
			flags.Policies = []string{filepath.Join(t.TempDir(), "policy.yaml")}
			if err := os.WriteFile(flags.Policies[0], []byte(strings.Replace(withoutKMS, `"other"`, `"file"`, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			w := &Wiring{Flags: flags, Resolver: keys.New(keys.Options{KMS: func(context.Context, string) (crypto.PublicKey, error) {
				return key.Public(), down
			}})}
			serving, err := read(t, w, []byte(withKMS))
			if err != nil {
				t.Fatal(err)
			}
			w.Took(serving)
			down = errors.New("down")
			for range 5 { // read, and never taken
				if _, err := read(t, w, []byte(withoutKMS)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := read(t, w, []byte(withKMS))
			if err != nil {
				t.Fatal(err)
			}
			if data := named(got).Spec.Authorities[0].Key.Data; data == "" || len(named(got).Gaps) > 0 {
				t.Errorf("got key %q and gaps %v, want the key that serves", data, named(got).Gaps)
			}
			if diff := cmp.Diff(serving.Policies, got.Policies); diff != "" {
				t.Errorf("policies (-serving +read again):\n%s", diff)
			}
		})
	}
}
