package opalog_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/bundle/opalog"
)

// TestFieldsHaveNoQueries, whatever OPA writes there, but those of entries of the decision log.
func TestFieldsHaveNoQueries(t *testing.T) {
	t.Parallel()
	const url = "https://store.internal/x?sig=TOPSECRET"
	for _, tt := range []struct {
		name   string
		fields map[string]any
		want   bool
	}{
		{"a text", map[string]any{"url": url}, false},
		{"an error", map[string]any{"err": errors.New("Get " + url)}, false},
		{"what is nested", map[string]any{"bundles": map[string]any{"x": map[string]any{"errors": []any{map[string]any{"message": url}}}}}, false},
		{"a URL that is a path", map[string]any{"file": strings.Replace(url, "//", "/", 1)}, false},
		{"an entry of the decision log", map[string]any{"type": "openpolicyagent.org/decision_logs", "input": map[string]any{"annotation": url}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			opalog.New(slog.New(slog.NewTextHandler(&text, nil))).WithFields(tt.fields).Info("x")
			if got := strings.Contains(text.String(), "TOPSECRET"); got != tt.want || tt.want == false && !strings.Contains(text.String(), "store.internal/x") {
				t.Errorf("got %s, want the query in it: %v", &text, tt.want)
			}
		})
	}
}
