package doctor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/kube"
)

func noon() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// installed is what the manifests install.
func installed(t testing.TB) expected {
	t.Helper()
	out, err := expect(kube.DefaultNamespace)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// hookOf is the webhook of a route.
func (e expected) hookOf(path string) *hook {
	for i := range e.hooks {
		if e.hooks[i].path() == path {
			return &e.hooks[i]
		}
	}
	return nil
}

// want wants a finding with a status whose message, or fix, has a text; all others are fine. An
// empty text wants that all is.
func want(t *testing.T, got []finding.Finding, status finding.Status, text string) {
	t.Helper()
	hits, others := 0, []string{}
	for _, f := range got {
		switch {
		case f.Status == finding.Fine:
		case text != "" && f.Status == status && strings.Contains(f.Message+" fix: "+f.Fix, text):
			hits++
		default:
			others = append(others, fmt.Sprintf("%+v", f))
		}
		if (f.Status == finding.Warning || f.Status == finding.Failure) && f.Fix == "" {
			t.Errorf("%+v: got no fix, want one", f)
		}
		if f.Object == "" || f.Message == "" {
			t.Errorf("%+v: got a finding that says too little", f)
		}
	}
	if (text != "") != (hits > 0) || len(others) > 0 {
		t.Errorf("got %d findings that are %s with %q, and besides:\n%s", hits, status, text, strings.Join(others, "\n"))
	}
}
