package sigstore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// The identity of all conformance cases without a key.
const (
	conformanceSubject = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
	conformanceIssuer  = "https://token.actions.githubusercontent.com"
)

// conformanceData is the folder of real material, or the test is skipped.
func conformanceData(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if dir == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: the real material is not here")
	}
	return dir
}

// measuredAt is the day on which the verdicts were measured.
func measuredAt() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readInto(t testing.TB, into any, path ...string) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, path...), into); err != nil {
		t.Fatal(err)
	}
}

func exists(path ...string) bool {
	_, err := os.Stat(filepath.Join(path...))
	return err == nil
}

func bundleAuthority(issuer, subject string) cip.Authority {
	return cip.Authority{
		SignatureFormat: cip.FormatBundle,
		Keyless:         &cip.KeylessRef{Identities: []cip.Identity{{Issuer: issuer, Subject: subject}}},
	}
}

// verdict is PASS, or FAIL with the cause.
func verdict(refusal *Refusal) (verdict, cause string) {
	if refusal != nil {
		return "FAIL", refusal.Error()
	}
	return "PASS", ""
}

// TestConformanceBundles gives the cases of sigstore-conformance to the code
// that verifies images: the artifact's digest stands for the image's.
func TestConformanceBundles(t *testing.T) {
	data := conformanceData(t)
	dir := filepath.Join(data, "bundles", "conformance")
	var cases map[string]struct{ Expected string }
	readInto(t, &cases, dir, "expected.json")
	right := 0
	for name, want := range cases {
		got, cause := verdict(conformanceCase(t, data, dir, name))
		if got == want.Expected {
			right++
			continue
		}
		t.Errorf("%s: got %s, want %s: %s", name, got, want.Expected, cause)
	}
	t.Logf("bundles: %d of %d right", right, len(cases))
}

func conformanceCase(t *testing.T, data, dir, name string) *Refusal {
	t.Helper()
	trusted := filepath.Join(data, "trust", "public-good", "trusted_root-2025.json")
	if own := filepath.Join(dir, name, "trusted_root.json"); exists(own) {
		trusted = own
	}
	parsed, err := trust.Parse(readFile(t, trusted))
	if err != nil {
		return refuse(UntrustedRoot, "%v", err)
	}
	authority := bundleAuthority(conformanceIssuer, conformanceSubject)
	if exists(dir, name, "key.pub") {
		authority.Keyless = nil
		authority.Key = &cip.KeyRef{Data: string(readFile(t, dir, name, "key.pub"))}
		authority = withLog(authority)
	}
	artifact := filepath.Join(dir, "a.txt")
	if own := filepath.Join(dir, name, "artifact"); exists(own) {
		artifact = own
	}
	check, refusal := NewCheck(authority, trust.Roots{Default: parsed}, Options{Now: measuredAt()})
	if refusal != nil {
		return refusal
	}
	sum := sha256.Sum256(readFile(t, artifact))
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	_, refusal = check.guarded(Layer{Content: readFile(t, dir, name, "bundle.sigstore.json")}, digest, FormatBundle, false)
	return refusal
}

// otherBundle is a row of bundles/other/expected.json.
type otherBundle struct {
	name                            string
	PredicateType, Identity, Issuer string
	Subject                         []any // name, algorithm, hex
	TrustedRoot                     string
	Key                             any
	ExtraFlags                      []string
	Verdicts                        map[string]struct{ Verdict string }
}

// TestConformanceOtherBundles asks about bundles of many tools with the right
// facts, and with one of them changed.
func TestConformanceOtherBundles(t *testing.T) {
	data := conformanceData(t)
	var cases map[string]otherBundle
	readInto(t, &cases, data, "bundles", "other", "expected.json")
	right, total := 0, 0
	for name, c := range cases {
		c.name = name
		for change, want := range c.Verdicts {
			total++
			got, cause := verdict(c.verify(t, data, change))
			if got == want.Verdict {
				right++
				continue
			}
			t.Errorf("%s, %s: got %s, want %s: %s", name, change, got, want.Verdict, cause)
		}
	}
	t.Logf("bundles: %d of %d right", right, total)
}

func (c otherBundle) verify(t *testing.T, data, change string) *Refusal {
	t.Helper()
	authority := bundleAuthority(c.Issuer, c.Identity)
	trusted, predicateType := c.TrustedRoot, c.PredicateType
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(make([]byte, 32))}
	if len(c.Subject) == 3 {
		digest.Algorithm, _ = c.Subject[1].(string)
		digest.Hex, _ = c.Subject[2].(string)
	}
	switch change {
	case "right":
	case "wrong subject":
		authority = bundleAuthority(c.Issuer, c.Identity+"x")
	case "wrong digest":
		digest.Hex = "00" + digest.Hex[2:]
	case "wrong type":
		predicateType = "https://spdx.dev/Document"
	case "other root":
		trusted = "trust/github/trusted_root.json"
		if c.TrustedRoot == trusted {
			trusted = "trust/public-good/trusted_root-2025.json"
		}
	default:
		t.Fatalf("unknown change %q", change)
	}
	parsed, err := trust.Parse(readFile(t, data, trusted))
	if err != nil {
		t.Fatal(err)
	}
	if c.Identity == "" {
		authority = bundleAuthority("nobody", "nobody")
	}
	if len(c.ExtraFlags) > 0 { // all of GitHub's own instance: timestamps, and neither log nor SCT
		authority = withoutSCT(withTimestamp(authority))
	}
	check, refusal := NewCheck(authority, trust.Roots{Default: parsed, Named: map[string]*trust.Root{"world": parsed}}, Options{Now: measuredAt()})
	if refusal != nil {
		return refusal
	}
	bundle := readFile(t, data, "bundles", "other", c.name+".sigstore.json")
	found, refusal := check.guarded(Layer{Content: bundle}, digest, FormatBundle, true)
	if refusal != nil {
		return refusal
	}
	_, refusal = OfType([]Signature{*found}, predicateType, predicateType)
	return refusal
}
