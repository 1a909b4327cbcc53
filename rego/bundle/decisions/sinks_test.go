package decisions_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/plugins/logs"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/bundle/decisions/store"
)

// directory is a store in a directory.
type directory string

func (d directory) Put(_ context.Context, name string, data []byte) error {
	path := filepath.Join(string(d), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

func openDirectory(url string) (store.Store, error) {
	dir, ok := strings.CutPrefix(url, "file://")
	if !ok {
		return nil, errors.New("got what is no directory")
	}
	return directory(dir), nil
}

const labels = "labels: {cluster: north, replica: assay-0}\n"

// lines are those of all files below a directory whose names end so.
func lines(t *testing.T, dir, ext string) (out [][]byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ext) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".gz") {
			zip, err := gzip.NewReader(bytes.NewReader(text))
			if err != nil {
				return err
			}
			if text, err = io.ReadAll(zip); err != nil {
				return err
			}
		}
		for line := range bytes.Lines(text) {
			out = append(out, line)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEverySinkHasTheSameEntry writes two decisions to each, and compares the members.
func TestEverySinkHasTheSameEntry(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	made := []rego.Made{e.decide(t, "app"), e.decide(t, "bare")}
	uploaded, _ := one(t, setup{}, made[0])
	want := members(t, uploaded)

	t.Run("console", func(t *testing.T) {
		t.Parallel()
		m := log(t, setup{config: labels + "decision_logs: {console: true}\n"}, made...)
		entries := m.console.Entries()
		if len(entries) != 2 {
			t.Fatalf("got %d lines, want two", len(entries))
		}
		if got := slices.Sorted(maps.Keys(entries[0].Fields)); !slices.Equal(without(got, "type"), want) {
			t.Errorf("got the members %q, want %q", got, want)
		}
		hidden(t, mustJSON(t, entries[0].Fields))
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		m := log(t, setup{config: labels + "decision_logs: {plugin: file_logger}\nplugins: {file_logger: {path: " + dir + "/decisions.log}}\n"}, made...)
		written := lines(t, dir, ".log")
		if len(written) != 2 || m.counts.get("file_logger delivered") != 2 {
			t.Fatalf("got %d lines and %v, want two", len(written), m.counts.of)
		}
		if got := without(members(t, written[0]), "level", "msg", "time", "type"); !slices.Equal(got, want) {
			t.Errorf("got the members %q, want %q", got, want)
		}
		hidden(t, written[0])
	})
	t.Run("store", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		config := labels + "decision_logs: {plugin: assay_store}\nstatus: {plugin: assay_store}\nplugins: {assay_store: {url: 'file://" + dir + "', prefix: fleet}}\n"
		m := log(t, setup{config: config, open: openDirectory}, made...)
		written := lines(t, dir, ".json.gz")
		if len(written) != 2 || m.counts.get("assay_store delivered") != 2 {
			t.Fatalf("got %d lines and %v, want two", len(written), m.counts.of)
		}
		if got := members(t, written[0]); !slices.Equal(got, want) {
			t.Errorf("got the members %q, want %q", got, want)
		}
		hidden(t, written[0])
		var event logs.EventV1 // what reads a fleet reads it as OPA's
		if err := json.Unmarshal(written[0], &event); err != nil || event.Result == nil {
			t.Errorf("got %v in %s", err, written[0])
		}
		status, err := os.ReadFile(filepath.Join(dir, "fleet/north/assay-0/status.json"))
		if err != nil || !bytes.Contains(status, []byte(`"plugins":{`)) {
			t.Errorf("got %v and status %s, want that of the plugins", err, status)
		}
	})
}

func without(names []string, gone ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(gone, name) })
}

func hidden(t *testing.T, entry []byte) {
	t.Helper()
	if bytes.Contains(entry, []byte(password)) || bytes.Contains(entry, []byte("hunter2")) {
		t.Errorf("the password is in %s", entry)
	}
}

// TestFileThatCannotBeWrittenIsRefused before an entry is lost: at the start, and in what is discovered.
func TestFileThatCannotBeWrittenIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"a file where a directory should be", dir + "/x/decisions.log", "not a directory"},
		{"a directory", dir, "is a directory"},
		{"a pipe that nobody reads, which would hold all up", dir + "/pipe", "no such device"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := serve(t, setup{config: "decision_logs: {plugin: file_logger}\nplugins: {file_logger: {path: " + tt.path + "}}\n"})
			if err == nil || !strings.Contains(err.Error(), "plugins.file_logger.path: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error of plugins.file_logger.path: %s", err, tt.want)
			}
		})
	}
}

