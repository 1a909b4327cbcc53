package sigstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// The tests of this file are named for rows of what policy-controller does that no
// other test covers.

// verified asks for signatures of the image in one format.
func (s *scene) verified(t testing.TB, a cip.Authority, roots trust.Roots, format string) ([]Signature, *Refusal) {
	t.Helper()
	c, refusal := NewCheck(a, roots, Options{Now: today()})
	if refusal != nil {
		return nil, refusal
	}
	return c.Signatures(s.digest, []Evidence{{format, s.evidence(t, format, false)}})
}

func identified(identities ...cip.Identity) cip.Authority {
	a := keyless()
	a.Keyless = &cip.KeylessRef{Identities: identities}
	return a
}

func TestKeylessRows(t *testing.T) {
	t.Parallel()
	elsewhere := keyless()
	elsewhere.Keyless.URL = "https://fulcio.that.is.nowhere.example"
	nobody := cip.Identity{Issuer: testIssuer, Subject: "nobody"}
	somebody := cip.Identity{Issuer: testIssuer, Subject: testSubject}
	for name, test := range map[string]struct {
		authority cip.Authority
		want      Code
	}{
		"KLS-1: the URL of Fulcio is asked for nothing":     {elsewhere, ""},
		"KLS-3: any of the identities":                      {identified(nobody, somebody), ""},
		"KLS-3: none of the identities":                     {identified(nobody, nobody), IdentityMismatch},
		"KLS-3: issuer and subject of one identity":         {identified(cip.Identity{Issuer: testIssuer, Subject: "nobody"}, cip.Identity{Issuer: "x", Subject: testSubject}), IdentityMismatch},
		"KLS-3: an expression matches any part":             {identified(cip.Identity{IssuerRegExp: "actions", SubjectRegExp: "acme/app"}), ""},
		"KLS-3: an expression beside a value":               {identified(cip.Identity{Issuer: testIssuer, SubjectRegExp: "@refs/tags/v[0-9]+$"}), ""},
		"KLS-3: a value is no expression and not anywhere":  {identified(cip.Identity{Issuer: testIssuer, Subject: "acme/app"}), IdentityMismatch},
		"KLS-5: no trustRootRef is the default root":        {keyless(), ""},
		"KLS-4: a trustRootRef is that root alone":          {withLog(withTrustRoot(keyless())), UntrustedRoot},
		"BND-5: several identities, in bundles too (ours)":  {identified(nobody, somebody), ""},
		"BND-5: several identities, none of which (ours)":   {identified(nobody, cip.Identity{IssuerRegExp: "x", Subject: testSubject}), IdentityMismatch},
		"TR-10: no trustRootRef anywhere: the default root": {withLog(keyless()), ""},
	} {
		for _, format := range []string{FormatLegacy, FormatBundle} {
			t.Run(name+" "+format, func(t *testing.T) {
				t.Parallel()
				s := open(t, "signatures: [{signer: release, format: "+format+"}]")
				// The TrustRoot is another Sigstore's.
				roots := trust.Roots{Default: s.roots(t).Default, Named: open(t, "").roots(t).Named}
				if _, refusal := s.verified(t, test.authority, roots, format); codeOf(refusal) != test.want {
					t.Errorf("got %v, want code %q", refusal, test.want)
				}
			})
		}
	}
}

// TestDefaultRootIsAskedAnew: TR-10 and KLS-5. Upstream keeps the first error for the
// life of the process; here each decision has the root as it is then.
func TestDefaultRootIsAskedAnew(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release}]")
	t.Run("TR-10: none yet, and why", func(t *testing.T) {
		t.Parallel()
		_, refusal := s.verified(t, keyless(), trust.Roots{DefaultCause: "TUF repository x: not fetched yet"}, FormatLegacy)
		if codeOf(refusal) != UntrustedRoot || refusal.Message != "TUF repository x: not fetched yet" {
			t.Errorf("got %v, want the cause", refusal)
		}
	})
	t.Run("KLS-5: and then it is there", func(t *testing.T) {
		t.Parallel()
		if _, refusal := s.verified(t, keyless(), s.roots(t), FormatLegacy); refusal != nil {
			t.Error(refusal)
		}
	})
	t.Run("TR-5: a TrustRoot that exists and has no root says why", func(t *testing.T) {
		t.Parallel()
		roots := trust.Roots{Causes: map[string]string{"world": "spec.repository: timestamp.json expired at 2025-01-01T00:00:00Z"}}
		_, refusal := s.verified(t, withTrustRoot(keyless()), roots, FormatLegacy)
		if want := "trustRootRef world: spec.repository: timestamp.json expired at 2025-01-01T00:00:00Z"; codeOf(refusal) != UntrustedRoot || refusal.Message != want {
			t.Errorf("got %v, want %s", refusal, want)
		}
	})
}

