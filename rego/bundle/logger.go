package bundle

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/logging"
)

// logger lets OPA's plugins write to the program's log.
type logger struct {
	to    *slog.Logger
	level *atomic.Uint32
}

func newLogger(to *slog.Logger) logger {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	level := &atomic.Uint32{}
	level.Store(uint32(logging.Info))
	return logger{to, level}
}

func (l logger) log(level slog.Level, format string, arguments []any) {
	if !l.to.Enabled(context.Background(), level) {
		return
	}
	l.to.Log(context.Background(), level, withoutQueries(fmt.Sprintf(format, arguments...)))
}

// Debug implements [logging.Logger].
func (l logger) Debug(format string, arguments ...any) { l.log(slog.LevelDebug, format, arguments) }

// Info implements [logging.Logger].
func (l logger) Info(format string, arguments ...any) { l.log(slog.LevelInfo, format, arguments) }

// Error implements [logging.Logger].
func (l logger) Error(format string, arguments ...any) { l.log(slog.LevelError, format, arguments) }

// Warn implements [logging.Logger].
func (l logger) Warn(format string, arguments ...any) { l.log(slog.LevelWarn, format, arguments) }

// WithFields implements [logging.Logger].
func (l logger) WithFields(fields map[string]any) logging.Logger {
	attributes := make([]any, 0, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		attributes = append(attributes, slog.Any(name, fields[name]))
	}
	return logger{l.to.With(attributes...), l.level}
}

// GetLevel implements [logging.Logger].
func (l logger) GetLevel() logging.Level { return logging.Level(l.level.Load()) } //nolint:gosec // what SetLevel stored

// SetLevel implements [logging.Logger].
func (l logger) SetLevel(level logging.Level) { l.level.Store(uint32(level)) }
