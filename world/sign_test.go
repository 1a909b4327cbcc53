package world_test

import (
	"strings"
	"testing"

	"github.com/assay-dev/assay/world"
)

func TestSignSignsWhatWasPushed(t *testing.T) {
	t.Parallel()
	for name, signature := range map[string]world.Signature{
		"legacy": {Signing: world.Signing{Signer: "release"}},
		"bundle": {Signing: world.Signing{Signer: "release", Format: world.Bundle}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, signers+"images: {app: {repository: acme/app}}")
			ref, digest, _ := w.Image("app")
			if err := w.Sign(strings.TrimSuffix(ref, ":latest")+"@"+digest, signature); err != nil {
				t.Fatal(err)
			}
			if name == "legacy" {
				checkRefusal(t, verifyLegacy(t, w, "app", legacy(t, w, "app", "sig")[0], keyless()), "")
			} else {
				_, err := verifyBundle(t, w, "app", bundles(t, w, "app")[0], "")
				checkRefusal(t, err, "")
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	w := open(t, signers+"images: {app: {repository: acme/app}}")
	_, digest, _ := w.Image("app")
	for name, tt := range map[string]struct{ ref, signer, says string }{
		"a tag":              {w.Registry() + "/acme/app:latest", "release", "want registry/repository@sha256:"},
		"another registry":   {"ghcr.io/acme/app@" + digest, "release", "of a registry of the world"},
		"an unknown signer":  {w.Registry() + "/acme/app@" + digest, "mallory", `got signer "mallory"`},
		"what is not there":  {w.Registry() + "/acme/app@sha256:" + strings.Repeat("0", 64), "release", "got status 404"},
		"another repository": {w.Registry() + "/acme/other@" + digest, "release", "got status 404"},
	} {
		if err := w.Sign(tt.ref, world.Signature{Signing: world.Signing{Signer: tt.signer}}); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got error %v, want %q in it", name, err, tt.says)
		}
	}
}
