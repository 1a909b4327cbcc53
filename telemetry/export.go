package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// flushing bounds how long the end of the program waits for the last spans.
const flushing = 5 * time.Second

// Export says where traces go.
type Export struct {
	// Endpoint is the URL of a collector that takes OTLP over HTTP. The environment names
	// one where it is empty: see [Wanted].
	Endpoint string
	// Version is the program's.
	Version string
	Log     *slog.Logger
	// Getenv is the environment, that of the process when nil.
	Getenv func(string) string
}

func (e Export) getenv(name string) string {
	if e.Getenv != nil {
		return e.Getenv(name)
	}
	return os.Getenv(name)
}

// wanted says whether traces go anywhere, by the variables of OpenTelemetry.
func (e Export) wanted() bool {
	if e.getenv("OTEL_SDK_DISABLED") == "true" || e.getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return cmp.Or(e.Endpoint, e.getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), e.getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) != ""
}

// options are those of the exporter, which reads the rest from the environment.
func (e Export) options() ([]otlptracehttp.Option, error) {
	protocol := cmp.Or(e.getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), e.getenv("OTEL_EXPORTER_OTLP_PROTOCOL"))
	if protocol != "" && protocol != "http/protobuf" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: got %q, want http/protobuf", protocol)
	}
	if exporter := e.getenv("OTEL_TRACES_EXPORTER"); exporter != "" && exporter != "otlp" {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER: got %q, want otlp or none", exporter)
	}
	if e.Endpoint == "" {
		return nil, nil
	}
	at, err := url.Parse(e.Endpoint)
	switch {
	case err != nil:
		return nil, fmt.Errorf("endpoint of traces: got %.200q, want a URL", e.Endpoint)
	case at.Scheme != "http" && at.Scheme != "https" || at.Host == "":
		return nil, fmt.Errorf("endpoint of traces: got %.200q, want http://HOST or https://HOST", e.Endpoint)
	case at.User != nil || at.RawQuery != "" || at.Fragment != "":
		return nil, fmt.Errorf("endpoint of traces: got a URL with more than a host and a path; headers with credentials go into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return []otlptracehttp.Option{otlptracehttp.WithEndpointURL(at.JoinPath("v1", "traces").String())}, nil
}

// Trace begins to export traces, unless nobody named a collector. It is to be called before
// the first decision. The function ends it; it waits for what is under way, and not long.
func (t *Telemetry) Trace(ctx context.Context, e Export) (end func(), err error) {
	if !e.wanted() {
		return func() {}, nil
	}
	options, err := e.options()
	if err != nil {
		return nil, err
	}
	to, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("exporter of traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "assay"), attribute.String("service.version", e.Version)),
		resource.WithFromEnv()) // the last one has its way
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&counted{SpanExporter: to, spans: t.spans, log: e.Log}), sdk.WithResource(about))
	t.tracer = provider.Tracer("github.com/assay-dev/assay")
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushing)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			e.Log.Warn("traces: not all were sent", "error", err)
		}
	}, nil
}

// counted counts what is exported. A collector that is down is said once: the library
// would print to standard error, where our log is.
type counted struct {
	sdk.SpanExporter
	spans *prometheus.CounterVec
	log   *slog.Logger
	down  atomic.Bool
}

// ExportSpans implements [sdk.SpanExporter].
func (c *counted) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		c.spans.WithLabelValues("failure").Add(float64(len(spans)))
		if !c.down.Swap(true) {
			c.log.Warn("traces: cannot be sent", "error", err)
		}
		return nil
	}
	c.spans.WithLabelValues("success").Add(float64(len(spans)))
	if c.down.Swap(false) {
		c.log.Info("traces: are sent again")
	}
	return nil
}
