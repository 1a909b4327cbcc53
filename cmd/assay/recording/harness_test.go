package recording_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/rego/resource"
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
    signatures: [{signer: release}, {signer: release, format: bundle}]
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
      signatureFormat: any
      keyless: {identities: [{issuerRegExp: .*, subjectRegExp: ^https://github.com/acme/}]}
`

// rig is an engine on a world whose requests are counted.
type rig struct {
	*rego.Engine
	world    *world.World
	host     string
	requests atomic.Int64
	made     []rego.Made
}

type setup struct {
	description string
	policies    string
	modules     map[string]string
	data        map[string]any
	objects     []raw.Object
	workloads   []resource.WorkloadPaths
	namespaces  func() *rego.Namespaces
	record      bool
	credentials oci.Credentials
	tenants     tenant.Source
	handler     func(http.Handler) http.Handler
}

func open(t testing.TB, s setup) *rig {
	t.Helper()
	w := worldtest.Open(t, cmp.Or(s.description, description))
	r := &rig{world: w}
	inner := w.Handler()
	if s.handler != nil {
		inner = s.handler(inner)
	}
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		r.requests.Add(1)
		inner.ServeHTTP(rw, request)
	}))
	t.Cleanup(front.Close)
	r.host = strings.TrimPrefix(front.URL, "http://")
	r.Engine = rego.NewEngine(compiled(t, w, s), nil)
	if s.record {
		r.Record(func(made rego.Made) { r.made = append(r.made, made) })
	}
	return r
}

func compiled(t testing.TB, w *world.World, s setup) *rego.Set {
	t.Helper()
	now := func() time.Time { return worldtest.Now().In(time.FixedZone("elsewhere", 7200)) }
	facts := worldtest.Facts(t, w, worldtest.Client(t), builtins.Options{Record: s.record, Tenants: s.tenants, Now: now})
	if s.policies == "" {
		s.policies = signed
	}
	documents, err := cip.Parse([]byte(s.policies))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rego.Compile(t.Context(), rego.Source{
		Policies: documents.Policies, Modules: s.modules, Data: s.data, Namespaces: s.namespaces, Objects: s.objects, Workloads: s.workloads, Config: rego.Config{Tags: "resolve"},
		Open: func(about rego.Workload) rego.Answers { return facts.Open(s.credentials, tenant.Workload(about)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// image is the reference of an image, by tag, at the counting front.
func (r *rig) image(name string) string {
	return strings.Replace(r.world.Expand("${"+name+"}"), r.world.Registry(), r.host, 1)
}

// pod is the review of a Pod of images, whose container has a password.
func pod(images ...string) []byte {
	containers := make([]any, len(images))
	for i, image := range images {
		containers[i] = map[string]any{"name": "c", "image": image, "env": []any{map[string]any{"name": "PASSWORD", "value": "hunter2"}}}
	}
	encoded, _ := json.Marshal(map[string]any{"request": map[string]any{
		"uid": "1", "operation": "CREATE", "namespace": "prod", "object": map[string]any{"spec": map[string]any{"containers": containers}},
		"kind": map[string]any{"group": "", "version": "v1", "kind": "Pod"},
	}})
	return encoded
}

func (r *rig) decide(t testing.TB, images ...string) rego.Decision {
	t.Helper()
	decision, err := r.Decide(t.Context(), pod(images...))
	if err != nil {
		t.Fatal(err)
	}
	return decision
}

// last is the capsule of the latest decision, written and read.
func (r *rig) last(t testing.TB) (c *capsule.Capsule, file []byte) {
	t.Helper()
	c, err := new(recording.Sealer).Seal(r.made[len(r.made)-1])
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := capsule.Write(&out, c); err != nil {
		t.Fatal(err)
	}
	file = bytes.Clone(out.Bytes())
	if c, _, err = capsule.Read(&out); err != nil {
		t.Fatal(err)
	}
	return c, file
}

// judge makes the decision of a capsule again.
func judge(t testing.TB, c *capsule.Capsule, others *recording.Policies) recording.Judged {
	t.Helper()
	j, err := recording.NewJudge()
	if err != nil {
		t.Fatal(err)
	}
	judged, err := j.Judge(t.Context(), c, others)
	if err != nil {
		t.Fatal(err)
	}
	return judged
}

// same wants a capsule to come out as it was recorded.
func same(t testing.TB, c *capsule.Capsule) {
	t.Helper()
	judged := judge(t, c, nil)
	outcome, err := judged.Outcome()
	if err != nil || len(judged.NotRecorded) > 0 || !recording.Same(outcome, c.Outcome) {
		t.Errorf("got %s, not recorded %q, %v, want %s", outcome.Decision, judged.NotRecorded, err, c.Outcome.Decision)
	}
}
