package builtins_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
)

// TestNothingSaysWhereItLooked, behind policy-controller's text, and whether the
// other storage has something: one question more, of denials alone.
func TestNothingSaysWhereItLooked(t *testing.T) {
	t.Parallel()
	w := worldOf(t, `
signers: {release: {issuer: "https://token.actions.githubusercontent.com", subject: "https://github.com/acme/app/.github/workflows/x.yml@v1"}}
images:
  bare: {}
  legacy: {signatures: [{signer: release}], attestations: [{signer: release, predicateType: vuln}]}
  bundled: {signatures: [{signer: release, format: bundle}], attestations: [{signer: release, predicateType: vuln, format: bundle}]}
`)
	const verify, attest = `cosign.verify("${%s@}", %s)`, `cosign.attestations("${%s@}", %s, "vuln")`
	for _, tt := range []struct {
		name, call, image, format string
		want                      string // with the repository and the hex of the digest
		requests                  int
	}{
		{"nothing at all", verify, "bare", "legacy", "no signatures found; looked at R:sha256-HEX.sig", 3},
		{"nothing at all, of attestations", attest, "bare", "legacy", "no matching attestations; looked at R:sha256-HEX.att", 3},
		{"nothing in either", verify, "bare", "any", "no signatures found; looked at R:sha256-HEX.sig and referrers of R@sha256:HEX", 3},
		{
			"BND-7: bundles for a policy of legacy signatures", verify, "bundled", "legacy",
			"no signatures found; looked at R:sha256-HEX.sig; the referrers have 2 bundles, which signatureFormat legacy does not read", 3,
		},
		{
			"BND-7: a legacy signature for a policy of bundles", verify, "legacy", "bundle",
			"no signatures found; looked at referrers of R@sha256:HEX; the .sig tag has 1 signature, which signatureFormat bundle does not read", 3,
		},
		{
			"BND-7: a legacy attestation for a policy of bundles", attest, "legacy", "bundle",
			"no matching attestations; looked at referrers of R@sha256:HEX; the .att tag has 1 attestation, which signatureFormat bundle does not read", 3,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ref := w.Expand("${" + tt.image + "@}")
			repository, hex, _ := strings.Cut(ref, "@sha256:")
			w.ResetRequests()
			got := answer(t, factsOf(t, w).Open(oci.Credentials{}, tenant.Workload{}), w.Expand(fmt.Sprintf(tt.call, tt.image, format(authority, tt.format))))
			code, message := problem(t, got)
			if want := strings.NewReplacer("HEX", hex, "R:", repository+":", "R@", repository+"@").Replace(tt.want); code != "no_signatures" || message != want {
				t.Errorf("got %s: %s\nwant %s", code, message, want)
			}
			if got := w.Requests(); len(got) != tt.requests {
				t.Errorf("got requests %q, want %d", got, tt.requests)
			}
		})
	}
	// Of another type: the place, and no further question.
	w.ResetRequests()
	got := answer(t, factsOf(t, w).Open(oci.Credentials{}, tenant.Workload{}), w.Expand(fmt.Sprintf(`cosign.attestations("${legacy@}", %s, "spdx")`, format(authority, "legacy"))))
	code, message := problem(t, got)
	if code != "not_found" || !strings.HasPrefix(message, "no matching attestations with type spdx, checked the following predicateTypes: ") ||
		!strings.Contains(message, `"; looked at `+w.Registry()+"/legacy:sha256-") || len(w.Requests()) != 3 {
		t.Errorf("got %s: %s after %q, want not_found with the place after 3 requests", code, message, w.Requests())
	}
}

// TestHintIsNoEvidence: that the other storage cannot be asked changes nothing.
func TestHintIsNoEvidence(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]http.HandlerFunc{
		"broken":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"hanging":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"no index": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{")) },
		"forbidden": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t)
			s := openSources(t, w)
			s.answer(func(out http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/referrers/") {
					how(out, r)
					return
				}
				out.WriteHeader(http.StatusNotFound)
			})
			call := w.Expand(fmt.Sprintf(`cosign.verify("${app@}", %s)`, format(from(fmt.Sprintf(`{"oci": "%s/sigs"}`, s.host)), "legacy")))
			code, message := problem(t, answer(t, factsOf(t, w).Open(oci.Credentials{}, tenant.Workload{}), call))
			if code != "no_signatures" || !strings.HasPrefix(message, "no signatures found; looked at ") || strings.Contains(message, "referrers") {
				t.Errorf("got %s: %s, want no_signatures and the place alone", code, message)
			}
		})
	}
}
