package keys_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/rego/cip"
)

// TestRefusedPoliciesTakeNothingFromThoseThatServe: what serves outlives a KMS and a host that are
// down, however many policies without its keys were loaded meanwhile and refused.
func TestRefusedPoliciesTakeNothingFromThoseThatServe(t *testing.T) {
	t.Parallel()
	kms := &cloud{key: newKey(t).Public()}
	o := newOrigin(t)
	resolver := keys.New(keys.Options{KMS: kms.fetch, Transport: o.Client().Transport})
	serving := []cip.Policy{policy(cip.KeyRef{KMS: reference}), remotePolicy(o.URL+"/policy", sumOf("package sigstore"))}
	before, _ := resolver.Resolve(t.Context(), serving, keys.Sources{})
	resolver.Serves(serving)
	kms.set(nil, errors.New("down"))
	o.down.Store(true)
	for i := range 5 {
		resolver.Resolve(t.Context(), []cip.Policy{policy(cip.KeyRef{KMS: fmt.Sprintf("gcpkms://refused/%d", i)})}, keys.Sources{})
	}
	got, warnings := resolver.Resolve(t.Context(), serving, keys.Sources{})
	if diff := cmp.Diff(before, got); diff != "" || len(got[0].Gaps)+len(got[1].Gaps) > 0 {
		t.Errorf("got gaps %v and %v, want none; policies (-before +after):\n%s", got[0].Gaps, got[1].Gaps, diff)
	}
	if len(warnings) > 0 {
		t.Errorf("got warnings %q, want none of what the refused policies named", warnings)
	}
}

// TestRefusedPoliciesLeaveNothing: what they named is asked for anew, once others were loaded. So it is
// with what served, once it does not.
func TestRefusedPoliciesLeaveNothing(t *testing.T) {
	t.Parallel()
	key, asked := newKey(t), map[string]int{}
	r := keys.New(keys.Options{KMS: func(_ context.Context, reference string) (crypto.PublicKey, error) {
		asked[reference]++
		return key.Public(), nil
	}})
	load := func(name string) []cip.Policy {
		policies := []cip.Policy{policy(cip.KeyRef{KMS: "awskms:///" + name})}
		r.Resolve(t.Context(), policies, keys.Sources{})
		return policies
	}
	r.Serves(load("first"))
	load("refused")
	load("refused") // by the next poll
	load("first")
	load("first")
	load("refused")
	if diff := cmp.Diff(map[string]int{"awskms:///first": 1, "awskms:///refused": 2}, asked); diff != "" {
		t.Errorf("how often the KMS was asked (-want +got):\n%s", diff)
	}
	r.Serves(load("second"))
	load("second")
	load("first")
	if got := asked["awskms:///first"]; got != 2 {
		t.Errorf("asked %d times for what serves no longer, want once more", got)
	}
}

// TestAPolicyThatMoved needs no answer of where it is now: its digest was known before.
func TestAPolicyThatMoved(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := keys.New(keys.Options{Transport: o.Client().Transport, KMS: none(t)})
	at := func(path string) []cip.Policy {
		return []cip.Policy{remotePolicy(o.URL+path, sumOf("package sigstore"))}
	}
	r.Resolve(t.Context(), at("/policy"), keys.Sources{})
	r.Serves(at("/policy"))
	o.down.Store(true)
	for range 4 {
		got, warnings := r.Resolve(t.Context(), at("/elsewhere"), keys.Sources{})
		r.Serves(at("/elsewhere"))
		if got[0].Spec.Policy.Data != "package sigstore" || len(warnings) > 0 {
			t.Errorf("got %+v, gaps %v and warnings %q, want the policy", got[0].Spec.Policy, got[0].Gaps, warnings)
		}
	}
}
