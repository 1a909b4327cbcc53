package trust

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// TestLinkedAuthorityVerifiesAsTheWhole compares the authority with its links
// verified beforehand with the one that verifies all of them every time.
func TestLinkedAuthorityVerifiesAsTheWhole(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	own, other := newAuthority(t, elliptic.P384(), clock().Add(10*day)), newAuthority(t, elliptic.P384(), clock().Add(10*day))
	leaf := own.leaf(t, clock().Add(20*day))
	stranger := other.leaf(t, clock().Add(20*day))
	short := own.leaf(t, clock().Add(time.Hour))
	direct := own
	direct.intermediate, direct.key = own.root, own.rootKey
	fromRoot := direct.leaf(t, clock().Add(20*day))
	leaves := map[string]*x509.Certificate{
		"leaf": leaf, "short": short, "stranger": stranger, "of the root itself": fromRoot, "intermediate": own.intermediate, "root": own.root,
	}
	// The same root with less time, as the window of the root itself.
	brief := issue(t, &x509.Certificate{Subject: own.root.Subject, NotBefore: clock().Add(day), NotAfter: clock().Add(3 * day), IsCA: true,
		KeyUsage: x509.KeyUsageCertSign}, nil, own.rootKey, own.rootKey)
	for _, window := range []struct {
		root       *x509.Certificate
		start, end time.Time
	}{
		{root: own.root}, {own.root, clock(), clock().Add(5 * day)}, {root: own.root, start: clock().Add(-100 * day)}, {root: brief},
	} {
		whole := &root.FulcioCertificateAuthority{
			Root: window.root, Intermediates: []*x509.Certificate{own.intermediate},
			ValidityPeriodStart: window.start, ValidityPeriodEnd: window.end,
		}
		pinned, ok := link(whole).(*linked)
		if !ok {
			t.Fatal("got an authority without its links verified")
		}
		accepted := 0
		for name, certificate := range leaves {
			for hours := -12; hours < 1100; hours += 12 {
				at := clock().Add(time.Duration(hours) * time.Hour)
				want, wantErr := whole.Verify(certificate, at)
				got, err := pinned.Verify(certificate, at)
				if (err == nil) != (wantErr == nil) {
					t.Errorf("%s at %v: got %v, want %v", name, at, err, wantErr)
				}
				if err == nil {
					accepted++
				}
				if name == "intermediate" {
					continue // is its own anchor: the chain is named otherwise, and as long
				}
				if diff := cmp.Diff(names(want), names(got)); diff != "" {
					t.Errorf("%s at %v: %s", name, at, diff)
				}
			}
		}
		if accepted == 0 {
			t.Error("nothing was accepted")
		}
	}
}

func names(chains [][]*x509.Certificate) (out [][]string) {
	for _, chain := range chains {
		var list []string
		for _, c := range chain {
			list = append(list, c.SerialNumber.String())
		}
		out = append(out, list)
	}
	return out
}

func TestLinkLeavesAloneWhatSaysMore(t *testing.T) {
	t.Parallel()
	a, b := newAuthority(t, elliptic.P256(), clock().Add(24*time.Hour)), newAuthority(t, elliptic.P256(), clock().Add(24*time.Hour))
	limited := func(change func(*x509.Certificate)) *x509.Certificate {
		template := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, NotAfter: clock().Add(24 * time.Hour), IsCA: true, KeyUsage: x509.KeyUsageCertSign}
		change(template)
		return issue(t, template, nil, a.rootKey, a.rootKey)
	}
	for name, ca := range map[string]*root.FulcioCertificateAuthority{
		"no intermediate":            {Root: a.root},
		"intermediate of a stranger": {Root: a.root, Intermediates: []*x509.Certificate{a.intermediate, b.intermediate}},
		"path length": {Root: limited(func(c *x509.Certificate) { c.MaxPathLenZero = true }),
			Intermediates: []*x509.Certificate{a.intermediate}},
		"name constraints": {Root: limited(func(c *x509.Certificate) { c.PermittedURIDomains = []string{"example.com"} }),
			Intermediates: []*x509.Certificate{a.intermediate}},
		"usage": {Root: limited(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
			Intermediates: []*x509.Certificate{a.intermediate}},
	} {
		if _, ok := link(ca).(*linked); ok {
			t.Errorf("%s: got links that were verified beforehand", name)
		}
	}
	sound := &root.FulcioCertificateAuthority{Root: limited(func(*x509.Certificate) {}), Intermediates: []*x509.Certificate{a.intermediate}}
	if _, ok := link(sound).(*linked); !ok {
		t.Error("got no links for the sound one")
	}
}