// TestFilesAreRotated writes more than one has room for.
func TestFilesAreRotated(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "app")
	dir := t.TempDir()
	fill := mustJSON(t, strings.Repeat("x", 300<<10))
	made.Review = bytes.Replace(made.Review, []byte(`"spec":{`), append([]byte(`"spec":{"fill":`), append(fill, ',')...), 1)
	config := "decision_logs: {plugin: file_logger}\nplugins: {file_logger: {path: " + dir + "/decisions.log, max_size_mb: 1, max_backups: 100}}\n"
	m := log(t, setup{config: config}, slices.Repeat([]rego.Made{made}, 7)...)
	names, err := filepath.Glob(dir + "/*.log")
	if got := len(lines(t, dir, ".log")); err != nil || len(names) != 3 || got != 7 {
		t.Errorf("got %d lines in %d files, %v and %v, want 7 in 3", got, len(names), m.counts.of, err)
	}
}

// TestConfigsThatAreRefused have their cause.
func TestConfigsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, config, want string }{
		{"a file logger without a file", "plugins: {file_logger: {}}", "plugins.file_logger.path: got none, want the file to write to"},
		{
			"a field that the file logger lacks", "plugins: {file_logger: {path: x, max_size: 1}}",
			"plugins.file_logger.max_size: got a field that does not exist, want one of compress, level, max_age_days, max_backups, max_size_mb, path",
		},
		{
			"a level at which nothing is logged", "plugins: {file_logger: {path: x, level: error}}",
			"plugins.file_logger.level: got error, want debug or info: decisions are logged at info",
		},
		{"a store that there is not", "labels: {cluster: north}\nplugins: {assay_store: {url: x}}", "plugins.assay_store.url: there are no object stores here"},
		{"decisions to a plugin that is not configured", "decision_logs: {plugin: assay_store}", `invalid plugin name "assay_store" in decision_logs`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := serve(t, setup{config: tt.config})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestNobodyAsked(t *testing.T) {
	t.Parallel()
	m := log(t, setup{config: "{}"}, newEngine(t).decide(t, "app"))
	if diff := cmp.Diff(map[outcome.Result]int{outcome.Unasked: 1}, m.counts.of); diff != "" {
		t.Error(diff)
	}
	if _, err := decisions.New(nil, decisions.Options{}); err == nil {
		t.Error("got a logger without a manager, want an error")
	}
}

// TestTakeNeverWaits hangs where an entry is made, so that the queue fills up. Nothing here
// is about time: one that waited would hang as well.
func TestTakeNeverWaits(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "app")
	m := mustServe(t, setup{config: "decision_logs: {console: true}"})
	began, goOn := make(chan bool), make(chan bool)
	var first sync.Once
	options := decisions.Options{Entries: 10, Observe: m.counts.observe, Bundles: func(*rego.Set) map[string]string {
		first.Do(func() { close(began) })
		<-goOn
		return nil
	}}
	l, err := decisions.New(m.Manager, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { l.Run(ctx) })
	l.Take(t.Context(), made)
	<-began // one is being logged, and hangs
	const taken = 1000
	for range taken {
		l.Take(t.Context(), made)
	}
	if got := []int{l.Waiting(), m.counts.get(outcome.Dropped), m.counts.get(outcome.Delivered)}; !slices.Equal(got, []int{10, taken - 10, 0}) {
		t.Errorf("got %v waiting, dropped and delivered, want the queue full and the others dropped", got)
	}
	close(goOn)
	end()
	wait.Wait()
	if got := []int{m.counts.get(outcome.Dropped), m.counts.get(outcome.Delivered)}; !slices.Equal(got, []int{taken - 10, 11}) {
		t.Errorf("got %v dropped and delivered, want all that waited delivered", got)
	}
	l.Take(t.Context(), made)
	if got := m.counts.get(outcome.Dropped); got != taken-10+1 {
		t.Errorf("got %d dropped, want also what comes after the end", got)
	}
}

// TestWhatTheQueueHoldsIsBounded has reviews that are large, whatever their number.
func TestWhatTheQueueHoldsIsBounded(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "app")
	made.Review = append(bytes.Clone(made.Review), bytes.Repeat([]byte(" "), 1<<20)...)
	m := log(t, setup{config: "{}", options: decisions.Options{Bytes: 5 << 20}}, slices.Repeat([]rego.Made{made}, 100)...)
	if got := []int{m.counts.get(outcome.Unasked), m.counts.get(outcome.Dropped)}; !slices.Equal(got, []int{4, 96}) {
		t.Errorf("got %v, want as many as 5 MiB hold", got)
	}
}

