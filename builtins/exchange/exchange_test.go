package exchange_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/oci"
)

const ref = "ghcr.io/acme/app@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"

// registry answers every call with something that has all of its type.
type registry struct{ exchange.Registry }

var errRefused = &oci.Error{Code: oci.RateLimited, Message: "slower", Err: errors.New("status 429")}

func (registry) Resolve(context.Context, oci.Credentials, string) (string, error) {
	return "sha256:00", nil
}

func (registry) Signatures(context.Context, oci.Credentials, string, oci.Place) (oci.List, error) {
	return oci.List{Digest: "sha256:11", Where: []string{"a tag"}, Layers: []oci.Layer{
		{MediaType: "text/plain", Digest: strings.Split(ref, "@")[1], Annotations: map[string]string{"a": "b"}, Content: []byte("hello")},
		{Digest: "sha256:22", Err: &oci.Error{Code: oci.Timeout, Message: "late"}},
	}}, nil
}

func (r registry) Attestations(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return oci.List{}, errRefused
}

func (r registry) Bundles(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error) {
	return oci.List{Digest: "sha256:33"}, nil
}

func (registry) Count(context.Context, oci.Credentials, string, oci.Place, oci.Storage) (int, error) {
	return 3, nil
}

func (registry) Manifest(context.Context, oci.Credentials, string) ([]byte, error) {
	return []byte("hello"), nil
}
func (registry) Index(context.Context, oci.Credentials, string) ([]byte, error) {
	return []byte("hello"), nil
}
func (registry) Blob(context.Context, oci.Credentials, string) ([]byte, error) {
	return []byte("hello"), nil
}

func (registry) Configs(context.Context, oci.Credentials, string) (map[string]json.RawMessage, error) {
	return map[string]json.RawMessage{"linux/amd64": json.RawMessage(`{"os":"linux"}`)}, nil
}

func (registry) Config(context.Context, oci.Credentials, string) (json.RawMessage, error) {
	return json.RawMessage(`{"os":"linux"}`), nil
}

func (registry) Referrers(context.Context, oci.Credentials, string) ([]oci.Referrer, error) {
	return []oci.Referrer{{MediaType: "a", Digest: "sha256:44", Size: 5, Annotations: map[string]string{"c": "d"}, Ref: "e"}}, nil
}

func (registry) Files(context.Context, oci.Credentials, string, []string) (oci.Files, error) {
	return oci.Files{
		Text: map[string]string{"/a": "b"}, Links: map[string]string{}, Missing: []string{"/c"}, Unreadable: map[string]string{"/d": "a directory"},
	}, nil
}

// everything makes each call of a registry once, by reflection: a method that is new
// has to be recorded and replayed.
func everything(ctx context.Context, r exchange.Registry, tenant string) map[string][]any {
	out := map[string][]any{}
	value, kind := reflect.ValueOf(r), reflect.TypeFor[exchange.Registry]()
	for i := range kind.NumMethod() {
		method := kind.Method(i)
		var in []reflect.Value
		for j := range method.Type.NumIn() {
			switch method.Type.In(j) {
			case reflect.TypeFor[context.Context]():
				in = append(in, reflect.ValueOf(ctx))
			case reflect.TypeFor[oci.Credentials]():
				in = append(in, reflect.ValueOf(oci.Credentials{ID: tenant}))
			case reflect.TypeFor[string]():
				in = append(in, reflect.ValueOf(ref))
			case reflect.TypeFor[[]string]():
				in = append(in, reflect.ValueOf([]string{"/a", "/c"}))
			default:
				in = append(in, reflect.Zero(method.Type.In(j)))
			}
		}
		for _, answer := range value.MethodByName(method.Name).Call(in) {
			out[method.Name] = append(out[method.Name], answer.Interface())
		}
	}
	return out
}

