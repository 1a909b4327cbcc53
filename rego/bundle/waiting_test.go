package bundle_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/plugins"
)

// TestNoReviewWaitsForAStatusThatHangs: OPA tells of the state of a plugin and answers what it is in one
// loop, which a status service that does not answer stops.
func TestNoReviewWaitsForAStatusThatHangs(t *testing.T) {
	t.Parallel()
	s := newService(t)
	m := open(t, manually(s.URL, "main"), &side{}, nil)
	var once sync.Once
	told, let := make(chan struct{}), make(chan struct{})
	m.OPA().RegisterPluginStatusListener("hangs", func(map[string]*plugins.Status) { once.Do(func() { close(told) }); <-let })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.OPA().UpdatePluginStatus("other", &plugins.Status{State: plugins.StateOK})
	}()
	<-told
	said := make(chan string, 1)
	go func() { said <- m.Waiting(nil) }()
	select {
	case got := <-said:
		if !strings.Contains(got, "bundle main is not active yet") {
			t.Errorf("got %q, want that main is waited for", got)
		}
	case <-time.After(time.Minute):
		t.Error("got no answer for a minute, want one at once")
	}
	close(let)
	<-ended
}
