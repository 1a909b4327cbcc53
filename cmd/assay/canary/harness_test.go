package canary_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
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
    attestations: [{signer: release, predicateType: https://slsa.dev/provenance/v1, predicate: {buildType: make}}]
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

// attested asks besides for what signed does not ask for.
const attested = signed + "      attestations: [{name: slsa, predicateType: https://slsa.dev/provenance/v1}]\n"

// static asks nobody for anything.
const static = `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: any}
spec:
  images: [{glob: "**"}]
  authorities: [{name: all, static: {action: pass}}]
`

// rig is an engine that serves, on a registry whose requests are counted.
type rig struct {
	*rego.Engine
	world    *world.World
	host     string
	requests atomic.Int64
	fetch    *recording.Fetch
	root     trust.Roots
}

func now() time.Time { return worldtest.Now() }

func open(t testing.TB, policies string, handlers ...func(http.Handler) http.Handler) *rig {
	t.Helper()
	w := worldtest.Open(t, description)
	r, inner := &rig{world: w}, w.Handler()
	for _, h := range handlers {
		inner = h(inner)
	}
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		r.requests.Add(1)
		inner.ServeHTTP(rw, request)
	}))
	t.Cleanup(front.Close)
	r.host = strings.TrimPrefix(front.URL, "http://")
	client := worldtest.Client(t)
	r.root = worldtest.Roots(t, w)
	r.fetch = &recording.Fetch{Registry: client, Tenants: func() tenant.Source { return nil }}
	facts, err := builtins.New(client, func() trust.Roots { return r.root }, builtins.Options{Record: true, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	source := sourceOf(t, policies).Source
	source.Open = func(about rego.Workload) rego.Answers { return facts.Open(r.fetch.Credentials, tenant.Workload(about)) }
	set, err := rego.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	r.Engine = rego.NewEngine(set, nil)
	return r
}

// sourceOf are policies as they would serve.
func sourceOf(t testing.TB, policies string) recording.Policies {
	t.Helper()
	documents, err := cip.Parse([]byte(policies))
	if err != nil {
		t.Fatal(err)
	}
	return recording.Policies{Source: rego.Source{Policies: documents.Policies, Config: rego.Config{Tags: "resolve", NoMatch: "allow"}}}
}

// candidate is a candidate of these policies.
func candidate(t testing.TB, policies string) *canary.Candidate {
	t.Helper()
	return &canary.Candidate{Name: "main", Revision: "2", Policies: sourceOf(t, policies)}
}

// beside is a candidate with the CIPs and, beside them, plain Rego.
func beside(t testing.TB, policies, rule string) *canary.Candidate {
	t.Helper()
	out := candidate(t, policies)
	out.Policies.Source.Modules = map[string]string{"p.rego": "package policies.p\n\n" + rule + "\n"}
	return out
}

// image is the reference of an image, by tag, at the counting front.
func (r *rig) image(name string) string {
	return strings.Replace(r.world.Expand("${"+name+"}"), r.world.Registry(), r.host, 1)
}

// pod is the review of a Pod of an image.
func pod(image string) []byte {
	encoded, _ := json.Marshal(map[string]any{"request": map[string]any{
		"uid": "1", "operation": "CREATE", "namespace": "prod", "kind": map[string]any{"group": "", "version": "v1", "kind": "Pod"},
		"object": map[string]any{"metadata": map[string]any{"generateName": "web-"}, "spec": map[string]any{"containers": []any{
			map[string]any{"name": "c", "image": image, "env": []any{map[string]any{"name": "PASSWORD", "value": "correct-horse-battery"}}},
		}}},
	}})
	return encoded
}

func (r *rig) decide(t testing.TB, name string) rego.Decision {
	t.Helper()
	decision, err := r.Decide(t.Context(), pod(r.image(name)))
	if err != nil {
		t.Fatal(err)
	}
	return decision
}

// counts are what a canary told.
type counts struct {
	mu      sync.Mutex
	of      map[canary.Outcome]int64
	dropped int64
	worked  time.Duration
	fetched int64
}

func (c *counts) hooks() canary.Hooks {
	c.of = map[canary.Outcome]int64{}
	locked := func(f func()) {
		c.mu.Lock()
		defer c.mu.Unlock()
		f()
	}
	return canary.Hooks{
		Decided: func(o canary.Outcome) { locked(func() { c.of[o]++ }) },
		Dropped: func() { locked(func() { c.dropped++ }) },
		Worked:  func(d time.Duration) { locked(func() { c.worked += d }) },
		Fetched: func() { locked(func() { c.fetched++ }) },
	}
}

// running is a canary on an engine, that rests for no time unless it is said otherwise.
func (r *rig) running(t testing.TB, options canary.Options) *canary.Canary {
	t.Helper()
	if options.Share == 0 {
		options.Share = 1
	}
	c := canary.New(options)
	r.Record(c.Take)
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { end(); <-done })
	return c
}

// until waits for the report to have so many decisions, judged or lost.
func until(t testing.TB, c *canary.Canary, n int64) canary.Report {
	t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(time.Millisecond) {
		r := c.Report()
		sum := r.Dropped
		for _, count := range r.Decisions {
			sum += count
		}
		if sum >= n {
			return r
		}
	}
	t.Fatalf("got %+v after a minute, want %d decisions", c.Report(), n)
	return canary.Report{}
}
