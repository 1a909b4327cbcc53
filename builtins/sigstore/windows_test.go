package sigstore

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// T7 and T8: which log entries count, and when a key of the trust root does.

// altered is the scene's root with the part edited.
func (s *scene) altered(t testing.TB, part string, edit func(map[string]any)) trust.Roots {
	t.Helper()
	data, err := s.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := trust.Parse(document(t, data, func(root map[string]any) {
		list, _ := root[part].([]any)
		if len(list) == 0 {
			t.Fatalf("no %s in the root", part)
		}
		for _, element := range list {
			if element, ok := element.(map[string]any); ok {
				edit(element)
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	return trust.Roots{Default: parsed, Named: map[string]*trust.Root{"world": parsed}}
}

// valid gives an authority or a log another validity.
func valid(start, end time.Time) func(map[string]any) {
	return func(element map[string]any) {
		window := map[string]any{"start": start.Format(time.RFC3339)}
		if !end.IsZero() {
			window["end"] = end.Format(time.RFC3339)
		}
		if key, ok := element["publicKey"].(map[string]any); ok {
			key["validFor"] = window
			return
		}
		element["validFor"] = window
	}
}

func TestT8ValidityWindows(t *testing.T) {
	t.Parallel()
	s := open(t, `signatures: [
		{signer: release}, {signer: release, log: none, timestamp: true}, {signer: deploy-key},
		{signer: release, format: bundle}, {signer: release, format: bundle, log: none, timestamp: true}, {signer: deploy-key, format: bundle},
		{signer: release, format: bundle, log: rekor2, timestamp: true}, {signer: deploy-key, format: bundle, log: rekor2}]`)
	type piece struct {
		name      string
		format    string
		layer     Layer
		authority cip.Authority
	}
	legacy, bundles := s.legacy(t, "sig"), s.bundles(t)
	key := withLog(s.keyed(t, "deploy-key"))
	entry, timestamp := keyless(), withTimestamp(keyless())
	pieces := []piece{
		{"entry", FormatLegacy, legacy[0], entry}, {"timestamp", FormatLegacy, legacy[1], timestamp}, {"key", FormatLegacy, legacy[2], key},
		{"entry", FormatBundle, bundles[0], entry}, {"timestamp", FormatBundle, bundles[1], timestamp}, {"key", FormatBundle, bundles[2], key},
		{"rekor2", FormatBundle, bundles[3], entry}, {"key rekor2", FormatBundle, bundles[4], key},
	}
	long, past, future := clock().Add(-time.Hour), clock().Add(-time.Second), clock().Add(time.Second)
	for part, touches := range map[string]string{
		"tlogs": "entry, key, rekor2, key rekor2", "ctlogs": "entry, timestamp, rekor2",
		"certificateAuthorities": "entry, timestamp, rekor2", "timestampAuthorities": "timestamp, rekor2",
	} {
		for _, window := range []struct {
			name       string
			start, end time.Time
			holds      bool
		}{
			{"open", long, time.Time{}, true}, {"around", long, future.Add(2 * 24 * time.Hour), true},
			{"ended", long, past.Add(-time.Minute), false}, {"not begun", future.Add(time.Minute), time.Time{}, false},
		} {
			roots := s.altered(t, part, valid(window.start, window.end))
			for _, p := range pieces {
				touched := false
				for name := range strings.SplitSeq(touches, ", ") {
					touched = touched || name == p.name
				}
				c, refusal := NewCheck(p.authority, roots, Options{Now: today()})
				if refusal != nil {
					t.Fatal(refusal)
				}
				_, refusal = s.one(t, c, p.layer, p.format, false)
				want := window.holds || !touched || (p.name == "key rekor2" && window.name == "not begun")
				if (refusal == nil) != want {
					t.Errorf("%s %s, %s %s: got %v, want accepted: %t", p.format, p.name, part, window.name, refusal, want)
				}
			}
		}
	}
}

// The entry of a Rekor v2 log says no time. Beside a key's signature there need
// be none at all, so the log's key must be valid at the time of the decision.
func TestT8EntryWithoutAnyTimeIsJudgedNow(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: deploy-key, format: bundle, log: rekor2}]")
	ends := clock().Add(time.Hour)
	roots := s.altered(t, "tlogs", valid(clock().Add(-time.Hour), ends))
	for now, want := range map[time.Time]Code{clock(): "", ends: "", ends.Add(time.Second): TLog, clock().Add(-2 * time.Hour): TLog} {
		c, refusal := NewCheck(withLog(s.keyed(t, "deploy-key")), roots, Options{Now: now})
		if refusal != nil {
			t.Fatal(refusal)
		}
		found, refusal := s.one(t, c, s.bundles(t)[0], FormatBundle, false)
		if codeOf(refusal) != want {
			t.Errorf("%v: got %v, want %q", now, refusal, want)
		}
		if refusal == nil && !found.ValidUntil.Equal(ends) {
			t.Errorf("got valid until %v, want %v", found.ValidUntil, ends)
		}
	}
}

func TestT8WindowsOfATrustRootResource(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, curves()[0], clock().Add(100*time.Hour))
	signer, leaf := a.leaf(t, clock().Add(100*time.Hour))
	start, end := clock().Add(-time.Minute), clock().Add(time.Minute)
	for _, test := range []struct {
		window *cip.Validity
		now    time.Time
		holds  bool
	}{
		{nil, clock().Add(time.Hour), true},
		{&cip.Validity{Start: &start, End: &end}, clock(), true},
		{&cip.Validity{Start: &start, End: &end}, end, true},
		{&cip.Validity{Start: &start, End: &end}, end.Add(time.Second), false},
		{&cip.Validity{Start: &start, End: &end}, start.Add(-time.Second), false},
		{&cip.Validity{End: &end}, start.Add(-time.Second), true},
		{&cip.Validity{Start: &start}, end.Add(time.Hour), true},
	} {
		c, refusal := NewCheck(withoutSCT(withTrustRoot(keyless())), a.roots(t, test.window), Options{Now: test.now})
		if refusal != nil {
			t.Fatal(refusal)
		}
		for format, l := range signed(t, signer, leaf) {
			found, refusal := c.Signatures(testDigest, []Evidence{{format, []Layer{l}}})
			if (refusal == nil) != test.holds {
				t.Errorf("%s %+v at %v: got %v, want accepted: %t", format, test.window, test.now, refusal, test.holds)
			}
			// What is kept must not outlive the authority (T14).
			if test.window != nil && test.window.End != nil && end.After(test.now) && refusal == nil && !ValidUntil(found).Equal(end) {
				t.Errorf("%s %+v at %v: got valid until %v, want the end of the authority", format, test.window, test.now, ValidUntil(found))
			}
		}
	}
}

// TestRekor2UnderATrustRoot: a log with an Ed25519 key has another name than the
// hash of its key, and a TrustRoot resource knows it by both.
func TestRekor2UnderATrustRoot(t *testing.T) {
	t.Parallel()
	s := open(t, `signatures: [{signer: release, format: bundle, log: rekor2, timestamp: true}]`)
	documents, err := cip.Parse(s.TrustRoot("resource"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := trust.FromKeys(documents.TrustRoots[0].Spec.SigstoreKeys)
	if err != nil {
		t.Fatal(err)
	}
	a := keyless()
	a.SignatureFormat = cip.FormatBundle
	c, refusal := NewCheck(a, trust.Roots{Default: root}, Options{Now: today()})
	if refusal != nil {
		t.Fatal(refusal)
	}
	if _, refusal := c.Signatures(s.digest, []Evidence{{FormatBundle, s.bundles(t)}}); refusal != nil {
		t.Error(refusal)
	}
}

// entries are the entries of a bundle.
func entries(document map[string]any) (material map[string]any, list []any) {
	material, _ = document["verificationMaterial"].(map[string]any)
	list, _ = material["tlogEntries"].([]any)
	return material, list
}

func TestT7DuplicateEntriesAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t, "signatures: [{signer: release, format: bundle}]")
	twice := document(t, s.bundles(t)[0].Content, func(b map[string]any) {
		material, list := entries(b)
		material["tlogEntries"] = append(list, list[0])
	})
	if _, refusal := s.one(t, s.check(t, keyless()), Layer{Content: twice}, FormatBundle, false); codeOf(refusal) != TLog {
		t.Errorf("got %v, want %s", refusal, TLog)
	}
}

// sigstore-go passes over an entry whose promise is wrong if another verifies.
// Such an entry is no fact, and must not stand in for one whose log had ended.
func TestT7EntriesThatDidNotVerifyDoNotCount(t *testing.T) {
	t.Parallel()
	s := open(t, `signatures: [{signer: release, format: bundle, log: rekor2, timestamp: true},
		{signer: release, format: bundle, fault: set-tampered}]`)
	bundles := s.bundles(t)
	var stray any
	document(t, bundles[1].Content, func(b map[string]any) {
		_, list := entries(b)
		stray = list[0]
	})
	both := Layer{Content: document(t, bundles[0].Content, func(b map[string]any) {
		material, list := entries(b)
		material["tlogEntries"] = append(list, stray)
	})}
	found, refusal := s.one(t, s.check(t, keyless()), both, FormatBundle, false)
	if refusal != nil || len(found.Log) != 1 || !found.Log[0].IntegratedTime.IsZero() {
		t.Errorf("got %v, %v, want the entry of the Rekor v2 log alone", found, refusal)
	}
	ended := s.altered(t, "tlogs", func(log map[string]any) {
		if strings.Contains(fmt.Sprint(log["baseUrl"]), "rekor2") {
			valid(clock().Add(-2*time.Hour), clock().Add(-time.Hour))(log)
		}
	})
	c, refusal := NewCheck(keyless(), ended, Options{Now: today()})
	if refusal != nil {
		t.Fatal(refusal)
	}
	if _, refusal := s.one(t, c, both, FormatBundle, false); codeOf(refusal) != TLog {
		t.Errorf("the log had ended: got %v, want %s", refusal, TLog)
	}
}
