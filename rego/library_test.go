package rego_test

import (
	"slices"
	"strings"
	"testing"
)

// unwanted is a policy that uses the library over attestations that are really
// verified.
const unwanted = `package policies.unwanted

import data.assay.lib.packages

authority := ` + authority + `

deny contains reason if {
	image := input.request.object.spec.containers[_].image
	bills := cosign.attestations(image, authority, "https://cyclonedx.org/bom")
	some reason in packages.unwanted(bills, {"names": ["log4j-core"], "purls": ["pkg:apk/alpine/openssl@3.0.1"]})
}
`

// TestPolicyInRegoUsesTheLibrary: what it wants must be attested, verified and read.
func TestPolicyInRegoUsesTheLibrary(t *testing.T) {
	t.Parallel()
	const bill = `{signatures: [{signer: release}], attestations: [{signer: release, predicateType: "https://cyclonedx.org/bom", predicate: `
	w := openWorld(t, `images:
  clean: `+bill+`{bomFormat: CycloneDX, specVersion: "1.5", components: [{name: zlib, purl: "pkg:apk/alpine/openssl@3.0.2"}]}}]}
  bad: `+bill+`{bomFormat: CycloneDX, specVersion: "1.5", components: [{name: log4j-core, version: "2.14.1"}, {name: openssl, purl: "pkg:apk/alpine/openssl@3.0.1?arch=x"}]}}]}
  torn: `+bill+`{bomFormat: CycloneDX, specVersion: "1.5", components: 5}}]}
  bare: {signatures: [{signer: release}]}
`)
	r := open(t, w, setup{policies: static("everything", "**", "pass", ""), modules: map[string]string{"unwanted.rego": unwanted}})
	for name, want := range map[string][]string{
		"clean": {},
		"bad": {
			"failed policy: unwanted: package log4j-core 2.14.1 is unwanted",
			"failed policy: unwanted: package pkg:apk/alpine/openssl@3.0.1?arch=x is unwanted",
		},
		"torn": {"failed policy: unwanted: bill of materials: document.components: got a number, want a list (malformed)"},
		"bare": {"failed policy: unwanted: no attestation: no matching attestations"},
	} {
		d := r.decide(t, byDigest(t, w, name))
		got := []string{}
		for _, reason := range slices.Sorted(slices.Values(d.Reasons)) {
			reason, _, _ = strings.Cut(reason, "; looked at")
			got = append(got, reason)
		}
		if d.Allowed != (len(want) == 0) || !slices.Equal(got, want) {
			t.Errorf("%s: got allowed %t, %q, want %q", name, d.Allowed, got, want)
		}
	}
}
