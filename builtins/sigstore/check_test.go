package sigstore

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// demandRow is one line of NewCheck's table, or what contradicts it.
type demandRow struct {
	name      string
	authority func(*testing.T, *scene) cip.Authority
	evidence  string // fields of a signature; FORMAT is filled in
	now       time.Time
	want      Code
	weaker    []string
}

// from is the authority whatever the scene.
func from(a cip.Authority) func(*testing.T, *scene) cip.Authority {
	return func(*testing.T, *scene) cip.Authority { return a }
}

// keyedAnd is an authority of deploy-key, changed.
func keyedAnd(changes ...func(cip.Authority) cip.Authority) func(*testing.T, *scene) cip.Authority {
	return func(t *testing.T, s *scene) cip.Authority {
		a := s.keyed(t, "deploy-key")
		for _, change := range changes {
			a = change(a)
		}
		return a
	}
}

func emptyCTLog(a cip.Authority) cip.Authority {
	a.CTLog = &cip.TLog{}
	return a
}

func namedCTLog(a cip.Authority) cip.Authority {
	a.CTLog = &cip.TLog{TrustRootRef: "world"}
	return a
}

const (
	isKey   = "key instead of an identity"
	noLog   = "transparency log not checked"
	noSCT   = "certificate transparency (SCT) not checked"
	release = "signer: release, "
	keySign = "signer: deploy-key, "
)

func keylessRows() []demandRow {
	inTime := clock().Add(time.Minute)
	rooted := withTrustRoot(keyless())
	stamped := withTimestamp(keyless())
	return []demandRow{
		{"KLS-7: sound", from(keyless()), release, today(), "", nil},
		{"KLS-7: with a timestamp beside", from(keyless()), release + "timestamp: true", today(), "", nil},
		{"KLS-7: without entry", from(keyless()), release + "log: none", today(), TLog, nil},
		{"KLS-7: without entry, valid now", from(keyless()), release + "log: none", inTime, TLog, nil},
		{"KLS-7: timestamp for an entry", from(keyless()), release + "log: none, timestamp: true", today(), TLog, nil},
		{"KLS-7: without SCT", from(keyless()), release + "fault: missing-sct", today(), UntrustedRoot, nil},
		{"KLS-7: SCT of a stranger", from(keyless()), release + "fault: wrong-ct-log", today(), UntrustedRoot, nil},
		{"KLS-7: logged after expiry", from(keyless()), release + "fault: expired", today(), Expired, nil},
		{"KLS-6: without SCT", from(withoutSCT(keyless())), release + "fault: missing-sct", today(), "", []string{noSCT}},
		{"KLS-6: without entry", from(withoutSCT(keyless())), release + "log: none", today(), TLog, nil},
		{"TLOG-1: sound", from(withLog(keyless())), release, today(), "", nil},
		{"TLOG-1: without entry", from(withLog(keyless())), release + "log: none", today(), TLog, nil},
		{"TLOG-1: without SCT", from(withLog(keyless())), release + "fault: missing-sct", today(), UntrustedRoot, nil},
		{"TLOG-2: sound", from(namedCTLog(rooted)), release, today(), "", nil},
		{"TLOG-2: without entry", from(namedCTLog(rooted)), release + "log: none", inTime, TLog, nil},
		{"TLOG-2: empty ctlog is none", from(emptyCTLog(rooted)), release + "log: none", inTime, "", []string{noLog}},
		{"KLS-8: valid now", from(rooted), release + "log: none", inTime, "", []string{noLog}},
		{"KLS-8: expired", from(rooted), release + "log: none", today(), Expired, nil},
		{"KLS-8: an entry does not help", from(rooted), release, today(), Expired, nil},
		{"KLS-8: a timestamp does not help", from(rooted), release + "timestamp: true", today(), Expired, nil},
		{"KLS-8: not yet valid", from(rooted), release + "log: none", clock().Add(-time.Hour), Expired, nil},
		{"KLS-8: without SCT", from(rooted), release + "log: none, fault: missing-sct", inTime, UntrustedRoot, nil},
		{"TSA-1: instead of a log", from(stamped), release + "log: none, timestamp: true", today(), "", []string{noLog}},
		{"TSA-1: of a stranger", from(stamped), release + "log: none, timestamp: true, fault: timestamp-unknown", today(), Timestamp, nil},
		{"TSA-1: without SCT", from(stamped), release + "log: none, timestamp: true, fault: missing-sct", today(), UntrustedRoot, nil},
		{"TSA-1: beside a log", from(withLog(stamped)), release + "timestamp: true", today(), "", nil},
		{"TSA-1: beside a log without entry", from(withLog(stamped)), release + "log: none, timestamp: true", today(), TLog, nil},
		{"TSA-2: without timestamp", from(stamped), release, today(), Timestamp, nil},
		{"TSA-2: without timestamp, valid now", from(stamped), release + "log: none", inTime, Timestamp, nil},
		{"TSA-2: beside a log without timestamp", from(withLog(stamped)), release, today(), Timestamp, nil},
	}
}

