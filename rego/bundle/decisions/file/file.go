// Package file is OPA's own plugin for logs in files, file_logger, with what it lacks:
// its settings are read strictly, a file that cannot be written is refused, and entries
// that could not be written are counted and said.
//
// OPA asks the plugin for its handler once and keeps it. Here that is one that asks
// each time, so that a file which is configured anew is written to at once.
package file

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/open-policy-agent/opa/v1/logging"
	"github.com/open-policy-agent/opa/v1/plugins"
	opa "github.com/open-policy-agent/opa/v1/plugins/logger/file"

	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/bundle/decisions/settings"
)

// Name is the plugin in a config file.
const Name = opa.Name

// Factory makes the plugin.
type Factory struct {
	opa     opa.Factory
	observe outcome.Observe
}

var _ plugins.Factory = (*Factory)(nil)

// New is a factory of plugins that tell observe of each entry.
func New(observe outcome.Observe) *Factory { return &Factory{observe: observe} }

// Validate implements [plugins.Factory].
func (f *Factory) Validate(m *plugins.Manager, config []byte) (any, error) {
	var (
		path, level        string
		size, age, backups int64
		compress           bool
	)
	const most = 1 << 20
	if err := settings.Read(Name, config, settings.Fields{
		"path": settings.Text(&path), "level": settings.OneOf(&level, "debug", "info", "warn", "error"), "compress": settings.Flag(&compress),
		"max_size_mb": settings.Number(&size, 1, most), "max_age_days": settings.Number(&age, 1, most), "max_backups": settings.Number(&backups, 1, most),
	}); err != nil {
		return nil, err
	}
	if path == "" {
		return nil, errors.New("plugins." + Name + ".path: got none, want the file to write to")
	}
	if level == "warn" || level == "error" {
		return nil, errors.New("plugins." + Name + ".level: got " + level + ", want debug or info: decisions are logged at info")
	}
	if err := opens(path); err != nil {
		return nil, errors.New("plugins." + Name + ".path: " + err.Error() + ": want a file that can be written")
	}
	return f.opa.Validate(m, config)
}

// opens opens a file as OPA's plugin will, which does so with the first entry: by then nobody looks.
// A pipe that nobody reads would be waited for, for ever.
func opens(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as OPA's plugin does
		return err
	}
	opened, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o600) //nolint:gosec // the path of a configuration
	if err != nil {
		return err
	}
	return opened.Close()
}

// New implements [plugins.Factory].
func (f *Factory) New(m *plugins.Manager, config any) plugins.Plugin {
	return &Plugin{
		Plugin: f.opa.New(m, config), observe: f.observe, log: m.Logger().WithFields(map[string]any{"plugin": Name}),
	}
}

// Plugin is OPA's plugin, counted.
type Plugin struct {
	plugins.Plugin
	observe outcome.Observe
	log     logging.Logger
	failing atomic.Bool
}

// noted counts an entry, and says once that the file fails, and once that it works again.
func (p *Plugin) noted(err error) {
	if err != nil {
		p.observe(outcome.File, outcome.Failed, 1)
		if p.failing.CompareAndSwap(false, true) {
			p.log.Error("The file does not take decision logs: %v.", err)
		}
		return
	}
	p.observe(outcome.File, outcome.Delivered, 1)
	if p.failing.CompareAndSwap(true, false) {
		p.log.Info("The file takes decision logs again.")
	}
}

var _ plugins.LoggerPlugin = (*Plugin)(nil)

// Logger implements [plugins.LoggerPlugin].
func (p *Plugin) Logger() slog.Handler { return handler{p, nil} }

// handler writes records with whatever handler the plugin has by then.
type handler struct {
	plugin *Plugin
	as     func(slog.Handler) slog.Handler // with attributes or a group, nil without
}

func (h handler) now() slog.Handler {
	own, ok := h.plugin.Plugin.(plugins.LoggerPlugin)
	if !ok {
		return nil
	}
	out := own.Logger()
	if out != nil && h.as != nil {
		out = h.as(out)
	}
	return out
}

// Enabled implements [slog.Handler]. A plugin that is stopped is told, and counts.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	own := h.now()
	return own == nil || own.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	err := errors.New("file_logger: got an entry, want none: it is stopped")
	if own := h.now(); own != nil {
		err = own.Handle(ctx, record)
	}
	h.plugin.noted(err)
	return err
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(own slog.Handler) slog.Handler { return own.WithAttrs(attrs) })
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler {
	return h.with(func(own slog.Handler) slog.Handler { return own.WithGroup(name) })
}

func (h handler) with(next func(slog.Handler) slog.Handler) slog.Handler {
	before := h.as
	return handler{h.plugin, func(own slog.Handler) slog.Handler {
		if before != nil {
			own = before(own)
		}
		return next(own)
	}}
}
