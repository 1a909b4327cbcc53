// Package opalog lets OPA's plugins write to the log of the program, without what stands in URLs.
package opalog

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/logging"
	opabundle "github.com/open-policy-agent/opa/v1/plugins/bundle"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"

	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/news"
	"github.com/assay-dev/assay/rego/bundle/redact"
)

// Logger lets OPA's plugins write to the program's log.
type Logger struct {
	to    *slog.Logger
	level *atomic.Uint32
	said  *news.Causes
	of    string // the bundle, "" where it is about none
}

// New makes a logger that writes to that one, to nobody where it is nil.
func New(to *slog.Logger) Logger {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	level := &atomic.Uint32{}
	level.Store(uint32(logging.Info))
	return Logger{to, level, &news.Causes{}, ""}
}

func (l Logger) log(level slog.Level, format string, arguments []any) {
	if !l.to.Enabled(context.Background(), level) {
		return
	}
	l.to.Log(context.Background(), level, redact.Text(fmt.Sprintf(format, arguments...)))
}

// Debug implements [logging.Logger].
func (l Logger) Debug(format string, arguments ...any) { l.log(slog.LevelDebug, format, arguments) }

// Info implements [logging.Logger].
func (l Logger) Info(format string, arguments ...any) { l.log(slog.LevelInfo, format, arguments) }

// Error implements [logging.Logger]. What is wrong with a bundle is said once, until that is another
// thing or is over.
func (l Logger) Error(format string, arguments ...any) {
	if l.of == "" || l.said.New(l.of, fmt.Sprintf(format, arguments...)) {
		l.log(slog.LevelError, format, arguments)
	}
}

// Works is told of a bundle that is as its source has it.
func (l Logger) Works(of string) {
	if l.said.Over(of) {
		l.to.Info("bundle works again", "name", of)
	}
}

// Warn implements [logging.Logger].
func (l Logger) Warn(format string, arguments ...any) { l.log(slog.LevelWarn, format, arguments) }

// WithFields implements [logging.Logger].
func (l Logger) WithFields(fields map[string]any) logging.Logger {
	fields = redact.Fields(fields)
	attributes := make([]any, 0, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		attributes = append(attributes, slog.Any(name, fields[name]))
	}
	next := Logger{l.to.With(attributes...), l.level, l.said, l.of}
	switch name, _ := fields["name"].(string); fields["plugin"] {
	case opabundle.Name:
		next.of = name
	case discovery.Name:
		next.of = configured.DiscoveryName
	}
	return next
}

// GetLevel implements [logging.Logger].
func (l Logger) GetLevel() logging.Level { return logging.Level(l.level.Load()) } //nolint:gosec // what SetLevel stored

// SetLevel implements [logging.Logger].
func (l Logger) SetLevel(level logging.Level) { l.level.Store(uint32(level)) }
