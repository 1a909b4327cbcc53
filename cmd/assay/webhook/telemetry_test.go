package webhook

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/telemetry"
	"github.com/assay-dev/assay/world"
)

const shop = `
signers:
  release:
    issuer: https://token.actions.githubusercontent.com
    subject: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
images:
  app: {signatures: [{signer: release}]}
  bare: {}
`

const signed = `{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: signed}, spec: {
	images: [{glob: "**"}], authorities: [{keyless: {url: "https://fulcio.sigstore.dev", identities: [{
	issuer: "https://token.actions.githubusercontent.com", subjectRegExp: "^https://github.com/acme/"}]}}]}}`

// kept are spans as a collector gets them.
type kept struct {
	mu    sync.Mutex
	spans []*otlp.Span
	raw   bytes.Buffer
}

func (k *kept) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.raw.Write(body)
	for _, of := range request.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			k.spans = append(k.spans, scope.GetSpans()...)
		}
	}
}

// below are the names of the spans below another one, sorted, once each.
func (k *kept) below(parent []byte) (out []string) {
	for _, span := range k.spans {
		if bytes.Equal(span.GetParentSpanId(), parent) {
			out = append(out, span.GetName())
			for _, name := range k.below(span.GetSpanId()) {
				out = append(out, span.GetName()+" > "+name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lines are those of a log, of many writers.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// decided are the lines about decisions.
func (l *lines) decided(t *testing.T) (out []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		if one["msg"] == "decided" {
			out = append(out, one)
		}
	}
	return out
}

// TestOneSeamTellsAll: of a decision that was fetched and verified, a trace, metrics and the
// log line have the same, and none has what it was about.
func TestOneSeamTellsAll(t *testing.T) {
	t.Parallel()
	description, err := world.Parse([]byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(description)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	spans, log := &kept{}, &lines{}
	to := httptest.NewServer(spans)
	defer to.Close()
	running, stop := serving(t, w, log, to.URL)

	app, bare := w.Expand("${app@}"), w.Expand("${bare@}")
	for _, image := range []string{app, bare, app} {
		post(t, running, image)
	}
	metrics := get(t, running, "/metrics")
	stop()

	got := log.decided(t)
	if len(got) != 3 {
		t.Fatalf("got %d decisions in the log, want 3", len(got))
	}
	cold, refused, warm := got[0], got[1], got[2]
	if cold["allowed"] != true || cold["evaluations"] != 2.0 || warm["evaluations"] != 1.0 {
		t.Errorf("got %v and %v, want them admitted after two evaluations and one", cold, warm)
	}
	if diff := cmp.Diff([]any{[]any{"no_signatures"}, []any{"signed"}}, []any{refused["codes"], refused["failed"]}); diff != "" {
		t.Errorf("codes and policies of the denial (-want +got):\n%s", diff)
	}
	for _, stage := range []string{"evaluate", "fact", "registry", "trust", "verify"} {
		if took, ok := cold["stages"].(map[string]any)[stage].(float64); !ok || took <= 0 {
			t.Errorf("got stages %v, want some time for %s", cold["stages"], stage)
		}
	}
	if stages, _ := warm["stages"].(map[string]any); len(stages) != 1 {
		t.Errorf("warm: got stages %v, want the evaluation alone", stages)
	}
	wantTrace(t, spans, cold["trace"], cold["set"])
	for _, line := range []string{
		`assay_policy_decisions_total{mode="enforce",outcome="passed",policy="signed"} 2`,
		`assay_policy_decisions_total{mode="enforce",outcome="failed",policy="signed"} 1`,
		`assay_refusals_total{code="no_signatures"} 1`,
		`assay_cache_lookups_total{cache="verdicts",result="miss"} 2`,
		`assay_stage_duration_seconds_count{stage="evaluate"} 5`,
		`assay_trust_root_serving{root="(default)"} 1`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("got no metric %s", line)
		}
	}
	if !strings.Contains(metrics, `assay_registry_requests_total{code="ok"}`) || strings.Contains(metrics, `requests_total{code="ok"} 0`) {
		t.Error("got no answers of registries, want some")
	}
	for _, of := range []string{"acme", "sha256:", "default", "release.yml", "no signatures found"} {
		if bytes.Contains(spans.raw.Bytes(), []byte(of)) {
			t.Errorf("got spans with %q of the review", of)
		}
	}
}

// wantTrace wants the spans of one trace, with the policy set.
func wantTrace(t *testing.T, all *kept, id, set any) {
	t.Helper()
	one := &kept{}
	named := false
	for _, span := range all.spans {
		if hex.EncodeToString(span.GetTraceId()) != id {
			continue
		}
		one.spans = append(one.spans, span)
		for _, attribute := range span.GetAttributes() {
			named = named || attribute.GetKey() == "assay.policy_set" && attribute.GetValue().GetStringValue() == set
		}
	}
	if !named {
		t.Errorf("trace %v: got no policy set %v", id, set)
	}
	want := []string{
		"decide validate",
		"decide validate > evaluate",
		"decide validate > fact cosign.verify",
		"decide validate > fact cosign.verify > registry signatures",
		"decide validate > fact cosign.verify > trust",
		"decide validate > fact cosign.verify > verify",
	}
	got := slices.DeleteFunc(one.below(nil), func(name string) bool { return strings.Contains(name, "oci.") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

// serving runs the webhook over plain HTTP.
func serving(t *testing.T, w *world.World, log io.Writer, traces string) (url string, stop func()) {
	t.Helper()
	dir := t.TempDir()
	root, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"policy.yaml": []byte(signed), "trusted_root.json": root} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := wiring.Defaults()
	flags.Policies, flags.TrustedRoot, flags.PrivateRegistries = []string{filepath.Join(dir, "policy.yaml")}, filepath.Join(dir, "trusted_root.json"), true
	config := server.Config{
		Addr: "127.0.0.1:0", InsecurePlainHTTP: true, DrainDelay: 1, Logger: slog.New(slog.NewJSONHandler(log, nil)),
	}
	running, err := listen(t.Context(), flags, clusterFlags{}, bundled.Flags{}, config, telemetry.Export{
		Endpoint: traces, Getenv: func(string) string { return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	return "http://" + running.Addr(), func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func post(t *testing.T, url, image string) {
	t.Helper()
	review, err := reviews.Pod([]string{image})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(url+"/validate", "application/json", bytes.NewReader(review))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("got status %d, want 200", answer.StatusCode)
	}
}

func get(t testing.TB, url, path string) string {
	t.Helper()
	answer, err := http.Get(url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
