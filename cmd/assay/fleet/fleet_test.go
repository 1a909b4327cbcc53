package fleet

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/bundle"
	"github.com/open-policy-agent/opa/v1/plugins/logs"
	logstatus "github.com/open-policy-agent/opa/v1/plugins/logs/status"
	"github.com/open-policy-agent/opa/v1/plugins/status"

	"github.com/assay-dev/assay/rego/bundle/stores"
)

func noon() time.Time { return time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC) }

func ago(d time.Duration) time.Time { return noon().Add(-d) }

// a store with what the tests of this file put there.
type written struct {
	stores.Store
	t testing.TB
}

func newStore(t testing.TB) written {
	t.Helper()
	s, err := stores.Open(t.Context(), "file://"+t.TempDir(), stores.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return written{s, t}
}

func (w written) put(name string, data []byte) {
	w.t.Helper()
	if err := w.Put(w.t.Context(), name, data); err != nil {
		w.t.Fatal(err)
	}
}

// status writes what OPA's plugin posts.
func (w written) status(where string, bundles map[string]*bundle.Status, more ...func(*status.UpdateRequestV1)) {
	w.t.Helper()
	update := &status.UpdateRequestV1{
		Labels: map[string]string{"id": "5f0a", "cluster": "prod", "version": "1.22.2"}, Bundles: bundles,
		Plugins: map[string]*plugins.Status{"bundle": {State: plugins.StateOK}, "status": {State: plugins.StateOK}},
	}
	for _, change := range more {
		change(update)
	}
	w.put(where+"/status.json", encoded(w.t, update))
}

// chunk writes entries as OPA has them, compressed.
func (w written) chunk(where string, at time.Time, events ...logs.EventV1) {
	w.t.Helper()
	w.put(where+"/decisions/"+at.Format("2006/01/02/T150405Z")+"-000000001.json.gz", chunkOf(w.t, events...))
}

func chunkOf(t testing.TB, events ...logs.EventV1) []byte {
	t.Helper()
	var lines bytes.Buffer
	for _, e := range events {
		lines.Write(append(encoded(t, e), '\n'))
	}
	return zipped(t, lines.Bytes())
}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func encoded(t testing.TB, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// active is the status of a bundle that is active, and whose server was reached a minute ago.
func active(name, revision string, since time.Time) *bundle.Status {
	b := &bundle.Status{
		Name: name, Type: "snapshot", ActiveRevision: revision, LastSuccessfulActivation: since, LastSuccessfulDownload: since,
		LastSuccessfulRequest: ago(time.Minute), LastRequest: ago(time.Minute), Metrics: metrics.New(),
	}
	b.Metrics.Counter("rego_load").Incr()
	return b
}

func one(b *bundle.Status) map[string]*bundle.Status { return map[string]*bundle.Status{b.Name: b} }

// decision is an entry of ours.
func decision(at time.Time, path, namespace string, result string) logs.EventV1 {
	var input any = map[string]any{"request": map[string]any{"namespace": namespace, "uid": "1"}}
	e := logs.EventV1{
		Labels: map[string]string{"cluster": "prod"}, DecisionID: "d", Path: path, Timestamp: at, Input: &input,
		Bundles: map[string]logs.BundleInfoV1{"policies": {Revision: "42"}}, Metrics: map[string]any{"timer_rego_query_eval_ns": 1000},
	}
	if result != "" {
		var value any
		if err := json.Unmarshal([]byte(result), &value); err != nil {
			panic(err)
		}
		e.Result = &value
	}
	return e
}

func admitted(at time.Time) logs.EventV1 {
	return decision(at, pathAdmission, "shop", `{"allowed":true,"images":[{"image":"ghcr.io/acme/app@sha256:aa","policies":[{"name":"signed","mode":"enforce","outcome":"passed"}]}]}`)
}

func denied(at time.Time, namespace, image, policy string) logs.EventV1 {
	quoted := func(text string) string { out, _ := json.Marshal(text); return string(out) }
	return decision(at, pathAdmission, namespace, `{"allowed":false,"images":[{"image":`+quoted(image)+`,"policies":[{"name":`+quoted(policy)+`,"mode":"enforce","outcome":"failed"},
		{"name":"watched","mode":"warn","outcome":"failed"},{"name":"fine","mode":"enforce","outcome":"passed"}]}]}`)
}

func ask(t testing.TB, s stores.Store, change ...func(*question)) *Report {
	t.Helper()
	q := question{since: ago(24 * time.Hour), now: noon(), stale: 15 * time.Minute, top: 10}
	for _, c := range change {
		c(&q)
	}
	report, err := read(t.Context(), s, q)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// aFleet is two clusters of two replicas each.
func aFleet(t testing.TB) written {
	w := newStore(t)
	w.status("prod/a-1", one(active("policies", "43", ago(time.Hour))))
	w.status("prod/a-2", one(active("policies", "42", ago(48*time.Hour))), func(u *status.UpdateRequestV1) {
		u.DecisionLogs = &logstatus.Status{Metrics: metrics.New()}
		u.DecisionLogs.Metrics.Counter("decision_logs_dropped_rate_limit_exceeded").Add(7)
		u.DecisionLogs.Metrics.Counter("decision_logs_chunks_uploaded").Add(100)
	})
	broken := active("policies", "43", ago(2*time.Hour))
	broken.SetError(errors.New("bundle \"policies\": got revision \"41\", want at least \"43\""))
	w.status("test/b-1", one(broken))
	silent := active("policies", "43", ago(72*time.Hour))
	silent.LastSuccessfulRequest, silent.LastRequest = ago(time.Hour), ago(time.Minute)
	w.status("test/b-2", one(silent), func(u *status.UpdateRequestV1) {
		u.Bundles["extra"] = &bundle.Status{Name: "extra", LastRequest: ago(time.Minute)}
	})
	w.chunk("prod/a-1", ago(2*time.Hour), admitted(ago(2*time.Hour)), admitted(ago(2*time.Hour)), denied(ago(2*time.Hour), "shop", "ghcr.io/acme/app:v1", "signed"))
	w.chunk("prod/a-1", ago(time.Hour), denied(ago(time.Hour), "shop", "ghcr.io/acme/app@sha256:bb", "signed"),
		decision(ago(time.Hour), pathMutation, "shop", `{"allowed":true,"images":[]}`),
		decision(ago(time.Hour), pathMutation, "bank", `{"allowed":false,"images":[{"image":"localhost:5000/x:y","policies":[]}]}`),
		decision(ago(time.Hour), pathAdmission, "bank", ""),
		decision(ago(time.Hour), "other/api", "", `{"x":1}`))
	w.chunk("test/b-1", ago(30*time.Hour), denied(ago(30*time.Hour), "old", "old", "old"))
	w.chunk("test/b-1", ago(23*time.Hour), denied(ago(25*time.Hour), "old", "old", "old"), denied(ago(23*time.Hour), "", "quay.io/x", "vulnerable"))
	return w
}

func TestFleet(t *testing.T) {
	t.Parallel()
	got := ask(t, aFleet(t))
	type line struct {
		where, bundle, revision, states string
		age                             int64
	}
	var lines []line
	for _, r := range got.Replicas {
		for _, b := range r.Bundles {
			lines = append(lines, line{r.Cluster + "/" + r.Name, b.Name, b.Revision, states(r.States, b.States), b.Age})
		}
	}
	want := []line{
		{"prod/a-1", "policies", "43", "ok", 60},
		{"prod/a-2", "policies", "42", "behind", 60},
		{"test/b-1", "policies", "43", "failing", 60},
		{"test/b-2", "extra", "", "failing", 60}, // the replica itself was seen then
		{"test/b-2", "policies", "43", "stale", 3600},
	}
	for i := range got.Replicas {
		// When the file was written is now, and not noon.
		got.Replicas[i].Seen = nil
	}
	if diff := cmp.Diff(want, lines, cmp.AllowUnexported(line{})); diff != "" {
		t.Errorf("bundles (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{7, 4, 1, 1}, []int64{got.Decisions, got.Denials, got.Undecided, got.Others}); diff != "" {
		t.Errorf("decisions, denials, undecided, others (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Denied{
		Policies:   []Count{{"signed", 2}, {none, 1}, {"vulnerable", 1}},
		Images:     []Count{{"ghcr.io/acme/app", 2}, {"localhost:5000/x", 1}, {"quay.io/x", 1}},
		Namespaces: []Count{{"shop", 2}, {"bank", 1}},
	}, got.Denied); diff != "" {
		t.Errorf("denied (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"dropped_rate_limit_exceeded": 7}, got.Replicas[1].Losses); diff != "" {
		t.Errorf("losses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]Count{"policies": {{"43", 3}, {"42", 1}}}, got.Revisions); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
	if !strings.Contains(got.Replicas[2].Bundles[0].Failure, `bundle_error: bundle "policies": got revision "41"`) {
		t.Errorf("failure: got %q, want OPA's", got.Replicas[2].Bundles[0].Failure)
	}
	if len(got.NotRead) != 0 || got.fine() {
		t.Errorf("got %v not read, fine: %v, want nothing and false", got.NotRead, got.fine())
	}
}

func TestOneClusterAlone(t *testing.T) {
	t.Parallel()
	w := aFleet(t)
	w.status("prod-2/a-1", one(active("policies", "99", ago(time.Hour))))
	got := ask(t, w, func(q *question) { q.cluster = "prod" })
	if len(got.Replicas) != 2 || got.Replicas[0].Cluster != "prod" || got.Denials != 3 {
		t.Errorf("got %d replicas and %d denials, want the 2 and 3 of prod", len(got.Replicas), got.Denials)
	}
}

func TestAFleetThatIsFine(t *testing.T) {
	t.Parallel()
	w := newStore(t)
	if report := ask(t, w); report.fine() {
		t.Error("of nobody: got fine, want that there is nobody")
	}
	w.status("prod/a-1", one(active("policies", "43", ago(time.Hour))))
	if report := ask(t, w); !report.fine() {
		t.Errorf("got %+v, want nothing wrong", report)
	}
	w.put("prod/a-1/decisions/2026/11/26/T110000Z-000000001.json.gz", []byte("no gzip"))
	if report := ask(t, w); report.fine() {
		t.Error("with a chunk that cannot be read: got fine, want that it is not")
	}
}

func TestWhatIsWrongWithAReplica(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		named  string
		write  func(w written)
		states string
	}{
		{"heard of long ago", func(w written) {
			b := active("policies", "1", ago(48*time.Hour))
			b.LastSuccessfulRequest, b.LastRequest = ago(16*time.Minute), ago(16*time.Minute)
			w.status("c/r", one(b))
		}, "stale"},
		{"tried a minute ago, and last reached long ago", func(w written) {
			b := active("policies", "1", ago(48*time.Hour))
			b.LastSuccessfulRequest = ago(time.Hour)
			w.status("c/r", one(b))
		}, "stale"},
		{"a clock that is a year ahead", func(w written) {
			b := active("policies", "1", noon().AddDate(1, 0, 0))
			b.LastSuccessfulRequest, b.LastRequest, b.LastSuccessfulDownload = noon().AddDate(1, 0, 0), noon().AddDate(1, 0, 0), noon().AddDate(1, 0, 0)
			w.status("c/r", one(b))
		}, "stale"},
		{"no bundle that ever was active", func(w written) {
			w.status("c/r", one(&bundle.Status{Name: "policies", LastRequest: ago(time.Minute), LastSuccessfulRequest: ago(time.Minute)}))
		}, "failing"},
		{"discovery that fails", func(w written) {
			w.status("c/r", one(active("policies", "1", ago(time.Hour))), func(u *status.UpdateRequestV1) {
				u.Discovery = &bundle.Status{Name: "discovery"}
				u.Discovery.SetError(errors.New("request failed"))
			})
		}, "failing"},
		{"decision logs that fail", func(w written) {
			w.status("c/r", one(active("policies", "1", ago(time.Hour))), func(u *status.UpdateRequestV1) {
				u.DecisionLogs = &logstatus.Status{}
				u.DecisionLogs.SetError(logstatus.HTTPError{StatusCode: 500})
			})
		}, "failing"},
		{"a plugin that fails", func(w written) {
			w.status("c/r", one(active("policies", "1", ago(time.Hour))), func(u *status.UpdateRequestV1) {
				u.Plugins["bundle"] = &plugins.Status{State: plugins.StateErr, Message: "no"}
			})
		}, "failing"},
		{"decisions and no status", func(w written) { w.chunk("c/r", ago(time.Minute), admitted(ago(time.Minute))) }, "unknown"},
		{"a status of another version", func(w written) { w.put("c/r/status.json", []byte(`{"labels":[],"bundles":3}`)) }, "unknown,stale"},
	} {
		t.Run(test.named, func(t *testing.T) {
			t.Parallel()
			w := newStore(t)
			test.write(w)
			got := ask(t, undated{w.Store})
			if len(got.Replicas) != 1 {
				t.Fatalf("got %d replicas, want 1", len(got.Replicas))
			}
			all := [][]State{got.Replicas[0].States}
			for _, b := range got.Replicas[0].Bundles {
				all = append(all, b.States)
			}
			if states := states(all...); states != test.states {
				t.Errorf("got %s, want %s", states, test.states)
			}
			if got.fine() {
				t.Error("got fine")
			}
		})
	}
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		named string
		runs  []string
		want  []string
	}{
		{"the highest is alone", []string{"v1.9.0", "v1.9.0", "v1.10.0+3ae5"}, []string{"behind", "behind", "ok"}},
		{"all the same", []string{"", "", ""}, []string{"ok", "ok", "ok"}},
		{"without an order", []string{"3ae5f", "3ae5f", "9bc1d"}, []string{"ok", "ok", "differs"}},
		{"one without an order among those that have one", []string{"42", "42", "main"}, []string{"ok", "ok", "differs"}},
		{"one with an order among those that have none", []string{"main", "main", "42"}, []string{"ok", "ok", "ok"}},
	} {
		t.Run(test.named, func(t *testing.T) {
			t.Parallel()
			w := newStore(t)
			for i, revision := range test.runs {
				w.status(fmt.Sprintf("c/r-%d", i), one(active("policies", revision, ago(time.Hour))))
			}
			var got []string
			for _, r := range ask(t, w).Replicas {
				got = append(got, states(r.Bundles[0].States))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
		})
	}
}

// BenchmarkFleet reads 1,000 clusters with a status and ten chunks of 100 decisions each.
func BenchmarkFleet(b *testing.B) {
	w := newStore(b)
	for c := range 1000 {
		where := fmt.Sprintf("cluster-%04d/assay-0", c)
		w.status(where, one(active("policies", "42", ago(time.Hour))))
		for n := range 10 {
			var events []logs.EventV1
			for i := range 100 {
				at := ago(time.Duration(n+1) * time.Hour)
				events = append(events, admitted(at))
				if i%10 == 0 {
					events = append(events, denied(at, "shop", fmt.Sprintf("ghcr.io/acme/app-%d:v1", i), "signed"))
				}
			}
			w.chunk(where, ago(time.Duration(n+1)*time.Hour), events...)
		}
	}
	for b.Loop() {
		if got := ask(b, w); got.Decisions != 1000*10*110 || len(got.NotRead) != 0 {
			b.Fatalf("got %d decisions, not read: %v", got.Decisions, got.NotRead)
		}
	}
}
