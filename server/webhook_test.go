package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/server/admission"
)

// answer is what the API server reads of a response.
type answer struct {
	APIVersion string
	Response   struct {
		UID      string
		Allowed  bool
		Status   struct{ Message, Reason string }
		Warnings []string
		Patch    string
	}
}

func read(t *testing.T, body string) answer {
	t.Helper()
	var a answer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return a
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, _ := tlsConfig(t, ca)
	config.BodyLimit = 1 << 10
	s, client := start(t, config), ca.client(t)
	large := strings.Repeat(" ", 9<<10) + podReview // what it is stands behind what is looked at
	for name, test := range map[string]struct {
		method, path string
		header       http.Header
		body         io.Reader
		status       int
		want         string
	}{
		"an unreadable review": {
			body: strings.NewReader(`{"kind":"Pod"}`), status: 400, want: `kind: got "Pod", want AdmissionReview`},
		"an empty body": {
			body: http.NoBody, status: 400, want: "review: got an empty body, want an AdmissionReview"},
		"a body over the limit with its length": {
			body: strings.NewReader(large), status: 413, want: "review: got 9508 bytes, want at most 1024"},
		"a body over the limit in chunks": {
			body: io.MultiReader(strings.NewReader(large)), status: 413, want: "review: got more than 1024 bytes"},
		"no content type": {
			header: http.Header{}, status: 415, want: `content type: got "", want application/json`},
		"another content type": {
			header: http.Header{"Content-Type": {"text/plain"}}, status: 415,
			want: `content type: got "text/plain", want application/json`},
		"a content type that cannot be parsed": {
			header: http.Header{"Content-Type": {"application/json; ="}}, status: 415,
			want: `content type: got "application/json; =", want application/json`},
		"a compressed body": {
			header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, status: 415,
			want: `content encoding: got "gzip", want none`},
		"a malformed timeout": {
			path: "/validate?timeout=soon", status: 400,
			want: `timeout: got "soon", want a positive duration such as 10s`},
		"a timeout of nothing": {
			path: "/validate?timeout=0s", status: 400,
			want: `timeout: got "0s", want a positive duration such as 10s`},
		"a negative timeout": {
			path: "/validate?timeout=-1s", status: 400,
			want: `timeout: got "-1s", want a positive duration such as 10s`},
		"two timeouts": {
			path: "/validate?timeout=1s&timeout=2s", status: 400, want: "timeout: got 2 of them, want one"},
		"a malformed query": {
			path: "/validate?timeout=%zz", status: 400, want: "query: got an invalid one, want timeout=DURATION"},
		"a GET of a webhook":   {method: "GET", path: "/mutate", status: 405, want: "Method Not Allowed"},
		"a PUT of a webhook":   {method: "PUT", status: 405, want: "Method Not Allowed"},
		"a POST of the health": {path: "/healthz", status: 405, want: "Method Not Allowed"},
		"an unknown route":     {path: "/validations", status: 404, want: "Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, path, body := "POST", "/validate", io.Reader(strings.NewReader(podReview))
			if test.method != "" {
				method = test.method
			}
			if test.path != "" {
				path = test.path
			}
			if test.body != nil {
				body = test.body
			}
			request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{"Content-Type": {"application/json; charset=utf-8"}}
			if test.header != nil {
				request.Header = test.header
			}
			response, got := do(t, client, request)
			want, media := test.want+"\n", "text/plain"
			if method == http.MethodPost {
				want, media = failure(t, test.status, test.want), "application/json"
			}
			if response.StatusCode != test.status || got != want {
				t.Errorf("got %d %q, want %d %q", response.StatusCode, got, test.status, want)
			}
			if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, media) {
				t.Errorf("got content type %q, want %s", got, media)
			}
			if test.status == 405 && response.Header.Get("Allow") == "" {
				t.Error("got no Allow header")
			}
		})
	}
}

