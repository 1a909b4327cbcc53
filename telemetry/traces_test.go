package telemetry

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/assay-dev/assay/builtins/observe"
)

// traces is a collector that takes OTLP over HTTP.
type traces struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*otlp.Span
	about []string // attributes of resources
}

func collect(t testing.TB) *traces {
	t.Helper()
	out := &traces{}
	out.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		out.mu.Lock()
		defer out.mu.Unlock()
		for _, of := range request.GetResourceSpans() {
			for _, attribute := range of.GetResource().GetAttributes() {
				out.about = append(out.about, attribute.GetKey()+"="+attribute.GetValue().GetStringValue())
			}
			for _, scope := range of.GetScopeSpans() {
				out.spans = append(out.spans, scope.GetSpans()...)
			}
		}
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(out.Close)
	return out
}

// tree are the names of spans below those of their parents, in the order of their beginning.
func (c *traces) tree(parent []byte) (out []string) {
	c.mu.Lock()
	spans := slices.Clone(c.spans)
	c.mu.Unlock()
	slices.SortStableFunc(spans, func(a, b *otlp.Span) int { return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano()) })
	for _, span := range spans {
		if bytes.Equal(span.GetParentSpanId(), parent) {
			out = append(out, span.GetName())
			for _, below := range c.tree(span.GetSpanId()) {
				out = append(out, "  "+below)
			}
		}
	}
	return out
}

func nothing(string) string { return "" }

// traced is a Telemetry that exports to the collector.
func traced(t testing.TB, to string) (*Telemetry, *prometheus.Registry, func()) {
	t.Helper()
	seen, registry := whole(t)
	end, err := seen.Trace(t.Context(), Export{Endpoint: to, Version: "v1", Log: slog.New(slog.DiscardHandler), Getenv: nothing})
	if err != nil {
		t.Fatal(err)
	}
	return seen, registry, end
}

// TestATrace has a span of the decision and, below it, one for each evaluation and fact;
// below a fact what it took.
func TestATrace(t *testing.T) {
	t.Parallel()
	to := collect(t)
	seen, registry, end := traced(t, to.URL)
	set := setOfPolicies(t, "a")
	ctx, decided := seen.Deciding(t.Context(), Asked{Webhook: "validate"})
	decision := made(set, "a", "enforce", "failed", "no_signatures")
	decision.Passes[0].Began = time.Now()
	fact, answered := seen.Begin(ctx, observe.Work{Stage: observe.Fact, Name: "cosign.verify", Host: strings.Repeat("h", 300)})
	_, asked := seen.Begin(fact, observe.Work{Stage: observe.Registry, Name: "signatures"})
	asked("timeout")
	answered("timeout")
	decision.Passes[1].Began = time.Now()
	seen.Decided(ctx, decision)
	trace, span := Traced(ctx)
	account := decided("denied")
	end()
	if trace != account.Trace || len(span) != 16 {
		t.Errorf("got trace %q and span %q for logs, want %q and one of 16 digits", trace, span, account.Trace)
	}
	if trace, span := Traced(t.Context()); trace != "" || span != "" {
		t.Errorf("got trace %q and span %q of no decision, want none", trace, span)
	}

	if diff := cmp.Diff([]string{
		"decide validate", "  evaluate", "  fact cosign.verify", "    registry signatures", "  evaluate",
	}, to.tree(nil)); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	wantMetrics(t, registry, `assay_spans_exported_total{result="success"} 5`)
	for _, want := range []string{"service.name=assay", "service.version=v1"} {
		if !slices.Contains(to.about, want) {
			t.Errorf("got resource %q, want %s", to.about, want)
		}
	}
	for _, span := range to.spans {
		if got := span.GetTraceId(); account.Trace == "" || account.Trace != hex.EncodeToString(got) {
			t.Errorf("got trace %x, want that of the account, %q", got, account.Trace)
		}
		for _, attribute := range span.GetAttributes() {
			if text := attribute.GetValue().GetStringValue(); len(text) > mostHost {
				t.Errorf("%s: got %d bytes of %s, want at most %d", span.GetName(), len(text), attribute.GetKey(), mostHost)
			}
		}
	}
	exemplars(t, registry, account.Trace)
}

// exemplars wants stages to name the trace.
func exemplars(t *testing.T, registry prometheus.Gatherer, trace string) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, bucket := range metric.GetHistogram().GetBucket() {
				for _, label := range bucket.GetExemplar().GetLabel() {
					if label.GetName() == "trace_id" && label.GetValue() == trace {
						found++
					}
				}
			}
		}
	}
	if found == 0 {
		t.Errorf("got no exemplar with trace %s", trace)
	}
}

