package rego_test

import "testing"

// TestRawRegoMayRequireEveryPlatform: of an index the signature is the index's, and
// Rego that wants one of each of its images asks for them by their digests, all at
// once.
func TestRawRegoMayRequireEveryPlatform(t *testing.T) {
	t.Parallel()
	w := openWorld(t, `images:
  many: {platforms: [linux/amd64, linux/arm64], signatures: [{signer: release}]}
  one: {signatures: [{signer: release}]}
`)
	r := told(t, w, `
children contains child if {
	some entry in oci.index(image).value.manifests
	child := sprintf("%s@%s", [split(image, "@")[0], entry.digest])
}

unsigned contains child if {
	some child in children
	answer := cosign.verify(child, authority)
	not answer.ok
}

signed contains child if {
	some child in children
	cosign.verify(child, authority).ok
}

default allowed := false

allowed if {
	oci.manifest(image).ok
	not oci.index(image).ok
	cosign.verify(image, authority).ok
}

allowed if {
	cosign.verify(image, authority).ok
	count(children) > 0
	count(children - signed) == 0
}

decision := {"allowed": allowed, "reasons": sort([child | some child in unsigned])}
`)
	if d := r.decide(t, byDigest(t, w, "one")); !d.Allowed {
		t.Errorf("got %s, want the image admitted: it has no platforms", encode(t, d))
	}
	d := r.decide(t, byDigest(t, w, "many"))
	if d.Allowed || len(d.Reasons) != 2 {
		t.Errorf("got %s, want the index denied for both of its images", encode(t, d))
	}
	if got := r.last().Evaluations; got > 3 {
		t.Errorf("got %d evaluations, want at most 3: the index, then its images at once", got)
	}
}
