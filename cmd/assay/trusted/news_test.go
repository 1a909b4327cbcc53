package trusted

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/bundle/configured"
)

// TestAFetchThatFailsIsLoggedOnce, until the cause is another one or it works again.
func TestAFetchThatFailsIsLoggedOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.sources(t, t.TempDir())
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := s.takes([]configured.Source{l.registry("prod", "latest")}); err != nil {
		t.Fatal(err)
	}
	for _, cause := range []string{"down", "down", "forged", "forged", "", "", "forged", "forged"} {
		var err error
		if cause != "" {
			err = errors.New(cause)
		}
		if got := s.fetched(s.sources["prod"], err); (got != nil) != (err != nil) {
			t.Errorf("got %v, want %v", got, err)
		}
	}
	for line, want := range map[string]int{"error=down": 1, "error=forged": 2, "works again": 1} {
		if got := strings.Count(log.String(), line); got != want {
			t.Errorf("got %d lines with %q, want %d", got, line, want)
		}
	}
}
