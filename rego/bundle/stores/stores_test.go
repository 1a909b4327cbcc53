package stores_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/bundle/stores"
)

// kinds are the stores that must behave alike, each empty, with the second of two that open the same place.
func kinds() map[string]func(t *testing.T) (one, two stores.Store) {
	return map[string]func(t *testing.T) (one, two stores.Store){
		"file": func(t *testing.T) (one, two stores.Store) {
			dir := t.TempDir()
			return open(t, "file://"+dir, stores.Options{}), open(t, "file://"+dir, stores.Options{})
		},
		"s3": func(t *testing.T) (one, two stores.Store) {
			s := newS3(t)
			return open(t, s.url, s.opts), open(t, s.url, s.opts)
		},
		"oci": func(t *testing.T) (one, two stores.Store) {
			where, opts := newRegistry(t)
			return open(t, where, opts), open(t, where, opts)
		},
	}
}

func open(t *testing.T, where string, opts stores.Options) stores.Store {
	t.Helper()
	s, err := stores.Open(t.Context(), where, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// each runs a test against every kind of store.
func each(t *testing.T, of func(t *testing.T, one, two stores.Store)) {
	t.Parallel()
	for name, make := range kinds() {
		t.Run(name, func(t *testing.T) {
			one, two := make(t)
			of(t, one, two)
		})
	}
}

func put(t *testing.T, s stores.Store, name, data string) {
	t.Helper()
	if err := s.Put(t.Context(), name, []byte(data)); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func names(t *testing.T, s stores.Store, prefix, after string, most int) []string {
	t.Helper()
	found, err := s.List(t.Context(), prefix, after, most)
	if err != nil {
		t.Fatalf("list %q after %q: %v", prefix, after, err)
	}
	var names []string
	for _, e := range found {
		names = append(names, e.Name)
	}
	return names
}

func TestAnObjectIsReadAsItWasWritten(t *testing.T) {
	each(t, func(t *testing.T, one, two stores.Store) {
		for name, data := range map[string]string{
			"prod/a-1/status.json": `{"labels":{}}`,
			"prod/a_1/status.json": "of another, whose name differs by one character",
			"empty":                "",
			"prod/a-1/decisions/2026/11/26/T101500Z-000001.json.gz": "\x1f\x8b\x00\xff binary",
			"a_.b/c__d/e.._f": "what is escaped in tags",
			"large":           strings.Repeat("0123456789abcdef", 1<<16),
		} {
			put(t, one, name, data)
			got, err := two.Get(t.Context(), name, 1<<20)
			if err != nil {
				t.Fatalf("get %s: %v", name, err)
			}
			if string(got) != data {
				t.Errorf("%s: got %d bytes, want the %d that were written", name, len(got), len(data))
			}
		}
	})
}

func TestTheLastWriterWins(t *testing.T) {
	each(t, func(t *testing.T, one, two stores.Store) {
		put(t, one, "c/r/status.json", "first")
		put(t, two, "c/r/status.json", "second, which is longer")
		put(t, one, "c/r/status.json", "third")
		got, err := two.Get(t.Context(), "c/r/status.json", 100)
		if err != nil || string(got) != "third" {
			t.Errorf("got %q, %v, want third", got, err)
		}
		if diff := cmp.Diff([]string{"c/r/status.json"}, names(t, one, "", "", 10)); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
	})
}

func TestTwoWritersAtOnceLeaveOneWholeObject(t *testing.T) {
	each(t, func(t *testing.T, one, two stores.Store) {
		put(t, one, "c/r/status.json", strings.Repeat("0", 1000))
		var wg sync.WaitGroup
		for i, s := range []stores.Store{one, two} {
			wg.Go(func() {
				for n := range 10 {
					put(t, s, "c/r/status.json", strings.Repeat(fmt.Sprint(i+1), 1000*(i+1)))
					put(t, s, fmt.Sprintf("c/r%d/decisions/%02d.json.gz", i, n), "chunk")
				}
			})
		}
		wg.Go(func() {
			for range 20 {
				got, err := two.Get(t.Context(), "c/r/status.json", 10000)
				if err != nil {
					t.Errorf("while others write: %v", err)
				} else if len(got) == 0 || strings.Trim(string(got), string(got[:1])) != "" || len(got)%1000 != 0 {
					t.Errorf("while others write: got %d bytes that nobody wrote", len(got))
				}
			}
		})
		wg.Wait()
		if got := names(t, one, "c/r", "", 100); len(got) != 21 {
			t.Errorf("got %d objects, want 20 chunks and a status: %q", len(got), got)
		}
	})
}

func TestListings(t *testing.T) {
	all := []string{
		"a-b/x", "a.b/x", "a/decisions/2026/11/25/T1.gz", "a/decisions/2026/11/26/T1.gz", "a/decisions/2026/11/26/T2.gz", "a/status.json", "a_b/x", "aa/x", "b",
	}
	each(t, func(t *testing.T, one, two stores.Store) {
		for _, name := range all {
			put(t, one, name, "x")
		}
		for _, test := range []struct {
			named, prefix, after string
			most                 int
			want                 []string
		}{
			{named: "all, by the bytes of names", most: 100, want: all},
			{named: "no more than asked for", most: 2, want: all[:2]},
			{named: "none of none", most: 0},
			{named: "a directory", prefix: "a/", most: 100, want: all[2:6]},
			{named: "a beginning", prefix: "a", most: 100, want: all[:8]},
			{named: "a day", prefix: "a/decisions/2026/11/26/", most: 100, want: all[3:5]},
			{named: "what comes after", after: "a/decisions/2026/11/26/T1.gz", most: 100, want: all[4:]},
			{named: "what comes after what is not there", prefix: "a/", after: "a/decisions/2026/11/25/T999.gz", most: 100, want: all[3:6]},
			{named: "nothing after the last", after: "b", most: 100},
			{named: "nothing where nothing is", prefix: "nowhere/", most: 100},
		} {
			if diff := cmp.Diff(test.want, names(t, two, test.prefix, test.after, test.most)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.named, diff)
			}
		}
		found, err := two.List(t.Context(), "b", "", 1)
		if err != nil || len(found) != 1 || found[0].Size != 1 && found[0].Size != -1 {
			t.Errorf("got %+v, %v, want a size of 1, or -1 for unknown", found, err)
		}
	})
}

func TestListingsOfManyPages(t *testing.T) {
	each(t, func(t *testing.T, one, _ stores.Store) {
		var want []string
		var wg sync.WaitGroup
		for i := range 1205 {
			name := fmt.Sprintf("c/r/decisions/%05d", i)
			want = append(want, name)
			wg.Go(func() { put(t, one, name, "same") })
			if i%16 == 0 {
				wg.Wait()
			}
		}
		wg.Wait()
		if diff := cmp.Diff(want, names(t, one, "c/", "", 5000)); diff != "" {
			t.Errorf("in one listing (-want +got):\n%s", diff)
		}
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			page := names(t, one, "c/", after, 500)
			if got = append(got, page...); len(page) < 500 {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("one listing after the other (-want +got):\n%s", diff)
		}
	})
}

func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, one, two stores.Store) {
		put(t, one, "c/r/status.json", "0123456789")
		for _, test := range []struct {
			named string
			of    func(ctx context.Context) error
			want  error
		}{
			{named: "an object that is not there", want: stores.ErrNotFound, of: func(ctx context.Context) error {
				_, err := two.Get(ctx, "c/r/other.json", 100)
				return err
			}},
			{named: "an object longer than asked for", want: stores.ErrTooLarge, of: func(ctx context.Context) error {
				_, err := two.Get(ctx, "c/r/status.json", 9)
				return err
			}},
			{named: "an object longer than any", want: stores.ErrTooLarge, of: func(ctx context.Context) error {
				return two.Put(ctx, "huge", make([]byte, stores.MaxObject+1))
			}},
			{named: "a caller who left", want: context.Canceled, of: func(ctx context.Context) error {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				_, err := two.List(ctx, "", "", 10)
				return err
			}},
		} {
			if err := test.of(t.Context()); !errors.Is(err, test.want) {
				t.Errorf("%s: got %v, want %v", test.named, err, test.want)
			}
		}
		for _, name := range []string{
			"", "/", "/etc/passwd", "../up", "a/../../up", "a/..", "a/./b", "a//b", "a/", ".hidden", "a/.hidden", "-flag", "a b", "a\nb", "a\x00b", `a\b`, "a%2fb",
			"ä", "\x1b[31m", "a?b", "a#b", "_a", strings.Repeat("a", stores.MaxName+1),
		} {
			if err := two.Put(t.Context(), name, []byte("x")); err == nil {
				t.Errorf("put %q: got no error", name)
			}
			if _, err := two.Get(t.Context(), name, 10); err == nil {
				t.Errorf("get %q: got no error", name)
			}
		}
		if diff := cmp.Diff([]string{"c/r/status.json"}, names(t, one, "", "", 10)); diff != "" {
			t.Errorf("names after refusals (-want +got):\n%s", diff)
		}
	})
}