// fromResource is the scene's TrustRoot resource, edited.
func (s *scene) fromResource(t testing.TB, edit func(*cip.SigstoreKeys)) trust.Roots {
	t.Helper()
	parsed, err := cip.Parse(s.TrustRoot("world"))
	if err != nil {
		t.Fatal(err)
	}
	keys := parsed.TrustRoots[0].Spec.SigstoreKeys
	edit(keys)
	root, err := trust.FromKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	return trust.Roots{Default: root, Named: map[string]*trust.Root{"world": root}}
}

func TestTrustRootRows(t *testing.T) {
	t.Parallel()
	long, ago := clock().Add(-1000*time.Hour), clock().Add(-time.Hour)
	ended := &cip.Validity{Start: &long, End: &ago}
	asIs := func(*cip.SigstoreKeys) {}
	for name, test := range map[string]struct {
		authority cip.Authority
		edit      func(*cip.SigstoreKeys)
		want      Code
	}{
		"TR-3: keys of one's own":   {withLog(withTrustRoot(keyless())), asIs, ""},
		"TR-3: without tLogs":       {keyless(), func(k *cip.SigstoreKeys) { k.TLogs = nil }, TLog},
		"TR-3: without ctLogs":      {keyless(), func(k *cip.SigstoreKeys) { k.CTLogs = nil }, UntrustedRoot},
		"TR-3: without authorities": {keyless(), func(k *cip.SigstoreKeys) { k.CertificateAuthorities = nil }, UntrustedRoot},
		"TR-3: without timestamp authorities": {withTimestamp(keyless()),
			func(k *cip.SigstoreKeys) { k.TimestampAuthorities = nil }, Timestamp},
		// Upstream keeps no windows, and stores log ids in a form that its bundles do
		// not find: these are its bugs, and not ours.
		"TR-9: log ids are found in both formats": {keyless(), asIs, ""},
		"TR-9: the window of a log counts":        {keyless(), func(k *cip.SigstoreKeys) { k.TLogs[0].ValidFor = ended }, TLog},
		"TR-9: the window of a certificate log":   {keyless(), func(k *cip.SigstoreKeys) { k.CTLogs[0].ValidFor = ended }, UntrustedRoot},
		"TR-9: the window of an authority":        {keyless(), func(k *cip.SigstoreKeys) { k.CertificateAuthorities[0].ValidFor = ended }, UntrustedRoot},
		"TR-9: no window is for ever": {keyless(), func(k *cip.SigstoreKeys) {
			k.TLogs[0].ValidFor, k.CTLogs[0].ValidFor, k.CertificateAuthorities[0].ValidFor = nil, nil, nil
		}, ""},
	} {
		for _, format := range []string{FormatLegacy, FormatBundle} {
			t.Run(name+" "+format, func(t *testing.T) {
				t.Parallel()
				s := open(t, "signatures: [{signer: release, timestamp: true, format: "+format+"}]")
				if _, refusal := s.verified(t, test.authority, s.fromResource(t, test.edit), format); codeOf(refusal) != test.want {
					t.Errorf("got %v, want code %q", refusal, test.want)
				}
			})
		}
	}
}

