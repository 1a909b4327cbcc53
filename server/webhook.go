package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/assay-dev/assay/server/admission"
)

// webhook is one of the routes that decide.
type webhook struct {
	server  *Server
	name    string // the path, and the label in metrics and log
	phase   admission.Phase
	decider Decider
	slots   chan struct{} // shared by all webhooks; full means overloaded
	memory  *memory       // shared by those of workloads, and by those of policies
}

// serve answers one request, then counts it.
func (w *webhook) serve(c echo.Context) error {
	start := time.Now()
	result, trace, err := w.answer(c, start)
	if err != nil {
		w.server.log.Warn("refused", "webhook", w.name, "remote", c.Request().RemoteAddr, "error", err)
	}
	w.server.metrics.answered(w.name, result, time.Since(start), trace)
	return err
}

// answer does what the package comment promises, in order of cost. An error is
// an *echo.HTTPError; anything decided is not an error. trace is the one of the decision.
func (w *webhook) answer(c echo.Context, start time.Time) (result outcome, trace string, _ error) {
	request := c.Request()
	if err := w.authorize(request); err != nil {
		return badRequest, "", err
	}
	timeout, err := w.timeout(request.URL)
	if err != nil {
		return badRequest, "", err
	}
	ctx, cancel := context.WithDeadline(request.Context(), start.Add(decisionTime(timeout)))
	defer cancel()
	room := &room{of: w.memory}
	defer room.leave()
	body, err := w.read(ctx, c, room)
	if err != nil {
		return w.unread(c, start, body, err)
	}
	// Not before the body is here: whoever sends it slowly would hold a slot.
	if !w.enter(ctx) {
		return w.unread(c, start, body, refuse(http.StatusServiceUnavailable, "overloaded: got more than %d reviews at once", cap(w.slots)))
	}
	defer w.exit()
	review, err := admission.Decode(body)
	if err != nil {
		return w.unread(c, start, body, err)
	}
	if more := decodedSize(review); more > 0 && !room.share(ctx, review.Namespace, more) {
		return w.unread(c, start, body, w.noRoom())
	}
	ctx, end := w.server.config.Observer.Deciding(ctx, w.askedBy(request))
	decision, result := w.decide(ctx, review)
	account := end(string(result))
	return result, account.Trace, w.respond(c, start, review, decision, result, account)
}

// enter takes a slot. It waits for one during half of the time that there is to decide: a
// burst is over then, or the rest is too little.
func (w *webhook) enter(ctx context.Context) bool {
	select {
	case w.slots <- struct{}{}:
		w.server.metrics.inFlight.Inc()
		return true
	default:
	}
	end, _ := ctx.Deadline()
	timer := time.NewTimer(time.Until(end) / 2)
	defer timer.Stop()
	select {
	case w.slots <- struct{}{}:
		w.server.metrics.inFlight.Inc()
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// exit gives it back.
func (w *webhook) exit() {
	<-w.slots
	w.server.metrics.inFlight.Dec()
}

// respond writes the answer to a review, and what is said of it.
func (w *webhook) respond(c echo.Context, start time.Time, review admission.Review, decision Decision, result outcome, account Account) error {
	decision.Verdict = decision.Bounded()
	answer, err := admission.Respond(review, w.phase, decision.Verdict)
	if err != nil {
		return refuse(http.StatusInternalServerError, "%v", err)
	}
	w.record(review, decision, result, account, time.Since(start))
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, answer)
}

// authorize asks for a verified client certificate where a client CA is set.
func (w *webhook) authorize(request *http.Request) error {
	if !w.server.config.TLS.asksClients() {
		return nil
	}
	if request.TLS == nil || len(request.TLS.VerifiedChains) == 0 {
		return refuse(http.StatusUnauthorized, "client certificate: got none, want one of the configured CA")
	}
	return nil
}

// transit is what the way here and back may have taken of the time that the API
// server allows: its clock starts before ours. Below transitMatters a decision
// needs all that there is.
const (
	transit        = 250 * time.Millisecond
	transitMatters = time.Second
)

// decisionTime is what a Decider gets of a timeout.
func decisionTime(timeout time.Duration) time.Duration {
	if timeout > transitMatters {
		return timeout - transit
	}
	return timeout
}

// timeout is the configured one or the API server's, whichever is shorter.
func (w *webhook) timeout(address *url.URL) (time.Duration, error) {
	query, err := url.ParseQuery(address.RawQuery)
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "query: got an invalid one, want timeout=DURATION")
	}
	values, asked := query["timeout"]
	if !asked {
		return w.server.config.Timeout, nil
	}
	if len(values) > 1 {
		return 0, refuse(http.StatusBadRequest, "timeout: got %d of them, want one", len(values))
	}
	timeout, err := time.ParseDuration(values[0])
	if err != nil || timeout <= 0 {
		return 0, refuse(http.StatusBadRequest, "timeout: got %.64q, want a positive duration such as 10s", values[0])
	}
	w.server.waits.saw(w.name, timeout, w.server.config.Timeout)
	return min(timeout, w.server.config.Timeout), nil
}

// decide asks the Decider. Whatever goes wrong in there is a denial.
func (w *webhook) decide(ctx context.Context, review admission.Review) (decision Decision, result outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			id := rand.Text()
			w.server.log.Error("panic while deciding", "id", id, "uid", review.UID,
				"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			decision, result = denied("internal error: the log has its cause under "+id), failed
		}
	}()
	decision, err := w.decider.Decide(ctx, review.Raw)
	switch {
	case err != nil:
		return denied("could not decide: " + err.Error()), failed
	case decision.Allowed:
		return decision, allowed
	default:
		return decision, refused
	}
}

// denied is a denial of our own.
func denied(reason string) Decision {
	return Decision{Verdict: admission.Verdict{Reasons: []string{reason}}}
}

// record writes the one line of a decision: names and verdicts, never content.
func (w *webhook) record(review admission.Review, decision Decision, result outcome, account Account, took time.Duration) {
	level := slog.LevelInfo
	if result == failed {
		level = slog.LevelError
	}
	const members = 20
	line := append(make([]slog.Attr, 0, members),
		slog.String("webhook", w.name),
		slog.String("uid", review.UID),
		slog.String("kind", review.Kind.Kind),
		slog.String("subresource", review.SubResource),
		slog.String("namespace", review.Namespace),
		slog.String("name", review.Name),
		slog.String("operation", review.Operation),
		slog.Bool("dry_run", review.DryRun),
		slog.Bool("allowed", decision.Allowed),
		slog.Int("images", decision.Images),
		slog.Any("reasons", decision.Reasons),
		slog.Any("warnings", decision.Warnings),
		slog.Duration("duration", took),
	)
	w.server.log.LogAttrs(context.Background(), level, "decided", account.attributes(line)...)
}