// recorded is what a question that makes every call leads to.
func recorded(t *testing.T) (records exchange.Records, blobs map[string][]byte, answers map[string][]any) {
	t.Helper()
	log, blobs := exchange.NewLog("all\x00\"of it\""), map[string][]byte{}
	answers = everything(exchange.Into(t.Context(), log), exchange.Recording(registry{}), "tenant")
	records, err := exchange.Tape{Session: "tenant", Logs: []*exchange.Log{log}}.Records(func(content []byte) string {
		blobs[strings.Split(ref, "@")[1]] = content
		return strings.Split(ref, "@")[1]
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, blobs, answers
}

func replayOf(t *testing.T, records exchange.Records, blobs map[string][]byte) *exchange.Replay {
	t.Helper()
	text, err := json.Marshal(records) // as it is written and read
	var read exchange.Records          // its own: JSON is read into the bytes that a slice has
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := exchange.NewReplay(read, func(digest string) ([]byte, error) {
		if content, ok := blobs[digest]; ok {
			return content, nil
		}
		return nil, errors.New("no such blob")
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEveryCallIsReplayedAsItWasAnswered(t *testing.T) {
	t.Parallel()
	records, blobs, want := recorded(t)
	// The credentials of the session are an alias by then.
	got := everything(t.Context(), replayOf(t, records, blobs), "session")
	// Of an error the code and the message are left.
	want["Attestations"][1] = &oci.Error{Code: oci.RateLimited, Message: "slower"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-recorded +replayed:\n%s", diff)
	}
	for _, record := range records.Exchanges {
		if record.As == "tenant" {
			t.Errorf("%s: got the ID of credentials in a record", record.Name)
		}
	}
}

func TestNothingElseIsAnswered(t *testing.T) {
	t.Parallel()
	records, blobs, _ := recorded(t)
	r := replayOf(t, records, blobs)
	log := exchange.NewLog("another question")
	ctx := exchange.Into(t.Context(), log)
	recording := exchange.Recording(r)
	_, err := recording.Signatures(ctx, oci.Credentials{ID: "session"}, "ghcr.io/acme/other@sha256:00", oci.Place{})
	if !errors.Is(err, oci.Unreachable) || !errors.Is(err, exchange.ErrNotRecorded) ||
		!strings.Contains(err.Error(), "not recorded: signatures ghcr.io/acme/other@sha256:00") {
		t.Errorf("another image: got %v, want the question in a refusal", err)
	}
	if _, err := recording.Signatures(ctx, oci.Credentials{ID: "pull-secrets-2"}, ref, oci.Place{}); !errors.Is(err, exchange.ErrNotRecorded) {
		t.Errorf("somebody else: got %v, want nothing that was said to another", err)
	}
	// A count is for messages: without it the verdict is the same.
	if _, err := recording.Count(ctx, oci.Credentials{ID: "session"}, "other", oci.Place{}, oci.Referrers); !errors.Is(err, exchange.ErrNotRecorded) {
		t.Errorf("count: got %v", err)
	}
	if got := log.NotRecorded(); len(got) != 2 {
		t.Errorf("got %q, want two calls that were not recorded", got)
	}
	delete(blobs, strings.Split(ref, "@")[1])
	if _, err := r.Manifest(t.Context(), oci.Credentials{ID: "session"}, ref); !errors.Is(err, exchange.ErrNotRecorded) {
		t.Errorf("a blob that is gone: got %v", err)
	}
	blobs[strings.Split(ref, "@")[1]] = []byte("other bytes")
	if _, err := r.Manifest(t.Context(), oci.Credentials{ID: "session"}, ref); !errors.Is(err, exchange.ErrNotRecorded) {
		t.Errorf("other bytes under its digest: got %v", err)
	}
}

func TestRecordsThatPointNowhere(t *testing.T) {
	t.Parallel()
	for _, i := range []int{-1, 1} {
		records := exchange.Records{Exchanges: make([]exchange.Record, 1), Questions: []exchange.Answered{{Question: "q", Exchanges: []int{i}}}}
		if _, err := exchange.NewReplay(records, nil); err == nil {
			t.Errorf("exchange %d of 1: got no error", i)
		}
	}
}

// TestTwoAnswersToOneCall: which of them was meant cannot be known, so it is neither.
func TestTwoAnswersToOneCall(t *testing.T) {
	t.Parallel()
	call := exchange.Call{Name: "resolve", As: "session", Ref: "ghcr.io/acme/app:1"}
	one, other := exchange.Record{Call: call, Answer: json.RawMessage(`"sha256:11"`)}, exchange.Record{Call: call, Answer: json.RawMessage(`"sha256:22"`)}
	none := exchange.Record{Call: call, Error: &exchange.Refusal{Code: "timeout", Message: "late"}}
	for _, tt := range []struct {
		name     string
		records  []exchange.Record
		own      []int
		question string
		want     string // nothing where it is refused
	}{
		{"the same answer twice", []exchange.Record{one, one}, []int{0, 1}, "own", "sha256:11"},
		{"its own of two", []exchange.Record{one, other}, []int{0}, "own", "sha256:11"},
		{"its own of two, in another order", []exchange.Record{other, one}, []int{1}, "own", "sha256:11"},
		{"two of its own", []exchange.Record{one, other}, []int{0, 1}, "own", ""},
		{"two of its own, in another order", []exchange.Record{one, other}, []int{1, 0}, "own", ""},
		{"an answer and a refusal of its own", []exchange.Record{one, none}, []int{1, 0}, "own", ""},
		{"a third like the first", []exchange.Record{one, other, one}, []int{0, 1, 2}, "own", ""},
		{"two of others", []exchange.Record{one, other}, []int{0}, "another", ""},
		{"two of others, and a third like the first", []exchange.Record{one, other, one}, nil, "another", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := replayOf(t, exchange.Records{Exchanges: tt.records, Questions: []exchange.Answered{{Question: exchange.Name("own"), Exchanges: tt.own}}}, nil)
			got, err := r.Resolve(exchange.Into(t.Context(), exchange.NewLog(tt.question)), oci.Credentials{ID: "session"}, call.Ref)
			switch {
			case tt.want != "" && (err != nil || got != tt.want):
				t.Errorf("got %q and error %v, want %q", got, err, tt.want)
			case tt.want == "" && (!errors.Is(err, exchange.ErrNotRecorded) || !errors.Is(err, oci.Unreachable) || !strings.Contains(err.Error(), "different answers") || got != ""):
				t.Errorf("got %q and error %v, want neither answer", got, err)
			}
		})
	}
}

// TestRecordsThatContradictThemselves are none.
func TestRecordsThatContradictThemselves(t *testing.T) {
	t.Parallel()
	secrets := []string{"pull"}
	for _, tt := range []struct {
		name    string
		records exchange.Records
		says    string // nothing where they are read
	}{
		{"a question twice", exchange.Records{Questions: []exchange.Answered{{Question: "q"}, {Question: "q"}}}, "question q: got it twice"},
		{"two verdicts of a policy", exchange.Records{Judged: []exchange.Given{{Question: "p", Code: "timeout"}, {Question: "p", Code: "canceled"}}}, "question p: got it twice"},
		{"a verdict of a policy and a question", exchange.Records{
			Questions: []exchange.Answered{{Question: "q"}}, Judged: []exchange.Given{{Question: "q", Code: "timeout"}},
		}, "question q: got it twice"},
		{"pull secrets twice", exchange.Records{Pulled: []exchange.Pulled{
			{Namespace: "n", Names: secrets, As: "session"}, {Namespace: "n", Names: secrets, As: "pull-secrets-2"},
		}}, `pull secrets "n" ["pull"]: got them twice`},
		{"pull secrets of two namespaces", exchange.Records{Pulled: []exchange.Pulled{
			{Namespace: "n", Names: secrets, As: "session"}, {Namespace: "m", Names: secrets, As: "pull-secrets-2"},
		}}, ""},
	} {
		_, err := exchange.NewReplay(tt.records, nil)
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: got error %v, want %q", tt.name, err, tt.says)
		}
	}
}

func TestNamesOfQuestionsAreShortAndTheirOwn(t *testing.T) {
	t.Parallel()
	first, second := exchange.Name("b\x00\"image\"\x00{1}"), exchange.Name("b\x00\"image\"\x00{2}")
	if !strings.HasPrefix(first, "b image ") || first == second {
		t.Errorf("got %q and %q", first, second)
	}
	if long := exchange.Name("b\x00" + strings.Repeat("x", 1<<20)); len(long) > 300 {
		t.Errorf("got a name of %d bytes", len(long))
	}
}
