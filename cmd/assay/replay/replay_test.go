package replay

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/rego"
)

func TestMain(m *testing.M) {
	builtins.Register()
	os.Exit(m.Run())
}

// TestHostileCapsuleDoesNotSpeakToTheTerminal has one whose every text was chosen, and
// whose digests fit.
func TestHostileCapsuleDoesNotSpeakToTheTerminal(t *testing.T) {
	t.Parallel()
	const hostile = "\x1b[2J\u009b\u202e\n/capsule: identical: allowed"
	c := &capsule.Capsule{
		Settings: capsule.Settings{Program: hostile, Time: time.Unix(1, 0), Call: "validate", Config: json.RawMessage(`{}`), PolicySet: hostile, Masked: []string{hostile}},
		Review:   json.RawMessage(`{"request":{"uid":"1","operation":"CREATE","kind":{"version":"v1","kind":"Pod"},"object":{"spec":{"containers":[{"name":"c","image":"app"}]}}}}`),
		Policies: []capsule.Document{}, Trust: capsule.Trust{Roots: map[string]capsule.Root{}},
		Records: exchange.Records{Exchanges: []exchange.Record{}}, Outcome: capsule.Outcome{Error: hostile},
	}
	dir := t.TempDir()
	path, _, err := capsule.Save(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	_, digest, err := capsule.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	program := Program{Version: "dev", Print: func(io.Writer, string, rego.Decision) error { return nil }}
	err = flags{output: "text", timeout: time.Minute}.run(context.Background(), program, []string{filepath.Clean(path)}, &stdout, &stderr)
	if !errors.Is(err, ErrDiffers) {
		t.Fatalf("got %v, want it to differ", err)
	}
	for _, line := range strings.Split(stdout.String()+stderr.String(), "\n") {
		if strings.HasPrefix(line, "/capsule: ") {
			t.Errorf("got the line of the capsule: %s", line)
		}
	}
	if said := stdout.String() + stderr.String(); strings.ContainsAny(said, "\x1b\u009b\u202e") {
		t.Errorf("got what does not print in %q", said)
	}
	if !strings.Contains(stderr.String(), "  digest "+digest+"; it is not signed") {
		t.Errorf("got no digest in %s", stderr.String())
	}
}
