package decisions

import (
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/logging"

	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// What OPA's plugin says of an entry that it keeps to itself, and tells in no other way
// (v1/plugins/logs/plugin.go, Log). TestMaskingAndDropping fails where these change.
const (
	saysDropFailed = "Log drop decision failed: %v."
	saysMaskFailed = "Log event masking failed: %v."
	saysLeftOut    = "Decision log event to path %v dropped"
)

// Ear is a logger for OPA's manager that hears what becomes of an entry.
type Ear struct {
	logging.Logger
	latest *atomic.Value // of outcome.Result
}

var _ logging.Logger = (*Ear)(nil)

// Listen is a logger that listens and logs to another.
func Listen(to logging.Logger) *Ear { return &Ear{to, &atomic.Value{}} }

// WithFields implements [logging.Logger].
func (e *Ear) WithFields(fields map[string]any) logging.Logger {
	return &Ear{e.Logger.WithFields(fields), e.latest}
}

// Error implements [logging.Logger].
func (e *Ear) Error(format string, a ...any) {
	if format == saysDropFailed || format == saysMaskFailed {
		e.latest.Store(outcome.Masking)
	}
	e.Logger.Error(format, a...)
}

// Debug implements [logging.Logger].
func (e *Ear) Debug(format string, a ...any) {
	if format == saysLeftOut {
		e.latest.Store(outcome.LeftOut)
	}
	e.Logger.Debug(format, a...)
}

func (e *Ear) forget() {
	if e != nil {
		e.latest.Store(outcome.Result(""))
	}
}

// heard is what the latest entry came to, "" where nothing was said of it.
func (e *Ear) heard() outcome.Result {
	if e == nil {
		return ""
	}
	heard, _ := e.latest.Load().(outcome.Result)
	return heard
}