// TestLargeAnswerIsHeldOnce has one that serves many decisions: as soon as its digest is
// known, nothing else of it is held.
func TestLargeAnswerIsHeldOnce(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "app")
	made.Answers = answered{made.Answers, map[string]any{"oci.x\x00\"x\"": ast.MustParseTerm(`{"ok": true}`)}, 100 << 20}
	m := mustServe(t, setup{config: "decision_logs: {console: true}"})
	began, goOn := make(chan bool), make(chan bool)
	var first sync.Once
	l, err := decisions.New(m.Manager, decisions.Options{Observe: m.counts.observe, Bundles: func(*rego.Set) map[string]string {
		first.Do(func() { close(began) })
		<-goOn
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { l.Run(ctx) })
	l.Take(t.Context(), made)
	<-began
	l.Take(t.Context(), made) // the one before still has all the room
	dropped := m.counts.get(outcome.Dropped)
	close(goOn)
	for m.counts.get(outcome.Delivered) == 0 {
		time.Sleep(time.Millisecond)
	}
	for range 100 {
		l.Take(t.Context(), made)
	}
	end()
	wait.Wait()
	if got := m.counts.get(outcome.Delivered); got != 101 || dropped != 1 || m.counts.get(outcome.Dropped) != 1 {
		t.Errorf("got %v, want one dropped beside the first", m.counts.of)
	}
}

// TestStalledServiceLosesWhatIsCounted uploads to a service that hangs, through OPA's
// buffer for ten entries, and counts them all.
func TestStalledServiceLosesWhatIsCounted(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "app")
	c := collect(t)
	began, goOn := make(chan bool), make(chan bool)
	c.answer = func(n int) int {
		if n == 1 {
			close(began)
			<-goOn
		}
		return 200
	}
	config := strings.Replace(c.config(""), "reporting: {", "reporting: {trigger: manual, buffer_type: event, buffer_size_limit_events: 10, ", 1)
	m := mustServe(t, setup{config: config})
	uploads := logs.Lookup(m.Manager)
	logged := func(n int) {
		l, err := decisions.New(m.Manager, decisions.Options{Observe: m.counts.observe})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			l.Take(t.Context(), made)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		l.Run(ended)
	}
	logged(5)
	stalled := make(chan error)
	go func() { stalled <- uploads.Trigger(context.WithoutCancel(t.Context())) }()
	<-began
	const more = 100
	logged(more)
	if got := m.loss("decision_logs_dropped_buffer_size_limit_exceeded"); got != more-10 {
		t.Errorf("got %d lost, want all but those that the buffer has room for", got)
	}
	close(goOn)
	if err := <-stalled; err != nil {
		t.Fatal(err)
	}
	if err := uploads.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	lost := int(m.loss("decision_logs_dropped_buffer_size_limit_exceeded"))
	if got := len(c.entries) + lost; got != 5+more || m.counts.get(outcome.Delivered) != 5+more {
		t.Errorf("got %d uploaded and %d lost, want %d together", len(c.entries), lost, 5+more)
	}
	m.Stop(context.WithoutCancel(t.Context()))
}

// TestDecisionThatCannotBeLoggedIsSaidOnce has a hook that panics.
func TestDecisionThatCannotBeLoggedIsSaidOnce(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "app")
	var text bytes.Buffer
	m := log(t, setup{config: "decision_logs: {console: true}", options: decisions.Options{
		Log: slog.New(slog.NewTextHandler(&text, nil)), Bundles: func(*rego.Set) map[string]string { panic("no") },
	}}, made, made, made)
	if got := []int{m.counts.get(outcome.Failed), strings.Count(text.String(), "\n")}; !slices.Equal(got, []int{3, 1}) {
		t.Errorf("got %v failed and lines:\n%s", got, &text)
	}
}
