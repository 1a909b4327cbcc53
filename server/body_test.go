package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/assay-dev/assay/server/admission"
)

// reviewOf is a review of so many bytes.
func reviewOf(size int) string {
	start := strings.TrimSuffix(podReview, "}}") + `,"options":"`
	return start + strings.Repeat("x", size-len(start)-len(`"}}`)) + `"}}`
}

func TestReviewOverTheLimitIsDenied(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body io.Reader
		path string
		want string
	}{
		"with its length":  {strings.NewReader(reviewOf(5000)), "/validate", "validation failed: review: got 5000 bytes, want at most 1024"},
		"in chunks":        {io.MultiReader(strings.NewReader(reviewOf(5000))), "/validate", "validation failed: review: got more than 1024 bytes"},
		"while mutating":   {strings.NewReader(reviewOf(1025)), "/mutate", "mutation failed: review: got 1025 bytes, want at most 1024"},
		"by a megabyte":    {strings.NewReader(reviewOf(1 << 20)), "/validate", "validation failed: review: got 1048576 bytes, want at most 1024"},
		"far too large":    {io.MultiReader(strings.NewReader(reviewOf(1<<20)), io.LimitReader(endless{}, 2*mostThrownAway)), "/validate", "validation failed: review: got more than 1024 bytes"},
		"cut at the limit": {io.MultiReader(strings.NewReader(reviewOf(1025)[:1025])), "/validate", "validation failed: review: got more than 1024 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := plainConfig()
			config.BodyLimit = 1 << 10
			var log *journal
			config.Logger, log = newJournal(t)
			s, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			recorder := handleFrom(s, test.path, test.body)
			got := read(t, recorder.Body.String()).Response
			if recorder.Code != 200 || got.Allowed || got.UID != "u-1" || got.Status.Message != test.want {
				t.Errorf("got %d %+v, want a denial: %s", recorder.Code, got, test.want)
			}
			if line := log.wait(t, "decided"); line["uid"] != "u-1" || line["namespace"] != "shop" || line["allowed"] != false {
				t.Errorf("got the log line %v, want it to name the object", line)
			}
			_, metrics := page(s, "/metrics")
			wantLine(t, metrics, fmt.Sprintf(`assay_admission_requests_total{path=%q,result="denied"} 1`, test.path[1:]))
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// What is within the limit in bytes, and has more in it than is read, is denied as well.
func TestReviewWithTooMuchInItIsDenied(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.Validate = DeciderFunc(func(context.Context, []byte) (Decision, error) {
		return Decision{}, errors.New("asked about what was not read")
	})
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ options, want string }{
		"values":  {"[" + strings.Repeat("0,", admission.MaxValues) + "0]", "values or more"},
		"nesting": {strings.Repeat("[", admission.MaxDepth+1) + strings.Repeat("]", admission.MaxDepth+1), "nested deeper"},
	} {
		recorder := handle(s, "/validate", strings.TrimSuffix(podReview, "}}")+`,"options":`+test.options+"}}")
		got := read(t, recorder.Body.String()).Response
		if recorder.Code != 200 || got.Allowed || !strings.Contains(got.Status.Message, test.want) {
			t.Errorf("%s: got %d %+v, want a denial", name, recorder.Code, got)
		}
	}
}

// TestReviewOverTheLimitReachesWhoStillWrites, on connections that stay.
func TestReviewOverTheLimitReachesWhoStillWrites(t *testing.T) {
	t.Parallel()
	s := start(t, plainConfig())
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	body := reviewOf(bodyLimit + 12<<20)
	for range 2 {
		response, got := post(t, client, s.url+"/validate", body)
		if a := read(t, got).Response; response.StatusCode != 200 || a.Allowed || !strings.Contains(a.Status.Message, "want at most 19922944") {
			t.Errorf("got %d %s, want a denial", response.StatusCode, got)
		}
	}
}

// TestBodyLimitAdmitsWhatCanBeStored: an update of an object as large as etcd takes one, of
// signs that JSON writes with six times their bytes, and the headers of a request.
func TestBodyLimitAdmitsWhatCanBeStored(t *testing.T) {
	t.Parallel()
	const stored, headers, escaped = 3 << 19, 1 << 20, 6
	s, err := New(plainConfig())
	if err != nil {
		t.Fatal(err)
	}
	if got := handle(s, "/validate", reviewOf(2*escaped*stored+headers)); got.Code != 200 || !read(t, got.Body.String()).Response.Allowed {
		t.Errorf("got %d %s, want it admitted", got.Code, got.Body)
	}
}

// ended is a context that has ended, with which nothing waits.
func ended(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// isFree says whether nothing of a memory is taken.
func (m *memory) isFree() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.free == m.all && len(m.held) == 0
}

// TestLargeReviewsAreBoundedAllTogether, and small ones come in beside them.
func TestLargeReviewsAreBoundedAllTogether(t *testing.T) {
	t.Parallel()
	memory := newMemory(memoryOfReviews)
	w := &webhook{server: &Server{config: Config{BodyLimit: bodyLimit}}, memory: memory}
	take := func(size int) (*room, error) {
		request := httptest.NewRequest(http.MethodPost, "/validate", bytes.NewReader(make([]byte, size)))
		request.Header.Set("Content-Type", "application/json")
		r := &room{of: memory}
		_, err := w.read(ended(t), echo.New().NewContext(request, httptest.NewRecorder()), r)
		return r, err
	}
	var held []*room
	for {
		r, err := take(10 << 20)
		if err != nil {
			r.leave()
			break
		}
		held = append(held, r)
	}
	if got, want := len(held), memoryOfReviews/(10<<20); got != want {
		t.Errorf("got %d reviews at once, want %d", got, want)
	}
	if r, err := take(smallBody - 1); err != nil || r.held != 0 {
		t.Errorf("a small one: got %v, holding %d bytes, want it read beside them", err, r.held)
	}
	held[0].leave()
	if _, err := take(10 << 20); err != nil {
		t.Errorf("after one has ended: got %v, want room", err)
	}
}

// TestSlowBodiesTakeTheRoomOfWhatArrived, whatever length they announce.
func TestSlowBodiesTakeTheRoomOfWhatArrived(t *testing.T) {
	t.Parallel()
	s, err := New(plainConfig())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * memoryOfReviews / bodyLimit {
		body, rest := io.Pipe()
		t.Cleanup(func() { _ = rest.Close() })
		request := httptest.NewRequest(http.MethodPost, "/validate", body)
		request.Header.Set("Content-Type", "application/json")
		request.ContentLength = bodyLimit
		go s.Handler().ServeHTTP(httptest.NewRecorder(), request)
		if _, err := rest.Write([]byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	if got := handle(s, "/validate", reviewOf(1<<20)); got.Code != 200 {
		t.Errorf("got %d %s, want 200", got.Code, got.Body)
	}
}

// asked is one webhook with a memory of its own.
func asked(t *testing.T, decider DeciderFunc, memory *memory, change ...func(*Config)) func(io.Reader) *httptest.ResponseRecorder {
	t.Helper()
	config := plainConfig()
	for _, c := range change {
		c(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	w := &webhook{server: s, name: "validate", decider: decider, slots: make(chan struct{}, 100), memory: memory}
	return func(body io.Reader) *httptest.ResponseRecorder {
		request, recorder := httptest.NewRequest(http.MethodPost, "/validate", body), httptest.NewRecorder()
		request.Header.Set("Content-Type", "application/json")
		e := echo.New()
		e.HTTPErrorHandler = answerError
		e.POST("/validate", w.serve)
		e.ServeHTTP(recorder, request)
		return recorder
	}
}

// TestRoomIsGivenBack by whatever ends a request.
func TestRoomIsGivenBack(t *testing.T) {
	t.Parallel()
	const all, size = 4 << 20, 800 << 10
	large := strings.Repeat(" ", size)
	for name, test := range map[string]struct {
		body    io.Reader
		decider DeciderFunc
		status  int
	}{
		"a decision":                    {strings.NewReader(reviewOf(size)), allowAll, 200},
		"an error":                      {strings.NewReader(reviewOf(size)), func(context.Context, []byte) (Decision, error) { return Decision{}, errors.New("no") }, 200},
		"a panic":                       {strings.NewReader(reviewOf(size)), func(context.Context, []byte) (Decision, error) { panic("boom") }, 200},
		"no review":                     {strings.NewReader(large), allowAll, 400},
		"a broken body":                 {io.MultiReader(strings.NewReader(large), brokenReader{}), allowAll, 400},
		"too large a one":               {strings.NewReader(strings.Repeat(" ", bodyLimit+1)), allowAll, 413},
		"no room":                       {strings.NewReader(reviewOf(2 * all)), allowAll, 200},
		"no room for no review":         {strings.NewReader(strings.Repeat(" ", 2*all)), allowAll, 503},
		"too many values":               {strings.NewReader(strings.TrimSuffix(reviewOf(size), "}}") + `,"more":[` + strings.Repeat("0,", 10_000) + "0]}}"), allowAll, 200},
		"a small body with many values": {strings.NewReader(strings.TrimSuffix(podReview, "}}") + `,"more":[` + strings.Repeat("0,", 20_000) + "0]}}"), allowAll, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory := newMemory(all)
			if got := asked(t, test.decider, memory)(test.body); got.Code != test.status {
				t.Errorf("got %d %s, want %d", got.Code, got.Body, test.status)
			}
			if !memory.isFree() {
				t.Error("got some of the room still taken")
			}
		})
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// BenchmarkLargestReview is what reading and decoding one takes, and what stays of it meanwhile.
func BenchmarkLargestReview(b *testing.B) {
	config := plainConfig()
	var most uint64
	config.Validate = DeciderFunc(func(ctx context.Context, review []byte) (Decision, error) {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		most = max(most, stats.HeapAlloc)
		return allowAll(ctx, review)
	})
	s, err := New(config)
	if err != nil {
		b.Fatal(err)
	}
	body := reviewOf(bodyLimit)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if got := handle(s, "/validate", body).Code; got != 200 {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
}
