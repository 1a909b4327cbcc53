package fleet

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/assay-dev/assay/rego/bundle/stores"
)

// undated is a store that does not say when objects were written, as registries do not.
type undated struct{ stores.Store }

func (u undated) List(ctx context.Context, prefix, after string, most int) ([]stores.Entry, error) {
	found, err := u.Store.List(ctx, prefix, after, most)
	for i := range found {
		found[i].Modified, found[i].Size = time.Time{}, -1
	}
	return found, err
}

// TestWhatCannotBeReadIsToldOf: each object by itself, and the rest is answered.
func TestWhatCannotBeReadIsToldOf(t *testing.T) {
	t.Parallel()
	whole := chunkOf(t, denied(ago(time.Hour), "shop", "app", "signed"), denied(ago(time.Hour), "shop", "app", "signed"))
	for _, test := range []struct {
		named, object string
		data          []byte
		says          string
		denials       int64 // of the object, beside one of another
	}{
		{"a chunk that is no gzip", "c/r/decisions/2026/11/26/T110000Z-1.json.gz", []byte("this is no gzip"), "chunk: gzip: invalid header", 0},
		{"an empty chunk", "c/r/decisions/2026/11/26/T110000Z-1.json.gz", nil, "chunk: EOF", 0},
		{"half a chunk", "c/r/decisions/2026/11/26/T110000Z-1.json.gz", whole[:len(whole)-9], "chunk: unexpected EOF", 2},
		{"a chunk that was changed", "c/r/decisions/2026/11/26/T110000Z-1.json.gz", append(bytes.Clone(whole[:len(whole)-8]), 1, 2, 3, 4, 5, 6, 7, 8), "chunk: gzip: invalid checksum", 2},
		{
			"a line that is no entry", "c/r/decisions/2026/11/26/T110000Z-1.json.gz",
			zipped(t, fmt.Appendf(nil, "\n{\"path\":1}\n%s", unzipped(t, whole))), "line 2: json", 2,
		},
		{
			"a line that does not end", "c/r/decisions/2026/11/26/T110000Z-1.json.gz",
			zipped(t, append(unzipped(t, whole), bytes.Repeat([]byte("x"), maxEvent+1)...)), "got a line of more than", 2,
		},
		{"a chunk that is too large", "c/r/decisions/2026/11/26/T110000Z-1.json.gz", make([]byte, maxChunk+1), "too large", 0},
		{"a gzip bomb", "c/r/decisions/2026/11/26/T110000Z-1.json.gz", bomb(t), "bytes unpacked", 0},
		{"a status that is no JSON", "c/r/status.json", []byte("<html>"), "status: invalid character", 0},
		{"a status of nothing", "c/r/status.json", []byte("{}"), "got neither labels nor bundles", 0},
		{"a status of another version", "c/r/status.json", []byte(`{"labels":{"id":"1"},"bundles":[]}`), "status: json", 0},
		{"half a status", "c/r/status.json", []byte(`{"labels":{"id"`), "unexpected end of JSON", 0},
		{"a status that is too large", "c/r/status.json", make([]byte, maxStatus+1), "too large", 0},
	} {
		t.Run(test.named, func(t *testing.T) {
			t.Parallel()
			w := newStore(t)
			w.chunk("c/other", ago(time.Hour), denied(ago(time.Hour), "shop", "app", "signed"))
			w.put(test.object, test.data)
			got := ask(t, w)
			if len(got.NotRead) != 1 || got.NotRead[0].Object != test.object || !strings.Contains(got.NotRead[0].Why, test.says) {
				t.Errorf("not read: got %+v, want %s with %q", got.NotRead, test.object, test.says)
			}
			if got.Denials != 1+test.denials {
				t.Errorf("got %d denials, want %d", got.Denials, 1+test.denials)
			}
		})
	}
}

func unzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// bomb is a little that unpacks to more than is read, in lines that are short.
func bomb(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	line := append(bytes.Repeat([]byte(" "), 1<<16-1), '\n')
	for range maxUnpacked/len(line) + 1 {
		if _, err := w.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestNoTextSpeaksToTheTerminal is about names that stores cannot hold too: another kind of store may.
func TestNoTextSpeaksToTheTerminal(t *testing.T) {
	t.Parallel()
	w := newStore(t)
	const escape = "\x1b]0;owned\x07\u202e\r\n"
	b := active(escape, escape, ago(time.Hour))
	b.SetError(errors.New(escape))
	w.status("c/r", one(b))
	w.chunk("c/r", ago(time.Hour), denied(ago(time.Hour), escape, escape, escape))
	report := ask(t, w)
	report.Replicas[0].Cluster, report.Replicas[0].Name = escape, escape
	report.notRead(escape, escape)
	var out strings.Builder
	if err := report.print(&out, "table", true); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("got %q in %q", r, out.String())
		}
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.HasPrefix(line, "]0;") {
			t.Errorf("got a line that begins with the text of others: %q", line)
		}
	}
}

// endless is a store of more replicas than are looked at.
type endless struct{ stores.Store }