func TestURLsThatNameNoStore(t *testing.T) {
	t.Parallel()
	for where, want := range map[string]string{
		"":                                       `got scheme "", want file, s3 or oci`,
		"/var/lib/assay":                         `got scheme ""`,
		"http://host/":                           `got scheme "http"`,
		"file://host/dir":                        `got host "host"`,
		"file://":                                "want file:///dir",
		"file:///nowhere/at/all":                 "not found",
		"file:///tmp?region=x":                   "parameter region",
		"file:relative":                          "want file://",
		"s3:///prefix":                           "got no bucket",
		"s3://bucket?endpiont=x":                 `parameter endpiont: want one of`,
		"s3://bucket?region=a&region=b":          "got it 2 times",
		"s3://bucket?endpoint=http://host":       "want https, or insecure=true",
		"s3://bucket?endpoint=host:9000":         "want https://host:port",
		"s3://bucket?endpoint=https://host/path": "want https://host:port",
		"s3://bucket?endpoint=https://u:p@host":  "want https://host:port",
		"s3://bucket?endpoint=http://host&insecure=yes":            `got "yes", want true or false`,
		"s3://bucket/../other":                                     "prefix: name",
		"s3://key:secret@bucket/prefix":                            "got credentials in the URL",
		"oci://registry.example.com":                               "repository",
		"oci://registry.example.com/UPPER":                         "repository",
		"oci://registry.example.com/a:tag":                         "repository",
		"oci://localhost:5000/a":                                   "reached by plain HTTP",
		"oci://registry.example.com/a?endpoint=https://elsewhere/": "parameter endpoint",
	} {
		if _, err := stores.Open(t.Context(), where, stores.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", where, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got the secret in %v", where, err)
		}
	}
}

