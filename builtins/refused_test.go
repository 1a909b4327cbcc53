package builtins_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
)

// TestRefusalsSayWhatWasLookedAt, as data beside the message.
func TestRefusalsSayWhatWasLookedAt(t *testing.T) {
	t.Parallel()
	w := worldOf(t, `
signers: {laptop: {issuer: "https://github.com/login/oauth", subject: jane@example.com}}
images:
  bare: {}
  signed: {signatures: [{signer: laptop}]}
  bundled: {signatures: [{signer: laptop, format: bundle}]}
  attested: {attestations: [{signer: laptop, predicateType: vuln}]}
`)
	const verify, attest = `cosign.verify("${%s@}", %s)`, `cosign.attestations("${%s@}", %s, "spdx")`
	const jane = `{"name": "jane", "keyless": {"identities": [{"issuer": "https://github.com/login/oauth", "subject": "jane@example.com"}]}}`
	for _, tt := range []struct {
		name, call, image, authority string
		want                         string
	}{
		{
			"another identity", verify, "signed", format(authority, "legacy"),
			`{"looked": [{"format": "legacy", "at": ["SIG"], "found": 1}], "differs": [["issuer", "subject"]]}`,
		},
		{
			"nothing", verify, "bare", format(authority, "legacy"),
			`{"looked": [{"format": "legacy", "at": ["SIG"], "found": 0}], "differs": []}`,
		},
		{
			"something in the other storage", verify, "bundled", format(authority, "legacy"),
			`{"looked": [{"format": "legacy", "at": ["SIG"], "found": 0}], "differs": [],
			  "hint": "the referrers have 1 bundle, which signatureFormat legacy does not read"}`,
		},
		{
			"both storages", verify, "bare", format(authority, "any"),
			`{"looked": [{"format": "legacy", "at": ["SIG"], "found": 0}, {"format": "bundle", "at": ["REF"], "found": 0}], "differs": []}`,
		},
		{
			"another predicate type", attest, "attested", jane,
			`{"looked": [{"format": "legacy", "at": ["ATT"], "found": 1}], "differs": [["predicate_type"]]}`,
		},
		{"what is no reference", `cosign.verify("%[1]s", %[2]s)`, "no reference", authority, `{"looked": [], "differs": []}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repository, hex, _ := strings.Cut(w.Expand("${"+tt.image+"@}"), "@sha256:")
			tag := repository + ":sha256-" + hex
			want := strings.NewReplacer("SIG", tag+".sig", "ATT", tag+".att", "REF", "referrers of "+repository+"@sha256:"+hex).Replace(tt.want)
			got := answer(t, factsOf(t, w).Open(oci.Credentials{}, tenant.Workload{}), w.Expand(fmt.Sprintf(tt.call, tt.image, tt.authority)))
			if err := conforms(declaration(t, "cosign.verify").Decl.Result(), got); strings.HasPrefix(tt.call, "cosign.verify") && err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(asJSON(t, []byte(want)), asJSON(t, told(t, got))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// told is what an answer's error says beside code and message, of the misses only
// what differs.
func told(t *testing.T, answer any) []byte {
	t.Helper()
	encoded, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var wrong struct {
		Error struct {
			Looked json.RawMessage
			Misses []struct{ Differs []struct{ What string } }
			Hint   string
		}
	}
	if err := json.Unmarshal(encoded, &wrong); err != nil {
		t.Fatal(err)
	}
	differs := [][]string{}
	for _, miss := range wrong.Error.Misses {
		whats := []string{}
		for _, difference := range miss.Differs {
			whats = append(whats, difference.What)
		}
		differs = append(differs, whats)
	}
	out := map[string]any{"looked": wrong.Error.Looked, "differs": differs}
	if wrong.Error.Hint != "" {
		out["hint"] = wrong.Error.Hint
	}
	encoded, err = json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func asJSON(t *testing.T, text []byte) (out any) {
	t.Helper()
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}
