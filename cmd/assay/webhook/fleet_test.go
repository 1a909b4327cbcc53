package webhook

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/fleet"
)

// TestAFleetIsReadFromWhatServersWrote: nobody but the store stands between assay serve and assay fleet.
func TestAFleetIsReadFromWhatServersWrote(t *testing.T) {
	body := failing(t, "7", "p", "a.io/**", "")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	f := withBundles(t, manual(t, server.URL, "main")+"labels: {cluster: one, replica: assay-0}\n"+
		"decision_logs: {plugin: assay_store}\nstatus: {plugin: assay_store}\nplugins: {assay_store: {url: 'file://"+dir+"', delay_seconds: 1}}\n", nil)
	f.fetch()
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "failed policy: p") {
		t.Fatalf("got %q, want a denial", got)
	}
	f.becomes("the fleet", func() string {
		var out bytes.Buffer
		cmd := fleet.Command()
		cmd.SetArgs([]string{"--denials", "file://" + dir})
		cmd.SetOut(&out)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(out.String()), " ")
	}, "1 1 0 ok denied by policy: 1 p denied images: 1 a.io/x")
}
