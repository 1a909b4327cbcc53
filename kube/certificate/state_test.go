package certificate

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func noon() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

func made(t testing.TB, terms terms, steps ...step) *state {
	t.Helper()
	var s *state
	for _, step := range steps {
		var err error
		if s, err = terms.apply(step, s, names(), noon()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestStates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                      string
		steps                     []step
		authorities, keys, issuer int
	}{
		{"at first", []step{found}, 1, 1, 0},
		{"another leaf", []step{found, renew}, 1, 1, 0},
		{"another CA, and both sign", []step{found, introduce}, 2, 2, 0},
		{"a leaf of the old one meanwhile", []step{found, introduce, renew}, 2, 2, 0},
		{"a leaf of the new one, which alone signs", []step{found, introduce, change}, 2, 1, 1},
		{"without the old one", []step{found, introduce, change, retire}, 1, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := made(t, usual(), tt.steps...)
			got, err := read(secretOf(t, want, "1"), host)
			if err != nil {
				t.Fatal(err)
			}
			keys := strings.Count(string(dataOf(t, got)[signingKey]), "BEGIN PRIVATE KEY")
			if diff := cmp.Diff([]int{tt.authorities, tt.keys, tt.issuer}, []int{len(got.authorities), keys, got.issuer}); diff != "" {
				t.Errorf("authorities, keys, issuer (-want +got):\n%s", diff)
			}
			if !bytes.Equal(got.bundle(), want.bundle()) || !sameLeaf(got, want) {
				t.Error("got something else than was written")
			}
			for _, name := range names() {
				if err := got.leaf.Leaf.VerifyHostname(name); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// dataOf is what a state writes, without base64.
func dataOf(t testing.TB, s *state) map[string][]byte {
	t.Helper()
	data, err := s.data()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for key, value := range data {
		if out[key], err = base64.StdEncoding.DecodeString(value.(string)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestSecretsThatAreRefused(t *testing.T) {
	t.Parallel()
	mine, other := dataOf(t, made(t, usual(), found)), dataOf(t, made(t, usual(), found))
	stranger, err := usual().apply(found, nil, []string{"another.security.svc"}, noon())
	if err != nil {
		t.Fatal(err)
	}
	with := func(key string, value []byte) map[string][]byte {
		out := maps.Clone(mine)
		out[key] = value
		return out
	}
	for _, tt := range []struct {
		name        string
		data        map[string][]byte
		annotations map[string]string
		want        string
	}{
		{"empty", nil, nil, "holds no certificate yet"},
		{"policy-controller's", map[string][]byte{"server-key.pem": []byte("k"), "ca-cert.pem": []byte("c")}, nil, "holds no certificate yet"},
		{"cert-manager's", mine, map[string]string{"cert-manager.io/certificate-name": "webhook"}, "got annotations of cert-manager"},
		{"garbage as CA", with("ca.crt", []byte("garbage")), nil, "ca.crt: got 0 certificates in PEM, want 1 to 16"},
		{"garbage in PEM", with("ca.crt", encode("CERTIFICATE", []byte("garbage"))), nil, "ca.crt: certificate 0: x509: malformed certificate"},
		{"many CAs", with("ca.crt", bytes.Repeat(mine["ca.crt"], 17)), nil, "ca.crt: got 17 certificates in PEM, want 1 to 16"},
		{"a leaf as CA", with("ca.crt", mine["tls.crt"]), nil, "ca.crt: certificate 0: got one that is no CA"},
		{"no key of the CA, as other issuers write it", with("ca.key", nil), nil, "ca.key: got no key that fits the last certificate of ca.crt"},
		{"garbage as key of the CA", with("ca.key", encode("PRIVATE KEY", []byte("garbage"))), nil, "ca.key: got no private key in PKCS 8 or SEC 1"},
		{"a key of another CA", with("ca.key", other["ca.key"]), nil, "ca.key: got no key that fits the last certificate of ca.crt"},
		{"no leaf", with("tls.crt", nil), nil, "got 0 bytes of tls.crt and "},
		{"garbage as leaf", with("tls.crt", []byte("garbage")), nil, "tls.crt with tls.key: tls: failed to find any PEM data"},
		{"a key that does not fit", with("tls.key", other["tls.key"]), nil, "tls.crt with tls.key: tls: private key does not match public key"},
		{"a leaf for other names", dataOf(t, stranger), nil, "tls.crt: x509: certificate is valid for another.security.svc, not assay.security.svc"},
		{"a leaf of another CA", func() map[string][]byte {
			out := with("tls.crt", other["tls.crt"])
			out["tls.key"] = other["tls.key"]
			return out
		}(), nil, "tls.crt: got one that no CA of ca.crt signed: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := map[string]any{}
			for key, value := range tt.data {
				data[key] = base64.StdEncoding.EncodeToString(value)
			}
			secret := &unstructured.Unstructured{Object: map[string]any{"data": data}}
			secret.SetAnnotations(tt.annotations)
			got, err := read(secret, host)
			if got != nil || err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want %q", got, err, tt.want)
			}
		})
	}
	for _, data := range []any{"text", map[string]any{"ca.crt": 3.0}, map[string]any{"ca.crt": "%"}} {
		if got, err := read(&unstructured.Unstructured{Object: map[string]any{"data": data}}, host); err == nil || errors.Is(err, errEmpty) {
			t.Errorf("data %v: got %v, %v, want an error", data, got, err)
		}
	}
}

func FuzzSecrets(f *testing.F) {
	mine := dataOf(f, made(f, usual(), found, introduce))
	f.Add(mine["ca.crt"], mine["ca.key"], mine["tls.crt"], mine["tls.key"])
	f.Fuzz(func(t *testing.T, authorities, keys, certificate, key []byte) {
		data := map[string]any{}
		for name, value := range map[string][]byte{"ca.crt": authorities, "ca.key": keys, "tls.crt": certificate, "tls.key": key} {
			data[name] = base64.StdEncoding.EncodeToString(value)
		}
		s, err := read(&unstructured.Unstructured{Object: map[string]any{"data": data}}, host)
		if (s == nil) == (err == nil) {
			t.Fatalf("got %v, %v, want one of them", s, err)
		}
		if err != nil {
			return
		}
		if again, err := read(secretOf(t, s, "1"), host); err != nil || !sameLeaf(s, again) {
			t.Errorf("read again: got %v, %v", again, err)
		}
	})
}

func TestPlans(t *testing.T) {
	t.Parallel()
	terms := usual()
	first, both, changed := made(t, terms, found), made(t, terms, found, introduce), made(t, terms, found, introduce, change)
	at := func(days, minutes int) time.Time {
		return noon().AddDate(0, 0, days).Add(time.Duration(minutes) * time.Minute)
	}
	keyless := &state{authorities: slices.Clone(both.authorities), leaf: both.leaf}
	keyless.authorities[0].key = nil
	for _, tt := range []struct {
		name string
		view view
		now  time.Time
		want step
	}{
		{"nothing", view{absent: true}, noon(), found},
		{"deleted", view{state: first, absent: true}, noon(), restore},
		{"young", view{state: first, spread: noon(), served: noon()}, at(4, 0), rest},
		{"two thirds of a week", view{state: first, spread: noon(), served: noon()}, at(4, 16*60), renew},
		{"an expired leaf", view{state: first}, at(20, 0), renew},
		{"two thirds of a year", view{state: first}, at(244, 0), introduce},
		{"an expired CA is replaced like another", view{state: first}, at(400, 0), introduce},
		{"a new CA that is not everywhere", view{state: both, served: noon()}, at(2, 0), rest},
		{"and a leaf that is due meanwhile", view{state: both, served: noon()}, at(5, 0), renew},
		{"whose CA signs no more", view{state: keyless, served: noon()}, at(5, 0), rest},
		{"everywhere, but not long enough", view{state: both, spread: noon(), served: noon()}, at(0, 9), rest},
		{"everywhere for long enough", view{state: both, spread: noon(), served: noon()}, at(0, 10), change},
		{"a new leaf that not all serve", view{state: changed, spread: noon(), served: at(0, 1)}, at(0, 10), rest},
		{"a new leaf that all serve", view{state: changed, served: at(0, 1)}, at(0, 11), retire},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, when := terms.plan(tt.view, tt.now)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got == rest && !when.After(tt.now) {
				t.Errorf("got rest until %v, want later than %v", when, tt.now)
			}
		})
	}
}

// A leaf that ends with its CA is not renewed for ever.
func TestLeavesEndWithTheirCA(t *testing.T) {
	t.Parallel()
	terms := terms{authority: time.Hour, leaf: 10 * time.Hour, lag: time.Minute}
	s := made(t, terms, found)
	if got := s.leaf.Leaf.NotAfter; !got.Equal(noon().Add(time.Hour)) {
		t.Errorf("got an end at %v, want that of the CA", got)
	}
	if got, _ := terms.plan(view{state: s}, noon().Add(time.Minute)); got != rest {
		t.Errorf("got %q, want %q", got, rest)
	}
}

func TestWhatIsServed(t *testing.T) {
	t.Parallel()
	k := keeper(usual())
	first, second := made(t, usual(), found), made(t, usual(), found)
	k.take(nil, noon())
	if got, err := k.Certificate(); got != nil || !errors.Is(err, errEmpty) {
		t.Errorf("nothing yet: got %v, %v", got, err)
	}
	k.take(secretOf(t, first, "1"), noon())
	serving, err := k.Certificate()
	if err != nil || serving.Leaf == nil {
		t.Fatalf("got %v, %v", serving, err)
	}
	introduced := secretOf(t, made(t, usual(), found, introduce), "3")
	for what, secret := range map[string]*unstructured.Unstructured{
		"the same again": secretOf(t, first, "2"), "deleted": nil, "garbage": {Object: map[string]any{"data": map[string]any{"ca.crt": "YQ=="}}},
	} {
		k.take(secret, noon().Add(time.Hour))
		if got, err := k.Certificate(); got != serving || err != nil {
			t.Errorf("%s: got another, %v", what, err)
		}
	}
	k.take(secretOf(t, second, "4"), noon().Add(2*time.Hour))
	if got, _ := k.Certificate(); got == serving || !got.Leaf.Equal(second.leaf.Leaf) {
		t.Error("got the old one")
	}
	k.take(introduced, noon())
	if _, v := k.view(); v.absent || len(v.state.authorities) != 2 || !v.served.Equal(noon()) {
		t.Errorf("got %+v", v)
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	o := newTrouble(keeper(usual()).log)
	o.note("b", errors.New(strings.Repeat("ä", mostCause)))
	o.note("a", errNone)
	o.note("c", context.Canceled)
	o.note("d", errNone)
	o.note("d", nil)
	got := o.problems()
	if len(got) != 2 || got[0].What != "a" || got[1].What != "b" || len(got[1].Cause) > mostCause+len("…") {
		t.Errorf("got %v", got)
	}
}
