package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Observer is told of reviews that are decided.
type Observer interface {
	// Deciding is told before. The context is that of the decision; the function is called
	// when it is made, and gives what is known of it.
	Deciding(ctx context.Context, asked Asked) (context.Context, func(result string) Account)
}

// Asked is what a review came with.
type Asked struct {
	// Webhook is the path.
	Webhook string
	// Traceparent is that header, as who asks sent it; "" unless there is exactly one.
	Traceparent string
	// Vouched says that who asks showed a certificate of the configured CA.
	Vouched bool
}

// Account is what the log says of a decision beside the verdict: names, codes and times,
// never content. Its lists are bounded by who makes them.
type Account struct {
	// Trace is the ID of the trace of the decision, "" where there is none.
	Trace string
	// Set is the hash of the policy set that judged.
	Set string
	// Evaluations of the policies.
	Evaluations int
	// Codes are those of refusals, and Failed the policies that did not pass.
	Codes, Failed []string
	// Stages are what the decision spent its time on.
	Stages []Spent
}

// Spent is the time of a stage.
type Spent struct {
	Stage string
	Took  time.Duration
}

// unobserved is told nothing of.
type unobserved struct{}

// Deciding implements [Observer].
func (unobserved) Deciding(ctx context.Context, _ Asked) (context.Context, func(string) Account) {
	return ctx, func(string) Account { return Account{} }
}

// askedBy is what a request says of who sent it.
func (w *webhook) askedBy(request *http.Request) Asked {
	out := Asked{Webhook: w.name, Vouched: w.server.config.TLS.asksClients()} // it was authorized
	if values := request.Header.Values("Traceparent"); len(values) == 1 {
		out.Traceparent = values[0]
	}
	return out
}

// attributes adds its members to those of the log line.
func (a Account) attributes(line []slog.Attr) []slog.Attr {
	stages := make([]slog.Attr, len(a.Stages))
	for i, spent := range a.Stages {
		stages[i] = slog.Duration(spent.Stage, spent.Took)
	}
	line = append(line,
		slog.String("set", a.Set), slog.Any("codes", list(a.Codes)), slog.Any("failed", list(a.Failed)),
		slog.Int("evaluations", a.Evaluations), slog.Attr{Key: "stages", Value: slog.GroupValue(stages...)},
	)
	if a.Trace != "" {
		line = append(line, slog.String("trace", a.Trace))
	}
	return line
}

// list is never null in JSON.
func list(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}