// failure is the Status of what is not decided.
func failure(t *testing.T, status int, message string) string {
	t.Helper()
	out, err := admission.Failure(status, message)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// handle asks the handler itself.
func handle(s *Server, path, body string) *httptest.ResponseRecorder {
	return handleFrom(s, path, strings.NewReader(body))
}

func handleFrom(s *Server, path string, body io.Reader) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, path, body)
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	s.Handler().ServeHTTP(recorder, request)
	return recorder
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	pin := admission.PatchOperation{Op: "replace", Path: "/spec/containers/0/image", Value: "a"}
	for name, test := range map[string]struct {
		path     string
		decision Decision
		err      error
		want     answer
	}{
		"an admission with a warning": {
			path:     "/validate",
			decision: Decision{Verdict: admission.Verdict{Allowed: true, Warnings: []string{"a\nb"}}},
			want:     respond(true, "", "a", "b"),
		},
		"a denial": {
			path:     "/validate",
			decision: Decision{Verdict: admission.Verdict{Reasons: []string{"r1", "r2"}}},
			want:     respond(false, "validation failed: r1\nr2"),
		},
		"the zero decision denies": {
			path: "/validate",
			want: respond(false, "validation failed: denied without a reason"),
		},
		"an error denies, whatever came with it": {
			path:     "/validate",
			decision: Decision{Verdict: admission.Verdict{Allowed: true, Patch: []admission.PatchOperation{pin}}},
			err:      errors.New("no policies"),
			want:     respond(false, "validation failed: could not decide: no policies"),
		},
		"an error while mutating denies": {
			path: "/mutate",
			err:  errors.New("no policies"),
			want: respond(false, "mutation failed: could not decide: no policies"),
		},
		"a patch while mutating": {
			path:     "/mutate",
			decision: Decision{Verdict: admission.Verdict{Allowed: true, Patch: []admission.PatchOperation{pin}}},
			want:     patched(respond(true, ""), `[{"op":"replace","path":"/spec/containers/0/image","value":"a"}]`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := plainConfig()
			config.Validate = DeciderFunc(func(_ context.Context, review []byte) (Decision, error) {
				if string(review) != podReview {
					t.Errorf("got review %q, want the bytes as they came", review)
				}
				return test.decision, test.err
			})
			config.Mutate = config.Validate
			s, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			recorder := handle(s, test.path, podReview)
			if recorder.Code != 200 {
				t.Fatalf("got %d %s, want 200", recorder.Code, recorder.Body)
			}
			if diff := cmp.Diff(test.want, read(t, recorder.Body.String())); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func respond(allowed bool, message string, warnings ...string) answer {
	a := answer{APIVersion: "admission.k8s.io/v1"}
	a.Response.UID, a.Response.Allowed, a.Response.Warnings = "u-1", allowed, warnings
	if a.Response.Status.Message = message; message != "" {
		a.Response.Status.Reason = "BadRequest"
	}
	return a
}

func patched(a answer, patch string) answer {
	a.Response.Patch = base64.StdEncoding.EncodeToString([]byte(patch))
	return a
}

func TestPanicDenies(t *testing.T) {
	t.Parallel()
	for name, decider := range map[string]DeciderFunc{
		"a panic":           func(context.Context, []byte) (Decision, error) { panic("boom") },
		"a panic with nil":  func(context.Context, []byte) (Decision, error) { panic(nil) },
		"an abort":          func(context.Context, []byte) (Decision, error) { panic(http.ErrAbortHandler) },
		"a nil map":         func(context.Context, []byte) (Decision, error) { var m map[int]int; m[0]++; return Decision{}, nil }, //nolint:staticcheck // that it panics is the point
		"a decider of none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := plainConfig()
			var log *journal
			config.Logger, log = newJournal(t)
			config.Validate = decider
			s, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time shows that the first gave its slot back
				recorder := handle(s, "/validate", podReview)
				got := read(t, recorder.Body.String()).Response
				prefix := "validation failed: internal error: the log has its cause under "
				id, ok := strings.CutPrefix(got.Status.Message, prefix)
				if recorder.Code != 200 || got.Allowed || !ok || len(id) < 20 {
					t.Fatalf("got %d %+v, want a denial with an id", recorder.Code, got)
				}
				line := log.wait(t, "panic while deciding")
				if line["id"] != id || !strings.Contains(fmt.Sprint(line["stack"]), "webhook.go") {
					t.Errorf("got log %v, want id %s and the stack", line, id)
				}
			}
		})
	}
}

func TestDeadlineIsBeforeTheOneOfTheAPIServer(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]time.Duration{
		"":                 3750 * time.Millisecond,
		"?timeout=3s":      2750 * time.Millisecond,
		"?timeout=30s":     3750 * time.Millisecond,
		"?timeout=1h0s":    3750 * time.Millisecond,
		"?timeout=1001ms":  751 * time.Millisecond,
		"?timeout=1s":      time.Second,
		"?timeout=0s100ms": 100 * time.Millisecond,
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // where time stands still
				config := plainConfig()
				config.Timeout = 4 * time.Second
				var got time.Duration
				config.Validate = DeciderFunc(func(ctx context.Context, _ []byte) (Decision, error) {
					deadline, _ := ctx.Deadline()
					got = time.Until(deadline)
					return Decision{}, nil
				})
				s, err := New(config)
				if err != nil {
					t.Fatal(err)
				}
				handle(s, "/validate"+query, podReview)
				if got != want {
					t.Errorf("got a deadline %s after the start, want %s", got, want)
				}
			})
		})
	}
}

func TestLogSaysWhatWasDecidedAndNothingElse(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	var log *journal
	config.Logger, log = newJournal(t)
	config.Validate = DeciderFunc(func(context.Context, []byte) (Decision, error) {
		return Decision{Verdict: admission.Verdict{Reasons: []string{"r"}}, Images: 3}, nil
	})
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	handle(s, "/validate", podReview)
	got := log.wait(t, "decided")
	if _, ok := got["duration"].(float64); !ok {
		t.Errorf("got duration %v, want a number", got["duration"])
	}
	delete(got, "duration")
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "decided", "webhook": "validate", "uid": "u-1", "kind": "Pod", "subresource": "",
		"namespace": "shop", "name": "web", "operation": "CREATE", "dry_run": false, "allowed": false,
		"images": 3.0, "reasons": []any{"r"}, "warnings": nil,
		"set": "", "codes": []any{}, "failed": []any{}, "evaluations": 0.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log line (-want +got):\n%s", diff)
	}
}

func BenchmarkHandler(b *testing.B) {
	s, err := New(plainConfig())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := handle(s, "/validate?timeout=10s", podReview).Code; got != 200 {
			b.Fatalf("got %d, want 200", got)
		}
	}
}
