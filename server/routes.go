package server

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"github.com/assay-dev/assay/server/admission"
)

// routes builds the handler. No middleware: what applies to the webhooks is
// written in webhook.go, in the order in which it happens.
func (s *Server) routes() http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = answerError
	e.Use(s.giveBack)
	slots := make(chan struct{}, s.config.MaxInFlight)
	reviews, policies := newMemory(memoryOfReviews), newMemory(memoryOfPolicies)
	for _, w := range []webhook{
		{name: "validate", phase: admission.Validation, decider: s.config.Validate, memory: reviews},
		{name: "mutate", phase: admission.Mutation, decider: s.config.Mutate, memory: reviews},
		{name: "policies/validate", phase: admission.Validation, decider: s.config.PolicyValidate, memory: policies},
		{name: "policies/default", phase: admission.Mutation, decider: s.config.PolicyDefault, memory: policies},
	} {
		if w.decider != nil {
			w.server, w.slots = s, slots
			s.metrics.serves(w.name)
			e.POST("/"+w.name, w.serve)
		}
	}
	s.mount(e)
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", s.readyz)
	e.GET("/metrics", echo.WrapHandler(s.metrics.handler()))
	return e
}

// giveBack closes connections with their next answer while draining. The API server keeps
// them, each in HTTP/1.1, and sends no POST again: a review that it writes on one which is
// closed at that moment fails.
func (s *Server) giveBack(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.draining.Load() {
			c.Response().Header().Set(echo.HeaderConnection, "close")
		}
		return next(c)
	}
}

// answerError answers errors: to who posts, which is the API server, as a Status, and to
// people as text.
func answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	status, message := http.StatusInternalServerError, "internal error"
	var httpError *echo.HTTPError
	if errors.As(err, &httpError) {
		status, message = httpError.Code, fmt.Sprint(httpError.Message)
	}
	// What cannot be written has nobody left to read it.
	if c.Request().Method != http.MethodPost {
		_ = c.String(status, message+"\n")
		return
	}
	failure, err := admission.Failure(status, message)
	if err != nil {
		_ = c.NoContent(status)
		return
	}
	_ = c.Blob(status, echo.MIMEApplicationJSON, failure)
}

// readyz says whether reviews should be sent here. Causes may name files, hosts
// and policies: they are for those who ask for them.
func (s *Server) readyz(c echo.Context) error {
	_, verbose := c.QueryParams()["verbose"]
	status, text := http.StatusOK, new(strings.Builder)
	for _, check := range s.checks() {
		switch {
		case check.Err == nil && verbose && check.Note != "":
			fmt.Fprintf(text, "[+] %s: ok, but %s\n", check.Name, line(check.Note))
		case check.Err == nil && verbose:
			fmt.Fprintf(text, "[+] %s: ok\n", check.Name)
		case check.Err != nil && verbose:
			fmt.Fprintf(text, "[-] %s: %s\n", check.Name, line(check.Err.Error()))
		case check.Err != nil:
			fmt.Fprintf(text, "[-] %s\n", check.Name)
		}
		if check.Err != nil {
			status = http.StatusServiceUnavailable
		}
	}
	if status == http.StatusOK {
		text.WriteString("ready\n")
	} else {
		text.WriteString("not ready\n")
	}
	return c.String(status, text.String())
}

// line is a cause on one line, so that a check is one, whatever strangers wrote: lines are joined,
// and what is not printed, or moves what is, is escaped.
func line(text string) string {
	out := new(strings.Builder)
	for one := range strings.Lines(strings.ToValidUTF8(text, "\uFFFD")) {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		switch {
		case out.Len() == 0:
		case strings.HasSuffix(out.String(), ":"):
			out.WriteByte(' ')
		default:
			out.WriteString("; ")
		}
		for _, r := range one {
			if unicode.IsPrint(r) {
				out.WriteRune(r)
			} else {
				out.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			}
		}
	}
	return out.String()
}

// checks are the caller's and our own.
func (s *Server) checks() []Check {
	var draining error
	if s.draining.Load() {
		draining = errors.New("got the signal to stop")
	}
	checks := []Check{{Name: "serving", Err: draining}}
	if s.certificates != nil {
		checks = append(checks, Check{Name: "certificate", Err: s.certificates.valid(time.Now())}, s.clients())
	}
	return append(append(checks, s.waits.check()), s.config.Ready()...)
}