func (endless) List(_ context.Context, _, after string, most int) ([]stores.Entry, error) {
	n := 0
	if after != "" {
		if _, err := fmt.Sscanf(after, "c/r%09d/status.json", &n); err != nil {
			return nil, err
		}
	}
	var out []stores.Entry
	for range most {
		n++
		out = append(out, stores.Entry{Name: fmt.Sprintf("c/r%09d/status.json", n)})
	}
	return out, nil
}

func (endless) Get(context.Context, string, int64) ([]byte, error) {
	return []byte(`{"labels":{"a":"b"}}`), nil
}

func TestAStoreWithoutEnd(t *testing.T) {
	t.Parallel()
	got := ask(t, endless{})
	if len(got.Replicas) != maxReplicas || len(got.NotRead) != 1 || !strings.Contains(got.NotRead[0].Why, "ask by --cluster") {
		t.Errorf("got %d replicas, not read: %+v, want %d and that there are more", len(got.Replicas), got.NotRead, maxReplicas)
	}
}

func TestNamesWithoutEnd(t *testing.T) {
	t.Parallel()
	counted := newTally()
	for i := range maxNames + 5 {
		counted.denial(eventOf(t, fmt.Sprintf("namespace-%d", i)))
	}
	if got := counted.namespaces[others]; got != 5 || len(counted.namespaces) != maxNames+1 {
		t.Errorf("got %d names and %d others, want %d and 5", len(counted.namespaces), got, maxNames+1)
	}
	if got := len(brief(strings.Repeat("ä", mostText))); got > mostText+3 {
		t.Errorf("got a text of %d bytes, want at most %d", got, mostText+3)
	}
}

func eventOf(t *testing.T, namespace string) event {
	t.Helper()
	var e event
	e.Input.Request.Namespace = namespace
	e.Result = &result{}
	return e
}

func TestTheListingGoesPastWhatIsTooOld(t *testing.T) {
	t.Parallel()
	for last, want := range map[string]string{
		"c/r/decisions/2025/01/01/T000000Z-1.json.gz": "c/r/decisions/2026/11/25/T120000Z",
		"c/r/decisions/2026/11/26/T000000Z-1.json.gz": "c/r/decisions/2026/11/26/T000000Z-1.json.gz",
		"c/r/status.json": "c/r/status.json",
		"stray":           "stray",
	} {
		if got := beyond(last, ago(24*time.Hour)); got != want {
			t.Errorf("after %s: got %s, want %s", last, got, want)
		}
	}
}

func FuzzStatus(f *testing.F) {
	for _, seed := range []string{`{}`, `{"labels":{"a":"b"},"bundles":{"x":null}}`, `{"bundle":{"name":"x","errors":["e",{"message":"m"}]}}`, `{"decision_logs":{"metrics":{"counter_decision_logs_dropped_x":1e308}}}`,
		`{"labels":{"a":"b"},"bundles":{"x":{"active_revision":"1"}},"plugins":{"assay":{"state":"ERROR","message":"m"}},"metrics":{"<built-in>":{"counter_decision_logs_dropped_x":3,
		"assay":{"bundles":{"x":{"expires":"2026-11-26T11:00:00Z","source":{"confirmed":"2026-11-26T11:00:00Z","error":"e"}}},"entries":{"queue":{"dropped":3}},
		"canary":{"name":"x","since":"2026-11-26T11:00:00Z","at":"2026-11-26T12:00:00Z","decisions":{"same":1099511627776},"differences":[{"outcome":"unknown","count":1}]}}}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, _ := parseStatus(data)
		if u == nil {
			return
		}
		k := known{held: &held{place: place{"c", "r"}}, update: u, tally: newTally()}
		q := question{now: noon(), stale: 1 << 60, soon: time.Hour, canary: true}
		r := k.replica(q)
		compare([]Replica{r, r})
		report := &Report{
			At: noon(), Replicas: []Replica{r}, Clusters: clusters([]Replica{r, r}), Candidates: candidates([]*known{&k, &k}, []Replica{r, r}, q), top: 10,
		}
		if report.lost() < 0 {
			t.Errorf("got %d decisions lost, want none or more", report.lost())
		}
		for _, form := range []string{"table", "json"} {
			if err := report.print(io.Discard, form, true); err != nil {
				t.Errorf("%s: %v", form, err)
			}
		}
	})
}

func FuzzChunk(f *testing.F) {
	whole := chunkOf(f, denied(noon(), "shop", "app:v1", "signed"), admitted(noon()))
	f.Add(whole, []byte("{}"))
	f.Add(whole[:20], encoded(f, denied(noon(), "shop", "app:v1", "signed")))
	f.Fuzz(func(t *testing.T, data, line []byte) {
		counted := newTally()
		_ = readChunk(data, time.Time{}, counted)
		if err := counted.line(line, time.Time{}); err == nil && counted.Denials+counted.Undecided > counted.Decisions {
			t.Errorf("got %+v, want no more denials than decisions", counted)
		}
	})
}
