// Package telemetry makes metrics and traces of what the rooms that decide say of their
// work: the engine of its evaluations, the builtins of what they fetch and verify. Both
// come from one place: a [Telemetry] is the observer of the builtins, and is told of every
// decision.
//
// Every series is from a closed set. The only names in labels are those of policies and
// trust roots, which whoever installs them chooses, and those are bounded. A span has the
// host of a registry besides, which a stranger may choose; it has no image, no namespace,
// no message and no credential. Nothing here waits for anybody, and nothing here can
// change a decision.
package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/rego"
)

// Evaluate is the stage of an evaluation of the policies; the others are the builtins'.
const Evaluate observe.Stage = "evaluate"

// stages are all of them, in the order in which a decision comes to them.
func stages() []observe.Stage {
	return []observe.Stage{Evaluate, observe.Fact, observe.Credentials, observe.Registry, observe.Trust, observe.Verify}
}

// indexOf is the place of a stage among all, -1 for none.
func indexOf(stage observe.Stage) int {
	switch stage {
	case Evaluate:
		return 0
	case observe.Fact:
		return 1
	case observe.Credentials:
		return 2
	case observe.Registry:
		return 3
	case observe.Trust:
		return 4
	case observe.Verify:
		return 5
	}
	return -1
}

const mostStages = 6

// Codes are all that a refusal can have: the closed list of the builtins, and
// static_policy, with which a policy itself says no.
func Codes() []string {
	return []string{
		"not_found", "unauthorized", "rate_limited", "timeout", "unreachable", "forbidden_host", "malformed",
		"digest_mismatch", "no_signatures", "identity_mismatch", "untrusted_root", "expired", "tlog", "timestamp",
		"unsupported", "too_large", "not_compliant", "unresolved", "static_policy",
	}
}

// Telemetry takes in what is told of decisions. It is safe for concurrent use.
type Telemetry struct {
	tracer   trace.Tracer // nil while no traces are wanted
	took     [mostStages]prometheus.Observer
	requests coded
	refusals coded
	policies *policies
	set      served
	spans    *prometheus.CounterVec
	registry prometheus.Registerer
}

var _ observe.Observer = (*Telemetry)(nil)

// New makes one whose metrics are registered, each once.
func New(registry prometheus.Registerer) *Telemetry {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "assay_stage_duration_seconds",
		Help: "Time of one piece of work of a decision, by its kind.",
		// From a warm evaluation to the longest timeout of a webhook.
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"stage"})
	t := &Telemetry{
		registry: registry,
		requests: newCoded("assay_registry_requests_total", "Answers of registries to single HTTP requests, by code; those for tokens are among them.", "ok"),
		refusals: newCoded("assay_refusals_total", "Refusals of authorities, of policies inside policies and of policies in Rego, by code."),
		policies: newPolicies(),
		spans: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assay_spans_exported_total", Help: "Spans that were sent to the collector of traces.",
		}, []string{"result"}),
	}
	for i, stage := range stages() {
		t.took[i] = took.WithLabelValues(string(stage))
	}
	t.spans.WithLabelValues("success")
	t.spans.WithLabelValues("failure")
	registry.MustRegister(took, t.requests.vec, t.refusals.vec, t.policies.vec, t.spans, &t.set)
	return t
}

// Serves says which set serves from now on.
func (t *Telemetry) Serves(set *rego.Set) {
	t.policies.serve(set)
	t.set.now.Store(&setOf{hash: set.Hash(), at: time.Now()})
}

// Heard counts an answer of a registry to one request, by its code, the empty one for what
// is no refusal.
func (t *Telemetry) Heard(code string) {
	if code == "" {
		code = "ok"
	}
	t.requests.count(code)
}

// Begin implements [observe.Observer].
func (t *Telemetry) Begin(ctx context.Context, of observe.Work) (context.Context, observe.End) {
	began, d := time.Now(), decisionOf(ctx)
	ctx, span := d.child(ctx, of)
	return ctx, func(code string) {
		took := time.Since(began)
		d.spend(of.Stage, took)
		t.observe(of.Stage, took, d.traceID())
		if span != nil {
			ended(span, code)
		}
	}
}

// observe notes what a piece of work took, with the trace that it is part of.
func (t *Telemetry) observe(stage observe.Stage, took time.Duration, traceID string) {
	i := indexOf(stage)
	if i < 0 {
		return
	}
	if with, ok := t.took[i].(prometheus.ExemplarObserver); ok && traceID != "" {
		with.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": traceID})
		return
	}
	t.took[i].Observe(took.Seconds())
}

// Decided takes in a decision of the engine, made in ctx.
func (t *Telemetry) Decided(ctx context.Context, made rego.Made) {
	d := decisionOf(ctx)
	for i, pass := range made.Passes {
		d.pass(ctx, i, pass)
		t.observe(Evaluate, pass.Took, d.traceID())
	}
	d.served(made.Set.Hash(), len(made.Passes))
	if made.Err != nil || made.Mutation {
		return
	}
	for _, image := range made.Decision.Images {
		for _, p := range image.Policies {
			t.policies.count(p.Name, p.Mode, p.Outcome)
			d.outcome(p.Name, p.Outcome)
			for _, authority := range p.Authorities {
				t.refused(d, authority.Error)
			}
			if p.Inside != nil {
				t.refused(d, p.Inside.Error)
			}
		}
	}
	for _, p := range made.Decision.Rego {
		t.policies.count(p.Name, p.Mode, p.Outcome)
		d.outcome(p.Name, p.Outcome)
		t.refused(d, p.Error)
	}
}

func (t *Telemetry) refused(d *Decision, err *rego.Error) {
	if err != nil {
		d.refused(t.refusals.count(err.Code))
	}
}
