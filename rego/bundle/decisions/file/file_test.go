package file_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	logtest "github.com/open-policy-agent/opa/v1/logging/test"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/bundle/decisions/file"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// TestHandlerThatIsKeptWritesToTheFileOfNow is one that OPA asked for before the file was
// configured anew, and still has when the plugin is stopped.
func TestHandlerThatIsKeptWritesToTheFileOfNow(t *testing.T) {
	t.Parallel()
	counts := map[outcome.Result]int{}
	factory := file.New(func(_ outcome.Place, result outcome.Result, n int) { counts[result] += n })
	m, err := plugins.New([]byte("{}"), "id", inmem.New())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := func(name string) any {
		out, err := factory.Validate(m, []byte(`{"path": "`+filepath.Join(dir, name)+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	plugin := factory.New(m, config("one")).(*file.Plugin)
	m.Register(file.Name, plugin)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := slog.New(plugin.Logger().WithGroup("in").WithAttrs([]slog.Attr{slog.String("a", "b")}))
	kept.Info("first")
	plugin.Reconfigure(t.Context(), config("two"))
	kept.Info("second")
	m.Stop(context.WithoutCancel(t.Context()))
	kept.Info("third")
	for name, want := range map[string]string{"one": "first", "two": "second"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.Count(string(got), "\n") != 1 || !strings.Contains(string(got), `"msg":"`+want+`","in":{"a":"b"}}`) {
			t.Errorf("%s: got %v and %s, want %s alone", name, err, got, want)
		}
	}
	if diff := cmp.Diff(map[outcome.Result]int{outcome.Delivered: 2, outcome.Failed: 1}, counts); diff != "" {
		t.Error(diff)
	}
}

// TestFailureAndRecoveryAreSaidOnce takes the directory away while entries come, and lets it be again.
func TestFailureAndRecoveryAreSaidOnce(t *testing.T) {
	t.Parallel()
	counts, log := map[outcome.Result]int{}, logtest.New()
	factory := file.New(func(_ outcome.Place, result outcome.Result, n int) { counts[result] += n })
	m, err := plugins.New([]byte("{}"), "id", inmem.New(), plugins.Logger(log))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "logs")
	config, err := factory.Validate(m, []byte(`{"path": "`+filepath.Join(dir, "decisions.log")+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	plugin := factory.New(m, config).(*file.Plugin)
	m.Register(file.Name, plugin)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer m.Stop(context.WithoutCancel(t.Context()))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	to := slog.New(plugin.Logger())
	to.Info("first")
	to.Info("second")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	to.Info("third")
	to.Info("fourth")
	if diff := cmp.Diff(map[outcome.Result]int{outcome.Delivered: 2, outcome.Failed: 2}, counts); diff != "" {
		t.Error(diff)
	}
	var said []string
	for _, entry := range log.Entries() {
		if strings.Contains(entry.Message, "decision logs") {
			said = append(said, entry.Message)
		}
	}
	if len(said) != 2 || !strings.HasPrefix(said[0], "The file does not take decision logs: ") || !strings.Contains(said[0], dir) || said[1] != "The file takes decision logs again." {
		t.Errorf("got %q, want one line when it begins to fail and one when it works again", said)
	}
}