func TestTimestampRows(t *testing.T) {
	t.Parallel()
	other, err := cip.Parse(open(t, "").TrustRoot("other"))
	if err != nil {
		t.Fatal(err)
	}
	strangers := other.TrustRoots[0].Spec.SigstoreKeys.TimestampAuthorities
	for name, edit := range map[string]func(*cip.SigstoreKeys){
		// Upstream heeds the last one only.
		"TSA-1: the first of two authorities (ours)": func(k *cip.SigstoreKeys) { k.TimestampAuthorities = append(k.TimestampAuthorities, strangers...) },
		"TSA-1: the last of two authorities":         func(k *cip.SigstoreKeys) { k.TimestampAuthorities = append(strangers[:1:1], k.TimestampAuthorities...) },
	} {
		for _, format := range []string{FormatLegacy, FormatBundle} {
			t.Run(name+" "+format, func(t *testing.T) {
				t.Parallel()
				s := open(t, "signatures: [{signer: release, log: none, timestamp: true, format: "+format+"}]")
				if _, refusal := s.verified(t, withTimestamp(keyless()), s.fromResource(t, edit), format); refusal != nil {
					t.Error(refusal)
				}
			})
		}
	}
	t.Run("TSA-3: timestamps alone are no authority", func(t *testing.T) {
		t.Parallel()
		_, refusal := NewCheck(withTimestamp(cip.Authority{}), open(t, "").roots(t), Options{Now: today()})
		if codeOf(refusal) != Unsupported || refusal.Message != "authority has neither key, keyless, or static specified" {
			t.Errorf("got %v, want it refused", refusal)
		}
	})
}

// TestBundleRows: upstream's bundles are keyless, of one root and one identity, and
// attestations only. Each of these limits is its library's, and none is ours.
func TestBundleRows(t *testing.T) {
	t.Parallel()
	t.Run("BND-1: bundles of a key (ours)", func(t *testing.T) {
		t.Parallel()
		s := open(t, "signatures: [{signer: deploy-key, format: bundle}]")
		a := s.keyed(t, "deploy-key")
		a.SignatureFormat = cip.FormatBundle
		if _, refusal := s.verified(t, a, s.roots(t), FormatBundle); refusal != nil {
			t.Error(refusal)
		}
	})
	t.Run("BND-1: bundle does not fall back to legacy, nor legacy to bundle", func(t *testing.T) {
		t.Parallel()
		s := open(t, "signatures: [{signer: release}, {signer: release, format: bundle}]")
		for asked, held := range map[cip.SignatureFormat]string{cip.FormatBundle: FormatLegacy, cip.FormatLegacy: FormatBundle, "": FormatBundle} {
			a := keyless()
			a.SignatureFormat = asked
			if _, refusal := s.verified(t, a, s.roots(t), held); codeOf(refusal) != Unsupported {
				t.Errorf("%q of %s: got %v, want %s", asked, held, refusal, Unsupported)
			}
		}
	})
	t.Run("BND-1: any other format is refused (ours: upstream reads legacy)", func(t *testing.T) {
		t.Parallel()
		a := keyless()
		a.SignatureFormat = "Bundle"
		if _, refusal := NewCheck(a, open(t, "").roots(t), Options{Now: today()}); codeOf(refusal) != Unsupported {
			t.Errorf("got %v, want %s", refusal, Unsupported)
		}
	})
	for name, a := range map[string]cip.Authority{
		"BND-2: with the default root": keyless(),
		"BND-2: with a TrustRoot":      withLog(withTrustRoot(keyless())),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, "signatures: [{signer: release, format: bundle}]")
			for _, roots := range []trust.Roots{s.roots(t), s.fromResource(t, func(*cip.SigstoreKeys) {})} {
				if _, refusal := s.verified(t, a, roots, FormatBundle); refusal != nil {
					t.Error(refusal)
				}
			}
		})
	}
	t.Run("BND-3: certificate, log and timestamp of three TrustRoots (ours)", func(t *testing.T) {
		t.Parallel()
		s := open(t, "signatures: [{signer: release, timestamp: true, format: bundle}]")
		part := func(keep func(k, all *cip.SigstoreKeys)) *trust.Root {
			return s.fromResource(t, func(k *cip.SigstoreKeys) {
				all := *k
				*k = cip.SigstoreKeys{}
				keep(k, &all)
			}).Default
		}
		roots := trust.Roots{Named: map[string]*trust.Root{
			"certificates": part(func(k, all *cip.SigstoreKeys) {
				k.CertificateAuthorities, k.CTLogs = all.CertificateAuthorities, all.CTLogs
			}),
			"log":  part(func(k, all *cip.SigstoreKeys) { k.TLogs = all.TLogs }),
			"time": part(func(k, all *cip.SigstoreKeys) { k.TimestampAuthorities = all.TimestampAuthorities }),
		}}
		ask := func(certificates, log, time string) *Refusal {
			a := keyless()
			a.Keyless.TrustRootRef = certificates
			a.CTLog, a.RFC3161Timestamp = &cip.TLog{TrustRootRef: log}, &cip.RFC3161Timestamp{TrustRootRef: time}
			_, refusal := s.verified(t, a, roots, FormatBundle)
			return refusal
		}
		if refusal := ask("certificates", "log", "time"); refusal != nil {
			t.Error(refusal)
		}
		for _, wrong := range [][3]string{{"log", "log", "time"}, {"certificates", "time", "time"}, {"certificates", "log", "log"}} {
			if refusal := ask(wrong[0], wrong[1], wrong[2]); refusal == nil {
				t.Errorf("%v: got a signer, want each part taken from the root that is named for it", wrong)
			}
		}
	})
	t.Run("BND-4: signatures of images (ours)", func(t *testing.T) {
		t.Parallel()
		s := open(t, "signatures: [{signer: release, format: bundle}]")
		if _, refusal := s.verified(t, keyless(), s.roots(t), FormatBundle); refusal != nil {
			t.Error(refusal)
		}
	})
	t.Run("BND-4: cosign 3's signature is an attestation of the type sign/v1 as well", func(t *testing.T) {
		t.Parallel()
		s := open(t, "signatures: [{signer: release, format: bundle}]")
		found, refusal := s.check(t, keyless()).Attestations(s.digest, []Evidence{{FormatBundle, s.bundles(t)}})
		if refusal != nil {
			t.Fatal(refusal)
		}
		if _, refusal := OfType(found, signPredicateType, signPredicateType); refusal != nil {
			t.Error(refusal)
		}
	})
	t.Run("BND-6: the signer of a bundle is known (ours)", func(t *testing.T) {
		t.Parallel()
		s := open(t, "signatures: [{signer: release, format: bundle}]")
		got, refusal := s.verified(t, keyless(), s.roots(t), FormatBundle)
		if refusal != nil {
			t.Fatal(refusal)
		}
		if facts := fmt.Sprintln(got[0].Subject, got[0].Issuer, got[0].Extensions["githubWorkflowRepository"]); facts != testSubject+" "+testIssuer+" acme/app\n" || len(got[0].ID) != 64 {
			t.Errorf("got %s, want subject, issuer and extensions of the certificate", facts)
		}
	})
}

