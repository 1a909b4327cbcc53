package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/telemetry"
)

// TestWhatIsDecidedAtTheEndIsLoggedAndRecorded: reviews are answered for a while after a signal, and
// that is no time without evidence.
func TestWhatIsDecidedAtTheEndIsLoggedAndRecorded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writeFiles(t, dir, map[string]string{
		"policy.yaml": denying("**", ""),
		"opa.yaml":    fmt.Sprintf("decision_logs: {plugin: file_logger}\nplugins: {file_logger: {path: %q}}\n", at("decisions.log")),
	})
	flags := wiring.Defaults()
	flags.Policies, flags.TUF.Cache = []string{at("policy.yaml")}, t.TempDir()
	flags.Record = recording.Flags{Dir: t.TempDir(), Sample: 1, MaxBytes: 1 << 20}
	draining := make(chan struct{})
	running, err := listen(t.Context(), flags, clusterFlags{}, bundled.Flags{Config: at("opa.yaml")}, server.Config{
		Addr: "127.0.0.1:0", InsecurePlainHTTP: true, DrainDelay: 5 * time.Second, Logger: slog.New(reader{slog.DiscardHandler, func(line string) {
			if line == "draining" {
				close(draining)
			}
		}}),
	}, telemetry.Export{Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, signal := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	<-running.reloader.bundles.Started()
	signal()
	<-draining
	post(t, "http://"+running.Addr(), "a.io/x"+digest)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(at("decisions.log")); err != nil || !strings.Contains(string(text), "a.io/x") {
		t.Errorf("decision log: got %q, %v, want the decision", text, err)
	}
	if found, err := os.ReadDir(flags.Record.Dir); err != nil || len(found) != 1 {
		t.Errorf("recorded: got %v, %v, want one capsule", found, err)
	}
}
