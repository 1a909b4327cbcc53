package kube_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/kube"
)

// kubeconfigOf names a server that wants no credentials.
func kubeconfigOf(t *testing.T, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion": "v1", "kind": "Config", "current-context": "a", "clusters": [{"name": "a", "cluster": {"server": "` + url + `"}}],
  "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}], "users": [{"name": "a", "user": {}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAsk(t *testing.T) {
	t.Parallel()
	const groups = `{"kind": "APIGroupList", "groups": [{"name": "apps"}, {"name": "batch"}]}`
	date := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, date, body string
		status           int
		want             string
	}{
		{"it answers", date.Format(http.TimeFormat), groups, http.StatusOK, ""},
		{"it refuses", date.Format(http.TimeFormat), groups, http.StatusForbidden, "got 403 Forbidden"},
		{"it does not say the time", "noon", groups, http.StatusOK, "Date: "},
		{"it is no API server", date.Format(http.TimeFormat), "<html>", http.StatusOK, "invalid character"},
		{"it says too much", date.Format(http.TimeFormat), `{"kind": "` + strings.Repeat("a", 5<<20), http.StatusOK, "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", tt.date)
				w.WriteHeader(tt.status)
				if r.URL.Path == "/prefix/apis" {
					_, _ = w.Write([]byte(tt.body))
				}
			}))
			t.Cleanup(server.Close)
			got, err := kube.Ask(t.Context(), kubeconfigOf(t, server.URL+"/prefix"), "test")
			switch {
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			case tt.want == "" && (err != nil || !got.Date.Equal(date) || got.Answered.Before(got.Asked) || !slices.Equal(got.Groups, []string{"apps", "batch"})):
				t.Errorf("got %+v and %v, want its time and groups", got, err)
			}
		})
	}
	if _, err := kube.Ask(t.Context(), filepath.Join(t.TempDir(), "none"), "test"); err == nil || !strings.HasPrefix(err.Error(), "--kubeconfig: ") {
		t.Errorf("got %v, want the flag", err)
	}
}
