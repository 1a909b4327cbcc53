package rego_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/rego/resource"
	"github.com/assay-dev/assay/world"
)

func TestMain(m *testing.M) {
	builtins.Register()
	registerPanicking()
	os.Exit(m.Run())
}

const (
	signers = `
signers:
  release:
    issuer: https://token.actions.githubusercontent.com
    subject: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
  laptop: {issuer: https://github.com/login/oauth, subject: jane@example.com}
`
	keyless = `
    keyless:
      url: https://fulcio.sigstore.dev
      identities:
      - issuer: https://token.actions.githubusercontent.com
        subject: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
`
	provenance = "https://slsa.dev/provenance/v1"
)

// policy is a ClusterImagePolicy for every image with one authority. spec are
// further lines of its spec, authority further lines of the authority.
func policy(name, spec, authority string) string {
	return "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: " + name + "}\nspec:\n" +
		spec + "  images: [{glob: \"**\"}]\n  authorities:\n  - name: main" + keyless + authority
}

const (
	attested = "    attestations: [{name: provenance, predicateType: " + provenance + "}]\n"
	bundled  = "    signatureFormat: bundle\n"
)

// openWorld makes the world of the YAML and closes it with the test.
func openWorld(t testing.TB, yaml string) *world.World {
	t.Helper()
	description, err := world.Parse([]byte(signers + yaml))
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(description)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// clock is a time that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 6, 1, 12, 0, 1, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// setup is what a test says about its engine; the zero value is a good one.
type setup struct {
	policies    string // documents; the default is one policy, "signed", of signers' release
	settings    cip.Settings
	config      rego.Config
	clock       *clock
	credentials oci.Credentials
	client      []oci.Option
	facts       *builtins.Facts   // the default is new facts
	modules     map[string]string // policies in Rego, or with query modules of the test's own
	data        map[string]any    // of policies in Rego
	namespaces  func() *rego.Namespaces
	workloads   []resource.WorkloadPaths
	allow       raw.Allow
	registries  []string
	query       string // another decision
	explains    bool   // whether Explain is asked
	record      bool   // also in benchmarks
}

// rig is an engine on a world.
type rig struct {
	*rego.Engine
	source rego.Source
	facts  *builtins.Facts

	mu   sync.Mutex
	seen []rego.Observation
}

func open(t testing.TB, w *world.World, s setup) *rig {
	t.Helper()
	if s.policies == "" {
		s.policies = policy("signed", "", "")
	}
	if s.clock == nil {
		s.clock = newClock()
	}
	documents, err := s.settings.Parse([]byte(s.policies))
	if err != nil {
		t.Fatal(err)
	}
	if s.facts == nil {
		s.facts = factsOf(t, w, s)
	}
	r := &rig{facts: s.facts, source: rego.Source{
		Policies: documents.Policies, Config: s.config, Modules: s.modules,
		Data: s.data, Namespaces: s.namespaces, Workloads: s.workloads, Allow: s.allow, Registries: s.registries, Explains: s.explains,
		Open: func(about rego.Workload) rego.Answers { return s.facts.Open(s.credentials, tenant.Workload(about)) },
	}}
	set, err := rego.Compile(t.Context(), r.source)
	if s.query != "" {
		set, err = rego.CompileFor(t.Context(), r.source, s.query)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.Engine = rego.NewEngine(set, func(o rego.Observation) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen = append(r.seen, o)
	})
	// What is large takes long to compile, and is replayed no differently.
	if isTest(t) && s.query == "" && len(s.policies) < 32<<10 {
		r.Record(replayed(t))
	}
	return r
}

func factsOf(t testing.TB, w *world.World, s setup) *builtins.Facts {
	t.Helper()
	client, err := oci.New(append([]oci.Option{oci.WithPrivateRegistries(), oci.WithClock(s.clock.Now)}, s.client...)...)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	root, err := trust.Parse(trusted)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := builtins.New(client, func() trust.Roots { return trust.Roots{Default: root} },
		builtins.Options{Now: s.clock.Now, Record: s.record || isTest(t)})
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// last is what the latest decision cost.
func (r *rig) last() rego.Observation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[len(r.seen)-1]
}

// decide decides about a Pod of the images.
func (r *rig) decide(t testing.TB, images ...string) rego.Decision {
	t.Helper()
	decision, err := r.Decide(t.Context(), pod(images...))
	if err != nil {
		t.Fatal(err)
	}
	return decision
}

// pod is the review of a Pod's creation.
func pod(images ...string) []byte {
	containers := make([]any, len(images))
	for i, image := range images {
		containers[i] = map[string]any{"name": fmt.Sprint("c", i), "image": image}
	}
	return review("", "Pod", map[string]any{"spec": map[string]any{"containers": containers}})
}

func review(group, kind string, object map[string]any) []byte {
	encoded, _ := json.Marshal(map[string]any{"request": map[string]any{
		"uid": "1", "operation": "CREATE", "object": object,
		"kind": map[string]any{"group": group, "version": "v1", "kind": kind},
	}})
	return encoded
}

// byDigest is the reference of an image by digest.
func byDigest(t testing.TB, w *world.World, name string) string {
	t.Helper()
	if _, _, ok := w.Image(name); !ok {
		t.Fatalf("no image %s", name)
	}
	return w.Expand("${" + name + "@}")
}

func byTag(t testing.TB, w *world.World, name string) string {
	t.Helper()
	ref, _, ok := w.Image(name)
	if !ok {
		t.Fatalf("no image %s", name)
	}
	return ref
}

// front serves the world's registry behind a handler that may misbehave, under
// another address. at gives the front's name of a reference.
func front(t testing.TB, w *world.World, handle func(inner http.Handler) http.HandlerFunc) (at func(ref string) string) {
	t.Helper()
	server := httptest.NewServer(handle(w.Handler()))
	t.Cleanup(func() {
		server.CloseClientConnections() // requests outlive the decisions that asked
		server.Close()
	})
	host := strings.TrimPrefix(server.URL, "http://")
	return func(ref string) string { return strings.ReplaceAll(ref, w.Registry(), host) }
}

// codes are the codes of all authorities that failed.
func codes(d rego.Decision) []string {
	var out []string
	for _, image := range d.Images {
		for _, policy := range image.Policies {
			for _, authority := range policy.Authorities {
				if authority.Error != nil {
					out = append(out, authority.Error.Code)
				}
			}
		}
	}
	return out
}

func encode(t testing.TB, d rego.Decision) string {
	t.Helper()
	encoded, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}
