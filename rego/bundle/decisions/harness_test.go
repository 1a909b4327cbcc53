package decisions_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/logging"
	logtest "github.com/open-policy-agent/opa/v1/logging/test"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"
	"github.com/open-policy-agent/opa/v1/plugins/logs"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/bundle/decisions/store"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world"
	"github.com/assay-dev/assay/world/worldtest"
)

func TestMain(m *testing.M) {
	builtins.Register()
	os.Exit(m.Run())
}

const description = `
signers:
  release: {issuer: https://token.actions.githubusercontent.com, subject: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1}
images:
  app:
    signatures: [{signer: release}]
  bare: {}
`

const signed = `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: signed}
spec:
  images: [{glob: "**"}]
  authorities:
    - name: main
      keyless: {identities: [{issuerRegExp: .*, subjectRegExp: ^https://github.com/acme/}]}
`

// talkative is a policy in plain Rego that says what it sees.
const talkative = `package policies.talkative
import rego.v1
mode := "warn"
deny contains msg if {
	some container in input.request.object.spec.containers
	some variable in container.env
	msg := sprintf("%s is %s", [variable.name, variable.value])
}
`

// engine decides about images of a world.
type engine struct {
	*rego.Engine
	world *world.World
	made  []rego.Made
}

func newEngine(t testing.TB) *engine {
	t.Helper()
	w := worldtest.Open(t, description)
	facts := worldtest.Facts(t, w, worldtest.Client(t), builtins.Options{Now: worldtest.Now})
	documents, err := cip.Parse([]byte(signed))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rego.Compile(t.Context(), rego.Source{
		Policies: documents.Policies, Modules: map[string]string{"talkative.rego": talkative}, Config: rego.Config{Tags: "resolve"},
		Open: func(about rego.Workload) rego.Answers { return facts.Open(oci.Credentials{}, tenant.Workload(about)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{Engine: rego.NewEngine(set, nil), world: w}
	e.Watch(func(_ context.Context, made rego.Made) { e.made = append(e.made, made) })
	return e
}

// decide gives the decision about an image, by tag.
func (e *engine) decide(t testing.TB, image string) rego.Made {
	t.Helper()
	if _, err := e.Decide(t.Context(), pod(e.world.Expand("${"+image+"}"))); err != nil {
		t.Fatal(err)
	}
	return e.made[len(e.made)-1]
}

const password = "hunter2 is a password"

func pod(image string) []byte {
	encoded, _ := json.Marshal(map[string]any{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": map[string]any{
		"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "namespace": "prod",
		"kind": map[string]any{"group": "", "version": "v1", "kind": "Pod"},
		"object": map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "app"}, "spec": map[string]any{
			"containers": []any{map[string]any{"name": "c", "image": image, "env": []any{map[string]any{"name": "PASSWORD", "value": password}}}},
		}},
	}})
	return encoded
}

// tally counts what became of entries, by place and result.
type tally struct {
	mu sync.Mutex
	of map[outcome.Result]int
}

func (c *tally) observe(place outcome.Place, result outcome.Result, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[outcome.Result]int{}
	}
	if place != outcome.Queue {
		result = outcome.Result(place) + " " + result
	}
	c.of[result] += n
}

func (c *tally) get(result outcome.Result) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[result]
}

// serving is a plugin manager as a server has one.
type serving struct {
	*plugins.Manager
	metrics metrics.Metrics
	console *logtest.Logger
	counts  *tally
}

type setup struct {
	config  string // YAML
	policy  string // Rego of the manager's store
	data    map[string]any
	open    func(url string) (store.Store, error)
	options decisions.Options
}

func serve(t testing.TB, s setup) (*serving, error) {
	t.Helper()
	out := &serving{metrics: metrics.New(), console: logtest.New(), counts: &tally{}}
	db := inmem.New()
	if s.policy != "" {
		if err := storage.Txn(t.Context(), db, storage.WriteParams, func(txn storage.Transaction) error {
			return db.UpsertPolicy(t.Context(), txn, "logging.rego", []byte(s.policy))
		}); err != nil {
			t.Fatal(err)
		}
	}
	if s.data != nil {
		db = inmem.NewFromObject(s.data)
	}
	var err error
	if out.Manager, err = plugins.New([]byte(s.config), "replica-1", db,
		plugins.Logger(decisions.Listen(logging.NewNoOpLogger())), plugins.ConsoleLogger(out.console), plugins.GracefulShutdownPeriod(10),
	); err != nil {
		return nil, err
	}
	factories := decisions.Factories(decisions.Sinks{Open: s.open, Observe: out.counts.observe})
	found, err := discovery.New(out.Manager, discovery.Factories(factories), discovery.Metrics(out.metrics))
	if err != nil {
		return nil, err
	}
	out.Register(discovery.Name, found)
	return out, out.Start(t.Context())
}

func mustServe(t testing.TB, s setup) *serving {
	t.Helper()
	out, err := serve(t, s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// log logs decisions and stops: what a server does from its start to its end.
func log(t testing.TB, s setup, made ...rego.Made) *serving {
	t.Helper()
	m := mustServe(t, s)
	s.options.Observe = m.counts.observe
	l, err := decisions.New(m.Manager, s.options)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range made {
		l.Take(t.Context(), one)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	l.Run(ended)
	m.Stop(context.WithoutCancel(t.Context()))
	return m
}

// collector is a service that takes decision logs.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	entries []json.RawMessage
	answer  func(n int) int // the status of an upload, 200 when nil
	uploads int
}

func collect(t testing.TB) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/logs") {
			return // status
		}
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
			return
		}
		text, err := io.ReadAll(zip)
		if err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
			return
		}
		var entries []json.RawMessage
		if err := json.Unmarshal(text, &entries); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.uploads++
		if c.answer != nil {
			if status := c.answer(c.uploads); status != http.StatusOK {
				w.WriteHeader(status)
				return
			}
		}
		c.entries = append(c.entries, entries...)
	}))
	t.Cleanup(c.Close)
	return c
}

// config is one that uploads to the collector.
func (c *collector) config(more string) string {
	return `
services: {collector: {url: "` + c.URL + `"}}
labels: {cluster: north, replica: assay-0}
decision_logs:
  service: collector
  reporting: {min_delay_seconds: 1, max_delay_seconds: 1, upload_size_limit_bytes: 1048576}
` + more
}

func events(t testing.TB, entries []json.RawMessage) (out []logs.EventV1) {
	t.Helper()
	for _, entry := range entries {
		var event logs.EventV1
		if err := json.Unmarshal(entry, &event); err != nil {
			t.Fatalf("%v in %s", err, entry)
		}
		out = append(out, event)
	}
	return out
}

func mustJSON(t testing.TB, value any) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// loss reads a counter of OPA's.
func (s *serving) loss(name string) uint64 {
	for _, loss := range decisions.Losses() {
		if loss.Name == name {
			return loss.Count(s.metrics)
		}
	}
	panic("no such loss: " + name)
}