// TestACallersTrace goes on only with who showed who it is; that of a stranger, who could
// choose what is sampled, is linked to.
func TestACallersTrace(t *testing.T) {
	t.Parallel()
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	const parent = "00-" + id + "-" + span + "-01"
	for name, tt := range map[string]struct {
		asked        Asked
		same, linked bool
		none         bool // not exported
	}{
		"vouched for":                          {asked: Asked{Traceparent: parent, Vouched: true}, same: true},
		"a stranger":                           {asked: Asked{Traceparent: parent}, linked: true},
		"vouched for, and not sampled":         {asked: Asked{Traceparent: strings.TrimSuffix(parent, "1") + "0", Vouched: true}, none: true},
		"a stranger that does not want traces": {asked: Asked{Traceparent: strings.TrimSuffix(parent, "1") + "0"}, linked: true},
		"no header":                            {asked: Asked{Vouched: true}},
		"no hexadecimal":                       {asked: Asked{Traceparent: strings.ReplaceAll(parent, "f", "x"), Vouched: true}},
		"a trace of zeros":                     {asked: Asked{Traceparent: "00-" + strings.Repeat("0", 32) + "-" + span + "-01", Vouched: true}},
		"more than there can be":               {asked: Asked{Traceparent: parent + strings.Repeat("-00", 1000), Vouched: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := collect(t)
			seen, _, end := traced(t, to.URL)
			_, decided := seen.Deciding(t.Context(), tt.asked)
			account := decided("allowed")
			end()
			if tt.none {
				if account.Trace != "" || len(to.spans) > 0 {
					t.Errorf("got trace %q and %d spans, want none", account.Trace, len(to.spans))
				}
				return
			}
			if len(to.spans) != 1 {
				t.Fatalf("got %d spans, want one", len(to.spans))
			}
			if got := account.Trace == id; got != tt.same {
				t.Errorf("got trace %s, want the caller's: %t", account.Trace, tt.same)
			}
			links := to.spans[0].GetLinks()
			if got := len(links) == 1 && hex.EncodeToString(links[0].GetTraceId()) == id && hex.EncodeToString(links[0].GetSpanId()) == span; got != tt.linked {
				t.Errorf("got links %v, want one to the caller: %t", links, tt.linked)
			}
		})
	}
}

// TestTracesAreBounded: what is beyond is counted.
func TestTracesAreBounded(t *testing.T) {
	t.Parallel()
	to := collect(t)
	seen, _, end := traced(t, to.URL)
	ctx, decided := seen.Deciding(t.Context(), Asked{Webhook: "validate"})
	for range mostSpans + 7 {
		_, done := seen.Begin(ctx, observe.Work{Stage: observe.Verify})
		done("")
	}
	decided("allowed")
	end()
	omitted := int64(0)
	for _, span := range to.spans {
		for _, attribute := range span.GetAttributes() {
			if attribute.GetKey() == "assay.spans_omitted" {
				omitted = attribute.GetValue().GetIntValue()
			}
		}
	}
	if len(to.spans) != mostSpans+1 || omitted != 7 {
		t.Errorf("got %d spans and %d omitted, want %d and 7", len(to.spans), omitted, mostSpans+1)
	}
}

// TestACollectorThatIsDown costs no decision anything, is counted, and logged once.
func TestACollectorThatIsDown(t *testing.T) {
	t.Parallel()
	to := httptest.NewServer(http.NotFoundHandler()) // 404 is not tried again
	defer to.Close()
	var log bytes.Buffer
	seen, registry := whole(t)
	end, err := seen.Trace(t.Context(), Export{Endpoint: to.URL, Log: slog.New(slog.NewTextHandler(&log, nil)), Getenv: nothing})
	if err != nil {
		t.Fatal(err)
	}
	for range 600 { // more than one batch
		_, decided := seen.Deciding(t.Context(), Asked{Webhook: "validate"})
		decided("allowed")
	}
	end()
	wantMetrics(t, registry, `assay_spans_exported_total{result="success"} 0
		assay_spans_exported_total{result="failure"} 600`)
	if got := strings.Count(log.String(), "cannot be sent"); got != 1 {
		t.Errorf("got %d lines, want one: %s", got, log.String())
	}
}

// TestExportIsOffUnlessACollectorIsNamed, and what cannot be obeyed is refused.
func TestExportIsOffUnlessACollectorIsNamed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		endpoint string
		env      map[string]string
		on       bool
		want     string
	}{
		"nothing":                   {},
		"the flag":                  {endpoint: "http://127.0.0.1:1", on: true},
		"the flag, with a path":     {endpoint: "https://collector.example/otlp", on: true},
		"the variable":              {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, on: true},
		"the variable of traces":    {env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, on: true},
		"switched off":              {endpoint: "http://127.0.0.1:1", env: map[string]string{"OTEL_SDK_DISABLED": "true"}},
		"no exporter":               {endpoint: "http://127.0.0.1:1", env: map[string]string{"OTEL_TRACES_EXPORTER": "none"}},
		"another exporter":          {endpoint: "http://127.0.0.1:1", env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, want: `got "zipkin", want otlp or none`},
		"gRPC":                      {endpoint: "http://127.0.0.1:1", env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, want: `got "grpc", want http/protobuf`},
		"no URL":                    {endpoint: "http://[", want: "want a URL"},
		"no scheme":                 {endpoint: "collector:4318", want: "want http://HOST or https://HOST"},
		"a URL with credentials":    {endpoint: "https://jane:hush@collector.example", want: "OTEL_EXPORTER_OTLP_HEADERS"},
		"a URL with a query string": {endpoint: "https://collector.example?token=hush", want: "OTEL_EXPORTER_OTLP_HEADERS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := New(prometheus.NewRegistry())
			end, err := seen.Trace(t.Context(), Export{
				Endpoint: tt.endpoint, Log: slog.New(slog.DiscardHandler), Getenv: func(name string) string { return tt.env[name] },
			})
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hush") {
					t.Errorf("got %v, want it refused with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			end()
			if got := seen.tracer != nil; got != tt.on {
				t.Errorf("got it on: %t, want %t", got, tt.on)
			}
		})
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more")
	f.Fuzz(func(t *testing.T, header string) {
		caller := callerOf(header)
		if caller.IsValid() && (!strings.Contains(header, caller.TraceID().String()) || caller.TraceState().Len() > 0) {
			t.Errorf("got %v of %q", caller, header)
		}
		if _, end := (&Telemetry{}).Deciding(context.Background(), Asked{Traceparent: header}); end("allowed").Trace != "" {
			t.Error("got a trace, and none is wanted")
		}
	})
}
