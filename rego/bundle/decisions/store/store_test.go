package store_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/logging"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/status"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/bundle/decisions/store"
)

// memory is a store in memory, with what goes wrong in it.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	puts    []time.Time
	wrong   func(ctx context.Context, name string) error // nil is nothing
}

func (m *memory) Put(ctx context.Context, name string, data []byte) error {
	m.mu.Lock()
	m.puts = append(m.puts, time.Now())
	wrong := m.wrong
	m.mu.Unlock()
	if wrong != nil {
		if err := wrong(ctx, name); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[string][]byte{}
	}
	if strings.HasSuffix(name, ".gz") && m.objects[name] != nil {
		return fmt.Errorf("%s is put twice", name)
	}
	m.objects[name] = data
	return nil
}

// ids are the decision IDs that are stored, in the order of the names of their chunks.
func (m *memory) ids(t *testing.T) (out []string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.objects)) {
		if !strings.HasSuffix(name, ".json.gz") {
			continue
		}
		zip, err := gzip.NewReader(bytes.NewReader(m.objects[name]))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(zip)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var entry struct {
				ID string `json:"decision_id"`
			}
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			out = append(out, entry.ID)
		}
	}
	return out
}

type rig struct {
	*memory
	plugin  *store.Plugin
	manager *plugins.Manager
	log     *slog.Logger
	mu      sync.Mutex
	counts  map[outcome.Result]int
}

func (r *rig) count(result outcome.Result) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[result]
}

// wants holds what was delivered and dropped to what was logged.
func (r *rig) wants(t *testing.T, delivered, dropped int) {
	t.Helper()
	if got := []int{r.count(outcome.Delivered), r.count(outcome.Dropped), len(r.ids(t))}; !slices.Equal(got, []int{delivered, dropped, delivered}) {
		t.Errorf("got %d delivered, %d dropped and %d stored, want %d, %d and %d", got[0], got[1], got[2], delivered, dropped, delivered)
	}
}

func (r *rig) entry(id string, fill int) {
	r.log.LogAttrs(context.Background(), slog.LevelInfo, "Decision Log", slog.String("type", "openpolicyagent.org/decision_logs"),
		slog.Time("timestamp", time.Now().UTC()), slog.String("decision_id", id), slog.Any("labels", map[string]string{"id": "x"}),
		slog.Any("input", map[string]any{"fill": strings.Repeat("<", fill)}))
}

const config = `{labels: {cluster: north, replica: assay-0}}`

// newRig starts a plugin. What stops it is its manager.
func newRig(t *testing.T, m *memory, settings string) *rig {
	t.Helper()
	r := &rig{memory: m, counts: map[outcome.Result]int{}}
	var err error
	if r.manager, err = plugins.New([]byte(config), "uuid", inmem.New(), plugins.Logger(logging.NewNoOpLogger())); err != nil {
		t.Fatal(err)
	}
	factory := store.New(store.Options{
		Open: func(string) (store.Store, error) { return m, nil },
		Observe: func(place outcome.Place, result outcome.Result, n int) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.counts[result] += n
		},
	})
	validated, err := factory.Validate(r.manager, []byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	r.plugin = factory.New(r.manager, validated).(*store.Plugin)
	r.manager.Register(store.Name, r.plugin)
	if err := r.manager.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.log = slog.New(r.plugin.Logger())
	return r
}

