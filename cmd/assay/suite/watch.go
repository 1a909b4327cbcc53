package suite

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assay-dev/assay/server"
)

// keepRunning runs the tests again whenever a file changed, until ctx ends. What is
// wrong with them ends nothing: it is what their author is about to mend.
func (s *settings) keepRunning(ctx context.Context) int {
	log := slog.New(slog.NewTextHandler(s.errors, nil))
	for ctx.Err() == nil {
		// Before the run: a change during the run is one.
		dirs := s.directories()
		before := fingerprint(dirs)
		watching, seen := context.WithCancel(ctx)
		watch := server.NewWatch(log, dirs)
		s.once(ctx)
		fmt.Fprintln(s.output, strings.Repeat("*", 80))
		fmt.Fprintln(s.output, "Watching for changes ...")
		watch.Run(watching, func() {
			if fingerprint(s.directories()) != before {
				seen()
			}
		})
		seen()
	}
	return exitPassed
}

// directories are all below the paths, and those of files among the paths.
func (s *settings) directories() []string {
	var out []string
	for _, path := range s.paths {
		// What cannot be read is reported by the run.
		_ = filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
			case entry.IsDir():
				out = append(out, path)
			}
			return nil
		})
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			out = append(out, filepath.Dir(path))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// fingerprint changes with the files in directories: the watch tells of more than
// that.
func fingerprint(dirs []string) string {
	var out strings.Builder
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		fmt.Fprintln(&out, dir) // a new one has to be watched, too
		for _, entry := range entries {
			if info, err := entry.Info(); err == nil && !info.IsDir() {
				fmt.Fprintf(&out, "%s/%s %d %d\n", dir, entry.Name(), info.Size(), info.ModTime().UnixNano())
			}
		}
	}
	return out.String()
}
