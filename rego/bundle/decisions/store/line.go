package store

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// handler takes entries of the decision log as OPA gives them to a plugin, and makes a
// line of JSON of each: the members are those that OPA uploads.
type handler struct {
	buffer *buffer
	attrs  []slog.Attr
}

var _ slog.Handler = handler{}

// Enabled implements [slog.Handler].
func (handler) Enabled(context.Context, slog.Level) bool { return true }

// WithGroup implements [slog.Handler]. The members of an entry are in no group.
func (h handler) WithGroup(string) slog.Handler { return h }

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.buffer, append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	var line bytes.Buffer
	writer := slog.NewJSONHandler(&line, &slog.HandlerOptions{ReplaceAttr: members}).WithAttrs(h.attrs)
	if err := writer.Handle(ctx, record); err != nil {
		h.buffer.options.Observe(outcome.Store, outcome.Failed, 1)
		return err
	}
	h.buffer.add(line.Bytes())
	return nil
}

// members leaves out what is no member of an entry.
func members(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return attr
	}
	switch attr.Key {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, "type":
		return slog.Attr{}
	}
	return attr
}
