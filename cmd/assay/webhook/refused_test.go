package webhook

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/server"
)

// withKMS is a policy of a key in a KMS.
const withKMS = `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "kept"}, "spec": {
	"images": [{"glob": "k.io/**"}], "authorities": [{"key": {"kms": "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/1"}}]}}`

// failingKMS has one key until it is down.
type failingKMS struct {
	down atomic.Bool
	key  crypto.PublicKey
}

func newKMS(t *testing.T) (*failingKMS, *keys.Resolver) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	out := &failingKMS{key: key.Public()}
	return out, keys.New(keys.Options{KMS: func(context.Context, string) (crypto.PublicKey, error) {
		if out.down.Load() {
			return nil, errors.New("the KMS is down")
		}
		return out.key, nil
	}})
}

// serves checks that the policy of the KMS is in force as it was before.
func serves(t *testing.T, r *reloader, before *rego.Set) {
	t.Helper()
	if got, want := r.engine.Set().Hash(), before.Hash(); got != want {
		t.Errorf("got set %s, want %s still", got, want)
	}
	gaps := map[string]map[string]string{}
	for _, policy := range r.documents.Load().Policies {
		gaps[policy.Name] = policy.Gaps
	}
	if diff := cmp.Diff(map[string]string(nil), gaps["kept"]); diff != "" || len(gaps) == 0 {
		t.Errorf("gaps of the policy (-want +got):\n%s", diff)
	}
}

// TestARefusedBundleTakesNoKeys: it does not name the key of the one that serves. Then the KMS is down, and
// the good policies are loaded once more.
func TestARefusedBundleTakesNoKeys(t *testing.T) {
	t.Parallel()
	const kept, at = "resources/ClusterImagePolicy/kept", "resources/ClusterImagePolicy/p"
	for name, bad := range map[string][]byte{
		"CUE that cannot be read": bundleOf(t, `{"revision": "2", "roots": ["`+at+`"]}`, map[string]string{
			at + "/data.json": denying("b.io/**", `, "policy": {"type": "cue", "data": "a: {"}`),
		}),
		"Rego that does not compile": bundleOf(t, `{"revision": "2", "roots": ["policies/x"]}`, map[string]string{"policies/x.rego": "package policies.x\n\ndeny contains nowhere if true\n"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := newBucket(t, map[string][]byte{"main": bundleOf(t, `{"revision": "1", "roots": ["`+kept+`"]}`, map[string]string{kept + "/data.json": withKMS})})
			f := withBundles(t, manual(t, files.URL, "main"), nil)
			kms, resolver := newKMS(t)
			f.reloader.loading.Lock()
			f.reloader.wiring.Resolver = resolver
			f.reloader.loading.Unlock()
			f.fetch()
			before := f.reloader.engine.Set()
			kms.down.Store(true)
			files.put("main", bad)
			for range 3 {
				if err := f.trigger(); err == nil {
					t.Fatal("got no error, want the bundle refused")
				}
			}
			f.reloader.reload(t.Context())
			serves(t, f.reloader, before)
		})
	}
}

// TestRefusedFilesTakeNoKeys, nor do those that went away with all policies.
func TestRefusedFilesTakeNoKeys(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]map[string]string{
		"Rego that cannot be read": {"policy.yaml": denying("b.io/**", ""), "x.rego": "package policies.x\n\ndeny contains {\n"},
		"no policy any more":       {"policy.yaml": remote(t, mirror(t, signedWorld(t)))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFiles(t, dir, map[string]string{"policy.yaml": withKMS})
			flags := wiring.Defaults()
			flags.Policies, flags.NoMatch, flags.TUF.Cache = []string{dir}, "allow", t.TempDir()
			w, err := wiring.New(flags, "deny", 0)
			if err != nil {
				t.Fatal(err)
			}
			var kms *failingKMS
			kms, w.Resolver = newKMS(t)
			r := newReloader(w, server.NewMetrics("test"), slog.New(slog.DiscardHandler))
			if err := r.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := r.engine.Set()
			kms.down.Store(true)
			writeFiles(t, dir, bad)
			for range 3 {
				if r.reload(t.Context()); r.failure == nil {
					t.Fatal("got no failure, want the files refused")
				} else {
					t.Log(r.failure)
				}
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			writeFiles(t, dir, map[string]string{"policy.yaml": withKMS})
			if r.reload(t.Context()); r.failure != nil {
				t.Fatal(r.failure)
			}
			serves(t, r, before)
		})
	}
}