// TestT5ChecksAreRemovedByNameOnly: evidence that lacks one thing passes under the
// authority that does without it by name, and under none other.
func TestT5ChecksAreRemovedByNameOnly(t *testing.T) {
	t.Parallel()
	inTime := clock().Add(time.Minute)
	authorities := map[string]cip.Authority{
		"keyless": keyless(), "ctlog": withLog(keyless()), "root and ctlog": withLog(withTrustRoot(keyless())), "root": withTrustRoot(keyless()),
		"timestamp": withTimestamp(keyless()), "timestamp and ctlog": withLog(withTimestamp(keyless())),
		"no SCT": withoutSCT(keyless()), "root without SCT": withoutSCT(withTrustRoot(keyless())),
	}
	for lacks, test := range map[string]struct{ evidence, passes string }{
		"nothing":               {"timestamp: true", "keyless, ctlog, root and ctlog, root, timestamp, timestamp and ctlog, no SCT, root without SCT"},
		"an entry":              {"timestamp: true, log: none", "root, timestamp, root without SCT"},
		"a timestamp":           {"", "keyless, ctlog, root and ctlog, root, no SCT, root without SCT"},
		"an SCT":                {"timestamp: true, fault: missing-sct", "no SCT, root without SCT"},
		"an entry and an SCT":   {"timestamp: true, log: none, fault: missing-sct", "root without SCT"},
		"an authority we trust": {"timestamp: true, fault: other-root", ""},
	} {
		for _, format := range []string{FormatLegacy, FormatBundle} {
			evidence := strings.TrimSuffix("signer: release, "+test.evidence, ", ")
			s := open(t, "signatures: [{"+evidence+", format: "+format+"}]")
			for name, a := range authorities {
				_, refusal := s.check(t, a, Options{Now: inTime}).Signatures(s.digest, []Evidence{{format, s.evidence(t, format, false)}})
				want := slices.Contains(strings.Split(test.passes, ", "), name)
				if (refusal == nil) != want {
					t.Errorf("%s, evidence without %s under %s: got %v, want accepted: %t", format, lacks, name, refusal, want)
				}
			}
		}
	}
}