// TestASlowStoreCostsOneDeadline is by [stores.Options.Timeout]: the callers here have none.
func TestASlowStoreCostsOneDeadline(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]string{
		"s3": "s3://bucket?anonymous=true&insecure=true&endpoint=http://%s", "oci": "oci://%s/fleet?insecure=true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, opts := stalling(t)
			opts.Timeout = 50 * time.Millisecond
			s := open(t, fmt.Sprintf(where, host), opts)
			_, got := s.Get(t.Context(), "a", 10)
			_, listed := s.List(t.Context(), "a", "", 10)
			for _, err := range []error{got, listed, s.Put(t.Context(), "a", []byte("x"))} {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
				}
			}
		})
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"prod/a-1/decisions/2026/11/26/T101500Z-000001.json.gz", "a_b/c", "a_.b", "..", "a/_", "\xff"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name string) {
		if stores.CheckName(name) != nil {
			return
		}
		tag, err := stores.TagOf(name)
		if err == nil {
			if back, ok := stores.NameOf(tag); !ok || back != name {
				t.Errorf("%q: got %q, %v back from %q", name, back, ok, tag)
			}
		}
		s := open(t, "file://"+dir, stores.Options{})
		if s.Put(t.Context(), name, []byte(name)) != nil {
			return // too long for the file system, or below what is a file already
		}
		got, err := s.Get(t.Context(), name, stores.MaxName)
		if !bytes.Equal(got, []byte(name)) {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	})
}

func FuzzTags(f *testing.F) {
	for _, seed := range []string{"a_b", "a_.b", "latest", "_", "a_._b", "a__b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		name, ok := stores.NameOf(tag)
		if !ok {
			return
		}
		if back, err := stores.TagOf(name); back != tag {
			t.Errorf("%q: got %q, %v back from %q", tag, back, err, name)
		}
	})
}