func TestConfigIsReadStrictly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, labels, config, want string }{
		{"no URL", "cluster: north", `{}`, "plugins.assay_store.url: got none, want that of a store"},
		{"a URL that cannot be opened", "cluster: north", `{"url": "ftp://x"}`, "plugins.assay_store.url: got ftp"},
		{
			"a field that does not exist", "cluster: north", `{"url": "file:///x", "bucket": "x"}`, "plugins.assay_store.bucket: got a field that does not exist, want one of " +
				"buffer_size_limit_bytes, chunk_size_limit_bytes, delay_seconds, prefix, timeout_seconds, url",
		},
		{
			"a buffer that holds no chunk", "cluster: north", `{"url": "file:///x", "buffer_size_limit_bytes": 2048}`,
			"plugins.assay_store.buffer_size_limit_bytes: got 2048, want at least chunk_size_limit_bytes, 4194304",
		},
		{"no delay", "cluster: north", `{"url": "file:///x", "delay_seconds": 0}`, "plugins.assay_store.delay_seconds: got 0, want a whole number from 1 to 3600"},
		{"no cluster", "replica: a", `{"url": "file:///x"}`, "labels.cluster: got none, want the name under which assay_store writes"},
		{
			"a cluster that is a path", "cluster: ../x", `{"url": "file:///x"}`,
			`labels.cluster: got "../x", want letters, digits, '.', '_' and '-', at most 63 and a letter or digit first`,
		},
		{
			"a replica that is a path", "cluster: north, replica: a/b", `{"url": "file:///x"}`,
			`labels.replica: got "a/b", want letters, digits, '.', '_' and '-', at most 63 and a letter or digit first`,
		},
		{
			"a prefix that leads elsewhere", "cluster: north", `{"url": "file:///x", "prefix": "a/../b"}`,
			`plugins.assay_store.prefix: got "a/../b", want letters, digits, '.', '_' and '-', at most 63 and a letter or digit first between slashes`,
		},
		{"all of it", "cluster: north", `{"url": "file:///x", "prefix": "a/b", "delay_seconds": 5, "timeout_seconds": 5, "chunk_size_limit_bytes": 2048, "buffer_size_limit_bytes": 2048}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := plugins.New([]byte("{labels: {"+tt.labels+"}}"), "uuid", inmem.New())
			if err != nil {
				t.Fatal(err)
			}
			factory := store.New(store.Options{Open: func(url string) (store.Store, error) {
				if strings.HasPrefix(url, "ftp:") {
					return nil, errors.New("got ftp")
				}
				return &memory{}, nil
			}})
			got := ""
			if _, err := factory.Validate(m, []byte(tt.config)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestNamesAndContents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &memory{}, `{"url": "file:///x", "prefix": "fleet/eu"}`)
		r.entry("one", 0)
		r.entry("two", 0)
		time.Sleep(30*time.Second - time.Millisecond)
		synctest.Wait()
		if got := r.ids(t); len(got) > 0 {
			t.Errorf("got %q before the delay, want none", got)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		r.entry("three", 0)
		for range 2 { // the last one stays
			if err := r.plugin.Log(t.Context(), &status.UpdateRequestV1{Labels: map[string]string{"id": "x"}}); err != nil {
				t.Fatal(err)
			}
		}
		r.manager.Stop(t.Context())
		// A bubble begins at midnight UTC, 2000-01-01.
		want := []string{
			"fleet/eu/north/assay-0/decisions/2000/01/01/T000030Z-000000000.json.gz",
			"fleet/eu/north/assay-0/decisions/2000/01/01/T000030Z-000000001.json.gz", "fleet/eu/north/assay-0/status.json",
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(r.objects))); diff != "" {
			t.Error(diff)
		}
		if got := r.ids(t); !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("got %q", got)
		}
		if got, want := string(r.objects[want[2]]), `{"labels":{"id":"x"}}`; got != want {
			t.Errorf("got status %s, want %s", got, want)
		}
		zip, _ := gzip.NewReader(bytes.NewReader(r.objects[want[1]]))
		line, _ := io.ReadAll(zip)
		if got, want := string(line), `{"timestamp":"2000-01-01T00:00:30Z","decision_id":"three","labels":{"id":"x"},"input":{"fill":""}}`+"\n"; got != want {
			t.Errorf("got line %s, want %s", got, want)
		}
		r.wants(t, 3, 0)
	})
}

func TestChunksAreClosedWhenTheyAreLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &memory{}, `{"url": "file:///x", "chunk_size_limit_bytes": 10000}`)
		for i := range 10 {
			r.entry(fmt.Sprint(i), 4000)
		}
		synctest.Wait()
		if got := r.count(outcome.Delivered); got != 8 {
			t.Errorf("got %d entries before the delay, want all but those of the open chunk", got)
		}
		r.manager.Stop(t.Context())
		r.wants(t, 10, 0)
		if len(r.objects) != 5 {
			t.Errorf("got %d objects, want 5 of two entries", len(r.objects))
		}
	})
}

// TestLossIsCounted has a store that does not take what comes, for a while.
func TestLossIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{wrong: func(context.Context, string) error { return errors.New("no") }}
		r := newRig(t, m, `{"url": "file:///x", "chunk_size_limit_bytes": 1024, "buffer_size_limit_bytes": 2048}`)
		const logged = 100
		for i := range logged {
			r.entry(fmt.Sprintf("%03d", i), 900) // a chunk each, compressed to some 150 bytes
			synctest.Wait()
		}
		dropped := r.count(outcome.Dropped)
		if dropped < 70 || r.count(outcome.Delivered) > 0 {
			t.Errorf("got %v, want most dropped and none delivered", r.counts)
		}
		m.mu.Lock()
		m.wrong = nil
		m.mu.Unlock()
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		r.wants(t, logged-dropped, dropped)
		got := r.ids(t)
		if last := got[len(got)-1]; last != "099" {
			t.Errorf("got %s as the last one, want the newest entries kept", last)
		}
		r.manager.Stop(t.Context())
		if len(m.puts) > 40 {
			t.Errorf("got %d puts, want few while the store fails", len(m.puts))
		}
	})
}

// TestStalledStoreDelaysNobody hangs for ever, whatever its context says.
func TestStalledStoreDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan bool)
		m := &memory{wrong: func(context.Context, string) error { <-hang; return nil }}
		r := newRig(t, m, `{"url": "file:///x", "chunk_size_limit_bytes": 1024, "buffer_size_limit_bytes": 1024}`)
		began := time.Now()
		for i := range 50 {
			r.entry(fmt.Sprint(i), 900)
			synctest.Wait()
		}
		if err := r.plugin.Log(t.Context(), &status.UpdateRequestV1{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("who logs waited %v, want not at all", took)
		}
		r.manager.Stop(t.Context())
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the end took %v, want the 5 s of a drain", took)
		}
		r.entry("late", 0)
		if got := r.count(outcome.Dropped); got != 51 {
			t.Errorf("got %v, want all 51 dropped", r.counts)
		}
		close(hang)
		synctest.Wait()
		if got := r.count(outcome.Delivered); got > 0 {
			t.Errorf("got %d delivered, want none that is counted as dropped", got)
		}
	})
}

// TestRestartOverwritesNothing begins again in the same second, as the same replica.
func TestRestartOverwritesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		for i := range 3 {
			r := newRig(t, m, `{"url": "file:///x"}`)
			time.Sleep(time.Microsecond)
			r.entry(fmt.Sprint(i), 0)
			r.manager.Stop(t.Context())
		}
		if got := m.ids(t); !slices.Equal(got, []string{"0", "1", "2"}) {
			t.Errorf("got %q, want the entries of each run", got)
		}
	})
}

// TestStatusThatIsRefusedHoldsNothingUp may not overwrite objects.
func TestStatusThatIsRefusedHoldsNothingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{wrong: func(_ context.Context, name string) error {
			if strings.HasSuffix(name, "status.json") {
				return errors.New("forbidden")
			}
			return nil
		}}
		r := newRig(t, m, `{"url": "file:///x"}`)
		if err := r.plugin.Log(t.Context(), &status.UpdateRequestV1{}); err != nil {
			t.Fatal(err)
		}
		r.entry("one", 0)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		r.wants(t, 1, 0)
		r.manager.Stop(t.Context())
	})
}

// TestPanickingStoreIsAFailure is one more way not to be stored.
func TestPanickingStoreIsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{wrong: func(context.Context, string) error { panic("no") }}
		r := newRig(t, m, `{"url": "file:///x"}`)
		r.entry("one", 0)
		r.manager.Stop(t.Context())
		r.wants(t, 0, 1)
	})
}

// TestReconfigureMovesWhatComes to another place, and loses nothing.
func TestReconfigureMovesWhatComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &memory{}, `{"url": "file:///x"}`)
		r.entry("one", 0)
		other := &memory{}
		factory := store.New(store.Options{Open: func(string) (store.Store, error) { return other, nil }})
		validated, err := factory.Validate(r.manager, []byte(`{"url": "file:///y", "prefix": "other"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.plugin.Reconfigure(t.Context(), validated)
		r.entry("two", 0)
		r.manager.Stop(t.Context())
		if got := other.ids(t); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("got %q, want both in the new place", got)
		}
	})
}
