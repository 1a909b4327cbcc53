package webhook

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/fleet"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
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
	f.becomes("the fleet", seen(t, dir, "--denials"), "1 1 0 ok denied by policy: 1 p denied images: 1 a.io/x")
	f.stop()
	if got := seen(t, dir)(); !strings.Contains(got, "0 replicas of 0 clusters, 0 not as they should be, 1 that stopped left out; 1 decisions in 24h, 1 denied") {
		t.Errorf("after its end: got %s, want it left out", got)
	}
}

// seen is what assay fleet says of a store, with single spaces.
func seen(t *testing.T, dir string, args ...string) func() string {
	return func() string {
		t.Helper()
		var out bytes.Buffer
		cmd := fleet.Command()
		cmd.SetArgs(append(args, "file://"+dir))
		cmd.SetOut(&out)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(out.String()), " ")
	}
}

// TestAFleetKnowsWhatExpiresAndWhatIsTried: OPA's status carries neither by itself.
func TestAFleetKnowsWhatExpiresAndWhatIsTried(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := newBucket(t, map[string][]byte{"main": expiring(t, "7", time.Now().Add(time.Hour)), "next": failing(t, "8", "p", "b.io/**", "")})
	dir := t.TempDir()
	config := strings.ReplaceAll(manual(t, files.URL, "main"), "trigger: manual, persist: true", "polling: {min_delay_seconds: 1, max_delay_seconds: 1}") +
		"labels: {cluster: one, replica: assay-0}\nstatus: {plugin: assay_store}\nplugins: {assay_store: {url: 'file://" + dir + "', delay_seconds: 1}}\n"
	f := withBundles(t, config, func(_ *wiring.Flags, from *bundled.Flags) {
		from.Token, from.Canary = token, map[string]string{"main": "next"}
		from.Try.Share, from.Try.Sample = 1, 1
	})
	f.becomes("the bundle", f.about("a.io/x"+digest), "failed policy: p")
	f.becomes("what expires", seen(t, dir, "--expiring", "2h"), "expiring one/assay-0: bundle main: it expires at ")
	f.becomes("what does not yet", seen(t, dir, "--expiring", "10m"), "0 0 0 ok ")
	f.becomes("the candidate", func() string {
		f.says("a.io/x" + digest)
		return seen(t, dir, "--canary", "--min-decisions", "1")()
	}, "messages /Pod a.io/x")
}