func keyRows() []demandRow {
	return []demandRow{
		{"KEY-5: without entry", keyedAnd(), keySign + "log: none", today(), "", []string{isKey, noLog}},
		{"KEY-5: empty ctlog is none", keyedAnd(emptyCTLog), keySign + "log: none", today(), "", []string{isKey, noLog}},
		{"KEY-5: of another key", keyedAnd(), "signer: other-key, log: none", today(), Malformed, nil},
		{"KEY-5: of an identity", keyedAnd(), release, today(), Malformed, nil},
		{"KEY-6: sound", keyedAnd(withLog), keySign, today(), "", []string{isKey}},
		{"KEY-6: without entry", keyedAnd(withLog), keySign + "log: none", today(), TLog, nil},
		{"KEY-6: entry of a stranger", keyedAnd(withLog), keySign + "fault: wrong-log", today(), TLog, nil},
		{"KEY-6: of another key", keyedAnd(withLog), "signer: other-key", today(), TLog, nil},
		{"TLOG-2: key without entry", keyedAnd(namedCTLog), keySign + "log: none", today(), TLog, nil},
		{"TSA-1: key", keyedAnd(withTimestamp), keySign + "log: none, timestamp: true", today(), "", []string{isKey, noLog}},
		{"TSA-1: key and log", keyedAnd(withTimestamp, withLog), keySign + "timestamp: true", today(), "", []string{isKey}},
		{"TSA-1: key and log without entry", keyedAnd(withTimestamp, withLog), keySign + "log: none, timestamp: true", today(), TLog, nil},
		{"TSA-2: key without timestamp", keyedAnd(withTimestamp), keySign + "log: none", today(), Timestamp, nil},
		{"TSA-2: key and log without timestamp", keyedAnd(withTimestamp, withLog), keySign, today(), Timestamp, nil},
	}
}

func TestNewCheckGivesAbsentFieldsTheirMeaning(t *testing.T) {
	t.Parallel()
	for _, row := range append(keylessRows(), keyRows()...) {
		for _, format := range []string{FormatLegacy, FormatBundle} {
			t.Run(row.name+" "+format, func(t *testing.T) {
				t.Parallel()
				s := open(t, "signatures: [{"+strings.TrimSuffix(row.evidence, ", ")+", format: "+format+"}]")
				c := s.check(t, row.authority(t, s), Options{Now: row.now})
				got, refusal := c.Signatures(s.digest, []Evidence{{format, s.evidence(t, format, false)}})
				if code := codeOf(refusal); code != row.want {
					t.Fatalf("got %v, want code %q", refusal, row.want)
				}
				if row.want == "" {
					if diff := cmp.Diff(row.weaker, got[0].Weaker); diff != "" {
						t.Error(diff)
					}
				}
			})
		}
	}
}

func TestValidUntilIsTheEndOfACertificateThatTheClockJudges(t *testing.T) {
	t.Parallel()
	for _, format := range []string{FormatLegacy, FormatBundle} {
		s := open(t, "signatures: [{signer: release, format: "+format+"}]")
		evidence := []Evidence{{format, s.evidence(t, format, false)}}
		now := clock().Add(time.Minute)
		got, refusal := s.check(t, withTrustRoot(keyless()), Options{Now: now}).Signatures(s.digest, evidence)
		if refusal != nil {
			t.Fatal(refusal)
		}
		until := ValidUntil(got)
		if !until.After(now) || until.After(clock().Add(time.Hour)) {
			t.Errorf("%s: got %v, want the end of a certificate of minutes", format, until)
		}
		if _, refusal := s.check(t, withTrustRoot(keyless()), Options{Now: until.Add(time.Second)}).Signatures(s.digest, evidence); codeOf(refusal) != Expired {
			t.Errorf("%s: a second later: got %v, want %s", format, refusal, Expired)
		}
		got, refusal = s.check(t, keyless()).Signatures(s.digest, evidence)
		if refusal != nil || !ValidUntil(got).IsZero() {
			t.Errorf("%s: got %v, %v, want for ever: the log vouches for the time", format, ValidUntil(got), refusal)
		}
	}
}

func TestNewCheckRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	roots := s.roots(t)
	identities := func(list ...cip.Identity) cip.Authority {
		return cip.Authority{Keyless: &cip.KeylessRef{Identities: list}}
	}
	both := keyless()
	both.Key = s.keyed(t, "deploy-key").Key
	hash := s.keyed(t, "deploy-key")
	hash.Key = &cip.KeyRef{Data: hash.Key.Data, HashAlgorithm: "md5"}
	format := keyless()
	format.SignatureFormat = "bundel"
	elsewhere := withTimestamp(keyless())
	elsewhere.RFC3161Timestamp = &cip.RFC3161Timestamp{TrustRootRef: "nowhere"}
	for name, test := range map[string]struct {
		authority cip.Authority
		roots     trust.Roots
		code      Code
		message   string
	}{
		"no authority":             {cip.Authority{}, roots, Unsupported, "authority has neither key, keyless, or static specified"},
		"key and identities":       {both, roots, Unsupported, "both a key and identities"},
		"no identities":            {identities(), roots, Unsupported, "names no identities"},
		"identity without issuer":  {identities(cip.Identity{Subject: "a"}), roots, Unsupported, "exactly one of issuer and issuerRegExp"},
		"identity without subject": {identities(cip.Identity{Issuer: "a"}), roots, Unsupported, "exactly one of subject and subjectRegExp"},
		"identity with both": {identities(cip.Identity{Issuer: "a", Subject: "a", SubjectRegExp: "a"}), roots, Unsupported,
			"exactly one of subject and subjectRegExp"},
		"second identity is empty":                   {identities(keyless().Keyless.Identities[0], cip.Identity{}), roots, Unsupported, "keyless.identities[1]"},
		"expression":                                 {identities(cip.Identity{IssuerRegExp: "(", Subject: "a"}), roots, Unsupported, "missing closing )"},
		"key without data":                           {cip.Authority{Name: "a", Key: &cip.KeyRef{}}, roots, Unsupported, "there are no public keys for authority a"},
		"key that is none":                           {cip.Authority{Key: &cip.KeyRef{Data: "x"}}, roots, Unsupported, "key.data"},
		"hash algorithm":                             {hash, roots, Unsupported, `hash algorithm: got "md5"`},
		"signature format":                           {format, roots, Unsupported, `signatureFormat: got "bundel"`},
		"no default root":                            {keyless(), trust.Roots{DefaultCause: "TUF is down"}, UntrustedRoot, "TUF is down"},
		"no default root, no cause":                  {keyless(), trust.Roots{}, UntrustedRoot, "no trusted root is configured"},
		"no such TrustRoot":                          {withTrustRoot(keyless()), trust.Roots{Default: roots.Default}, UntrustedRoot, "trustRootRef world not found"},
		"no such TrustRoot of a log":                 {namedCTLog(keyless()), trust.Roots{Default: roots.Default}, UntrustedRoot, "trustRootRef world not found"},
		"no such TrustRoot of a timestamp authority": {elsewhere, roots, UntrustedRoot, "trustRootRef nowhere not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, refusal := NewCheck(test.authority, test.roots, Options{Now: today()})
			if c != nil || codeOf(refusal) != test.code || !strings.Contains(refusal.Message, test.message) {
				t.Errorf("got %v, want %s: %s", refusal, test.code, test.message)
			}
		})
	}
	if _, refusal := NewCheck(keyless(), roots, Options{}); codeOf(refusal) != Unsupported {
		t.Errorf("without a time: got %v, want %s", refusal, Unsupported)
	}
	if _, refusal := NewCheck(s.keyed(t, "deploy-key"), trust.Roots{}, Options{Now: today()}); refusal != nil {
		t.Errorf("a key without log needs no root: got %v", refusal)
	}
}
