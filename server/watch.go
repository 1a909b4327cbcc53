package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long to wait after a change, for the other files of a set.
	settle = 100 * time.Millisecond
	// poll is how often to look without being told: inotify may be exhausted on a
	// node, and does not see through every mount.
	poll = time.Minute
)

// Watch tells when files in directories may have changed. Directories are
// watched, not files: the kubelet changes a mounted Secret or ConfigMap by
// swapping the symbolic link "..data" beside them.
type Watch struct {
	log     *slog.Logger
	watcher *fsnotify.Watcher // nil where watching is not possible
}

// NewWatch starts to watch. Changes from now on are told by [Watch.Run].
func NewWatch(log *slog.Logger, directories []string) *Watch {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("files not watched, polling", "error", err, "every", poll)
		return &Watch{log: log}
	}
	for _, directory := range directories {
		if err := watcher.Add(directory); err != nil {
			log.Warn("directory not watched, polling", "directory", directory, "error", err, "every", poll)
		}
	}
	return &Watch{log: log, watcher: watcher}
}

// Run calls changed after each change and at each poll, until ctx ends. What
// was changed, if anything, is for changed to find out.
func (w *Watch) Run(ctx context.Context, changed func()) {
	var events <-chan fsnotify.Event
	var errs <-chan error
	if w.watcher != nil {
		defer w.watcher.Close()
		events, errs = w.watcher.Events, w.watcher.Errors
	}
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			// Not pushed back by further events: a busy directory must not starve it.
			if settled == nil {
				settled = time.After(settle)
			}
		case err := <-errs:
			w.log.Warn("watching files", "error", err)
		case <-settled:
			settled = nil
			changed()
		case <-ticker.C:
			changed()
		}
	}
}
