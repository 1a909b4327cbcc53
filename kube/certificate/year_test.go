package certificate

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const host = "assay.security.svc"

func names() []string { return []string{host, host + ".cluster.local", "assay.security", "assay"} }

func usual() terms {
	return terms{authority: defaultAuthority, leaf: defaultLeaf, lag: defaultLag}
}

func keeper(t terms) *Keeper {
	return &Keeper{log: slog.New(slog.DiscardHandler), what: "Secret security/" + SecretName, names: names(), terms: t}
}

// secretOf is an object with what a state writes.
func secretOf(t testing.TB, s *state, version string) *unstructured.Unstructured {
	t.Helper()
	data, err := s.data()
	if err != nil {
		t.Fatal(err)
	}
	secret := &unstructured.Unstructured{Object: map[string]any{"data": data}}
	secret.SetResourceVersion(version)
	return secret
}

// Whatever leaf a replica may serve verifies with whatever CAs an API server may trust, at
// every instant of years: with steps that are seen late, two leaders at one time that both
// write, leaders that come anew, days without one, and Secrets that are deleted.
func TestNoRequestIsRefusedInYears(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := &years{t: t, random: rand.New(rand.NewPCG(seed, 5)), now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), terms: usual(), verified: map[pair]span{}}
			w.begin()
			for end := w.now.AddDate(2, 6, 0); w.now.Before(end); {
				w.turn()
			}
			if len(w.authorities) < 4 {
				t.Errorf("got %d CAs in two years and a half, want 4: one at the start, and another each eight months", len(w.authorities))
			}
		})
	}
}

// past is what something was, and since when.
type past[T any] []moment[T]

type moment[T any] struct {
	at    time.Time
	value T
}

// at is what was there at an instant, and the version of it.
func (p past[T]) at(instant time.Time) (T, int) {
	for i := len(p) - 1; i > 0; i-- {
		if !p[i].at.After(instant) {
			return p[i].value, i
		}
	}
	return p[0].value, 0
}

// within is all that was there since an instant, and what was there then.
func (p past[T]) within(since time.Time) []T {
	var out []T
	for i := len(p) - 1; i >= 0; i-- {
		out = append(out, p[i].value)
		if !p[i].at.After(since) {
			break
		}
	}
	return out
}

type pair struct {
	leaf   *x509.Certificate
	bundle string
}

// span is from when to when a leaf verifies.
type span struct{ from, to time.Time }

// years are a cluster, and time.
type years struct {
	t              *testing.T
	random         *rand.Rand
	now, previous  time.Time
	terms          terms
	secret         past[*state] // nil while it is deleted
	served         past[*state] // by a replica that sees all at once
	configurations [2]past[string]
	leaders        [2]contender
	verified       map[pair]span
	authorities    map[string]bool
}

// contender is one of two that both believe to lead.
type contender struct {
	keeper *Keeper
	spread spread
	seen   int       // version of the Secret
	next   time.Time // when there is something to do
}

func (w *years) begin() {
	first, err := w.terms.apply(found, nil, names(), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.authorities = map[string]bool{}
	w.write(first)
	for i := range w.configurations {
		w.configurations[i] = past[string]{{w.now, string(first.bundle())}}
	}
	for i := range w.leaders {
		w.leaders[i] = contender{keeper: keeper(w.terms), seen: -1}
	}
}

func (w *years) write(s *state) {
	w.secret = append(w.secret, moment[*state]{w.now, s})
	if s != nil {
		w.served = append(w.served, moment[*state]{w.now, s})
		w.authorities[string(s.authorities[s.newest()].certificate.Raw)] = true
	}
}

// lag is how much later something is seen, mostly soon.
func (w *years) lag() time.Duration {
	if w.random.IntN(4) == 0 {
		return time.Duration(w.random.Int64N(int64(w.terms.lag)))
	}
	return time.Duration(w.random.Int64N(int64(2 * time.Second)))
}

// turn is some time, and then what a leader does.
func (w *years) turn() {
	most := 2 * time.Hour
	switch w.random.IntN(200) {
	case 0:
		most = 36 * time.Hour // nobody leads
	case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20:
		most = time.Minute
	}
	w.now = w.now.Add(time.Duration(w.random.Int64N(int64(most))))
	l := &w.leaders[w.random.IntN(2)]
	if l.next.After(w.previous) && l.next.Before(w.now) {
		w.now = l.next // as soon as it may
	}
	w.previous = w.now
	w.check()
	current, version := w.secret.at(w.now)
	if w.random.IntN(50) == 0 && current != nil {
		*l = contender{keeper: keeper(w.terms), seen: -1}
	}
	if w.random.IntN(500) == 0 && current != nil && w.leaders[0].seen == version && w.leaders[1].seen == version {
		w.write(nil)
	}
	w.lead(l)
	w.check()
}

// lead is what leader.turn does.
func (w *years) lead(l *contender) {
	if saw, version := w.secret.at(w.now.Add(-w.lag())); version > l.seen {
		l.seen = version
		if saw == nil {
			l.keeper.take(nil, w.now)
		} else {
			l.keeper.take(secretOf(w.t, saw, fmt.Sprint(version)), w.now)
		}
	}
	_, v := l.keeper.view()
	unchanged := l.seen == len(w.secret)-1
	if v.state != nil {
		bundle, everywhere := v.state.bundle(), true
		for i := range w.configurations {
			found, version := w.configurations[i].at(w.now.Add(-w.lag()))
			if found == string(bundle) {
				continue
			}
			everywhere = false
			if unchanged && version == len(w.configurations[i])-1 && w.random.IntN(3) > 0 {
				w.configurations[i] = append(w.configurations[i], moment[string]{w.now, string(bundle)})
			}
		}
		v.spread = l.spread.observe(bundle, everywhere, w.now)
	}
	s, at := w.terms.plan(v, w.now)
	l.next = at
	if s == rest || !unchanged {
		return
	}
	next, err := w.terms.apply(s, v.state, names(), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(next)
}

func (w *years) check() {
	since := w.now.Add(-w.terms.lag)
	for _, served := range w.served.within(since) {
		for _, configuration := range w.configurations {
			for _, bundle := range configuration.within(since) {
				valid := w.verify(pair{served.leaf.Leaf, bundle})
				if w.now.Before(valid.from) || w.now.After(valid.to) {
					w.t.Fatalf("%v: got a leaf that verifies from %v to %v", w.now, valid.from, valid.to)
				}
			}
		}
	}
}

func (w *years) verify(p pair) span {
	if known, ok := w.verified[p]; ok {
		return known
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(p.bundle))
	chains, err := p.leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: w.now})
	if err != nil {
		w.t.Fatalf("%v: %v", w.now, err)
	}
	out := span{p.leaf.NotBefore, p.leaf.NotAfter}
	if root := chains[0][1]; root.NotAfter.Before(out.to) {
		out.to = root.NotAfter
	}
	w.verified[p] = out
	return out
}
