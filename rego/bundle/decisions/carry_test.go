package decisions_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/open-policy-agent/opa/v1/logging"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"
	"github.com/open-policy-agent/opa/v1/plugins/status"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/bundle/decisions"
)

// carried is what a status has of what is carried, and of the plugin that stands for it.
type carried struct {
	Metrics map[string]struct {
		Assay  string `json:"assay"`
		Opened int    `json:"counter_opened"`
	}
	Plugins map[string]plugins.Status
}

// listening is a console that reads what is logged with fields, which a status is.
type listening struct {
	logging.Logger
	read func([]byte)
}

func (l listening) WithFields(fields map[string]any) logging.Logger {
	if fields["type"] == nil { // which comes last
		if text, err := json.Marshal(fields); err == nil {
			l.read(text)
		}
	}
	return l
}

// sink is a plugin that takes statuses.
type sink struct{ read func([]byte) }

func (s sink) Validate(*plugins.Manager, []byte) (any, error) { return s, nil }
func (s sink) New(*plugins.Manager, any) plugins.Plugin       { return s }
func (sink) Start(context.Context) error                      { return nil }
func (sink) Stop(context.Context)                             {}
func (sink) Reconfigure(context.Context, any)                 {}

func (s sink) Log(_ context.Context, update *status.UpdateRequestV1) error {
	text, err := json.Marshal(update)
	s.read(text)
	return err
}

// TestEachSinkHasWhatIsCarried: a service, the console and a plugin, and OPA's counters beside it.
func TestEachSinkHasWhatIsCarried(t *testing.T) {
	t.Parallel()
	for named, config := range map[string]string{
		"a service": "service: s", "the console": "console: true", "a plugin": "plugin: sink",
	} {
		t.Run(named, func(t *testing.T) {
			t.Parallel()
			got := make(chan carried, 100)
			read := func(text []byte) {
				var one carried
				if err := json.Unmarshal(text, &one); err != nil {
					t.Errorf("%v: %s", err, text)
				}
				got <- one
			}
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				read(text)
			}))
			t.Cleanup(server.Close)
			console := listening{logging.NewNoOpLogger(), read}
			m, err := plugins.New([]byte("services: {s: {url: '"+server.URL+"'}}\nplugins: {sink: {}}\nstatus: {"+config+"}"), "id", inmem.New(), plugins.ConsoleLogger(console))
			if err != nil {
				t.Fatal(err)
			}
			counts := metrics.New()
			counts.Counter("opened").Incr()
			var about atomic.Value
			said := decisions.Carry(counts, "assay", about.Load)
			found, err := discovery.New(m, discovery.Metrics(said), discovery.Factories(map[string]plugins.Factory{"sink": sink{read}}))
			if err != nil {
				t.Fatal(err)
			}
			m.Register(discovery.Name, found)
			if err := m.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Stop(t.Context()) })
			next := func(want string, state plugins.State) {
				t.Helper()
				for one := range got {
					if of := one.Metrics["<built-in>"]; of.Assay == want && one.Plugins["assay"].State == state {
						if of.Opened != 1 {
							t.Errorf("got %+v, want OPA's counters beside it", one)
						}
						return
					}
				}
			}
			next("", "") // which says nothing yet
			about.Store("all is well")
			if err := decisions.Send(m); err != nil {
				t.Fatal(err)
			}
			next("all is well", "")
			decisions.Say(m, "assay", true, "it expired")
			next("all is well", plugins.StateErr)
			decisions.Say(m, "assay", false, "")
			next("all is well", plugins.StateOK)
		})
	}
}

// TestASinkThatHangsHoldsUpNobody but who sends: reviews ask for the states of plugins.
func TestASinkThatHangsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	hang, came := make(chan bool), make(chan bool, 100)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came <- true; <-hang }))
	t.Cleanup(server.Close)
	m, err := plugins.New([]byte("services: {s: {url: '"+server.URL+"', response_header_timeout_seconds: 600}}\nstatus: {service: s}"), "id", inmem.New())
	if err != nil {
		t.Fatal(err)
	}
	found, err := discovery.New(m, discovery.Metrics(metrics.New()))
	if err != nil {
		t.Fatal(err)
	}
	m.Register(discovery.Name, found)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-came
	sent := make(chan error, 3)
	for range cap(sent) {
		go func() { sent <- decisions.Send(m) }()
	}
	if got := m.PluginStatus()["discovery"]; got == nil {
		t.Errorf("got %v, want the states of plugins", m.PluginStatus())
	}
	close(hang)
	for range cap(sent) {
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
	m.Stop(t.Context())
}

func TestNobodyIsSentAStatusWhereThereIsNoSink(t *testing.T) {
	t.Parallel()
	m, err := plugins.New(nil, "id", inmem.New())
	if err != nil {
		t.Fatal(err)
	}
	if err := decisions.Send(m); err != nil {
		t.Error(err)
	}
	if counts := metrics.New(); decisions.Carry(counts, "assay", nil) != counts {
		t.Error("got other metrics without anything to carry, want the same")
	}
}
