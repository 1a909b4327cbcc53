package telemetry

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/rego"
)

const (
	// mostSpans are in one trace: an object may have hundreds of images.
	mostSpans = 256
	// mostHost bounds a host in a span: no name in DNS is longer.
	mostHost = 255
	// mostTraceparent bounds the header; version 00 has 55 bytes.
	mostTraceparent = 128
)

// root begins the span of a decision.
func (t *Telemetry) root(ctx context.Context, d *Decision, asked Asked) context.Context {
	if t.tracer == nil {
		return ctx
	}
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("assay.webhook", asked.Webhook)),
	}
	switch caller := callerOf(asked.Traceparent); {
	case !caller.IsValid():
		options = append(options, trace.WithNewRoot())
	case asked.Vouched:
		ctx = trace.ContextWithRemoteSpanContext(ctx, caller)
	default:
		// A stranger must not choose what is sampled, nor write into the trace of another.
		options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: caller}))
	}
	ctx, span := t.tracer.Start(ctx, "decide "+asked.Webhook, options...)
	if span.IsRecording() {
		d.span, d.trace = span, span.SpanContext().TraceID().String()
	}
	return ctx
}

// callerOf is the span that a header names, one that is not valid for none. What else the
// caller says of its trace is left out.
func callerOf(traceparent string) trace.SpanContext {
	if traceparent == "" || len(traceparent) > mostTraceparent {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{"traceparent": traceparent}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}

// child begins a span below that of the context, nil where there is no trace, or where
// the trace is full.
func (d *Decision) child(ctx context.Context, of observe.Work) (context.Context, trace.Span) {
	if !d.room() {
		return ctx, nil
	}
	name, attributes := string(of.Stage), make([]attribute.KeyValue, 0, 2)
	if of.Name != "" {
		name += " " + of.Name
	}
	if of.Host != "" {
		attributes = append(attributes, attribute.String("server.address", cut(of.Host, mostHost)))
	}
	return d.telemetry.tracer.Start(ctx, name, trace.WithAttributes(attributes...))
}

// room says whether a span may be added.
func (d *Decision) room() bool {
	return d != nil && d.span != nil && d.spans.Add(1) <= mostSpans
}

// evaluated adds the span of an evaluation that is over.
func (d *Decision) evaluated(ctx context.Context, number int, pass rego.Pass) {
	if !d.room() {
		return
	}
	_, span := d.telemetry.tracer.Start(ctx, string(Evaluate), trace.WithTimestamp(pass.Began),
		trace.WithAttributes(attribute.Int("assay.evaluation", number+1)))
	span.End(trace.WithTimestamp(pass.Began.Add(pass.Took)))
}

func ended(span trace.Span, code string) {
	if code != "" {
		span.SetAttributes(attribute.String("assay.code", code))
	}
	span.End()
}

// end ends the span of a decision.
func (d *Decision) end(result string, account Account) {
	d.span.SetAttributes(
		attribute.String("assay.result", result),
		attribute.String("assay.policy_set", account.Set),
		attribute.Int("assay.evaluations", account.Evaluations),
		attribute.StringSlice("assay.codes", account.Codes),
		attribute.StringSlice("assay.failed", account.Failed),
	)
	if omitted := d.spans.Load() - mostSpans; omitted > 0 {
		d.span.SetAttributes(attribute.Int64("assay.spans_omitted", omitted))
	}
	if result == "error" {
		d.span.SetStatus(codes.Error, "no decision")
	}
	d.span.End()
}

// cut is the beginning of a text, in whole characters.
func cut(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "")
}
