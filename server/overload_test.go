package server

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dense is a review of a Pod in a namespace, of few bytes that take much to decode.
func dense(namespace string, values int) string {
	return strings.Replace(strings.TrimSuffix(podReview, "}}")+`,"options":[`+strings.Repeat("0,", values)+"0]}}",
		`"namespace":"shop"`, fmt.Sprintf(`"namespace":%q`, namespace), 1)
}

// wantOverloaded holds an answer to a denial because of others, which no failurePolicy ignores.
func wantOverloaded(t *testing.T, got *httptest.ResponseRecorder, want string) {
	t.Helper()
	answer := read(t, got.Body.String()).Response
	if got.Code != 200 || answer.Allowed || answer.UID != "u-1" || !strings.Contains(answer.Status.Message, "failed: overloaded: got more than "+want) {
		t.Errorf("got %d %s, want a denial: overloaded: got more than %s", got.Code, got.Body, want)
	}
	if after := got.Header().Get("Retry-After"); after != "" {
		t.Errorf("got Retry-After %q with a decision, want none", after)
	}
}

// TestOverloadByReviewsDeniesAndEnds fills the one slot there is.
func TestOverloadByReviewsDeniesAndEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := plainConfig()
		config.MaxInFlight = 1
		decide, entered, release := blocking()
		config.Validate, config.Timeout = decide, 10*time.Second
		s, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		first := make(chan *httptest.ResponseRecorder)
		go func() { first <- handle(s, "/validate", podReview) }()
		<-entered
		start := time.Now()
		wantOverloaded(t, handle(s, "/mutate", podReview), "1 reviews at once")
		if waited, want := time.Since(start), decisionTime(config.Timeout)/2; waited != want {
			t.Errorf("got an answer after %s, want it after %s", waited, want)
		}
		if got := handle(s, "/mutate", "{}"); got.Code != 503 || got.Body.String() != failure(t, 503, "overloaded: got more than 1 reviews at once") ||
			got.Header().Get("Retry-After") != "1" {
			t.Errorf("what names nothing: got %d %q, want 503 overloaded, and to be asked again", got.Code, got.Body)
		}
		_, metrics := page(s, "/metrics")
		wantLine(t, metrics, `assay_admission_requests_total{path="mutate",result="overloaded"} 2`)
		waiting := make(chan *httptest.ResponseRecorder)
		go func() { waiting <- handle(s, "/mutate", podReview) }()
		synctest.Wait()
		// The deadline of the first has passed by now.
		close(release)
		if got := <-first; got.Code != 200 {
			t.Errorf("the first: got %d, want 200", got.Code)
		}
		if got := <-waiting; !read(t, got.Body.String()).Response.Allowed {
			t.Errorf("what waited: got %d %s, want it admitted", got.Code, got.Body)
		}
		if got := handle(s, "/mutate", podReview).Code; got != 200 {
			t.Errorf("after the first: got %d, want 200", got)
		}
	})
}

// TestOverloadByLargeReviewsDenies fills the room with reviews that are being decided.
func TestOverloadByLargeReviewsDenies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const all, size = 16 << 20, 512 << 10
		decide, entered, release := blocking()
		ask := asked(t, decide, newMemory(all))
		review := strings.Replace(reviewOf(size), `"namespace":"shop",`, "", 1)
		held, answers := 0, make(chan *httptest.ResponseRecorder)
		for turnedAway := false; !turnedAway; {
			go func() { answers <- ask(strings.NewReader(review)) }()
			select {
			case <-entered:
				held++
			case got := <-answers:
				turnedAway = true
				wantOverloaded(t, got, "16777216 bytes of reviews at once")
			}
		}
		// Each takes its body, what that is decoded to, and a little for its values.
		if most := all / ((1 + copies) * size); held >= most || held < most-1 {
			t.Errorf("got %d reviews at once, want a little less than %d", held, most)
		}
		go func() { answers <- ask(strings.NewReader(podReview)) }()
		<-entered // small ones come in beside them
		go func() { answers <- ask(strings.NewReader(review)) }()
		synctest.Wait() // one waits
		close(release)
		for answered := 0; answered < held+2; {
			select {
			case <-entered:
			case got := <-answers:
				answered++
				if got.Code != 200 || !read(t, got.Body.String()).Response.Allowed {
					t.Errorf("got %d %s, want it admitted", got.Code, got.Body)
				}
			}
		}
	})
}

// TestOneNamespaceLeavesRoomForOthers, however slowly its reviews are decided.
func TestOneNamespaceLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const values = 10_000 // more than 3.5 MB
		decide, entered, release := blocking()
		memory := newMemory(12 << 20)
		ask := asked(t, decide, memory)
		answers := make(chan *httptest.ResponseRecorder)
		send := func(namespace string) {
			go func() { answers <- ask(strings.NewReader(dense(namespace, values))) }()
		}
		send("team-a")
		<-entered
		send("team-a")
		wantOverloaded(t, <-answers, "12582912 bytes of reviews at once, or 6291456 of one namespace")
		send("team-b")
		<-entered
		send("")
		<-entered
		close(release)
		for range 3 {
			if got := <-answers; !read(t, got.Body.String()).Response.Allowed {
				t.Errorf("got %d %s, want it admitted", got.Code, got.Body)
			}
		}
		if !memory.isFree() {
			t.Error("got some of the room still taken")
		}
	})
}

// TestLargestReviewHasRoom with as many values as are read, if nothing else is there; and so
// has the largest policy.
func TestLargestReviewHasRoom(t *testing.T) {
	t.Parallel()
	const values, policy = 300_000, 4 << 20
	if got := (1+copies)*int64(bodyLimit) + valueSize*values; got > memoryOfReviews {
		t.Errorf("a review takes %d bytes, want at most %d", got, memoryOfReviews)
	}
	if got := (1+copies)*int64(policy) + valueSize*values; got > memoryOfPolicies {
		t.Errorf("a policy takes %d bytes, want at most %d", got, memoryOfPolicies)
	}
}

// TestWorkloadsTakeNoRoomOfPolicies holds all of theirs.
func TestWorkloadsTakeNoRoomOfPolicies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := plainConfig()
		decide, entered, release := blocking()
		config.Validate, config.PolicyValidate = decide, DeciderFunc(allowAll)
		s, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		const values = 250_000 // two of them have no room for a third
		answers := make(chan *httptest.ResponseRecorder)
		for _, namespace := range []string{"team-a", "team-b"} {
			go func() { answers <- handle(s, "/validate", dense(namespace, values)) }()
			<-entered
		}
		wantOverloaded(t, handle(s, "/validate", dense("team-c", values)), "268435456 bytes")
		if got := handle(s, "/policies/validate", dense("team-c", values)); !read(t, got.Body.String()).Response.Allowed {
			t.Errorf("a policy: got %d %s, want it admitted", got.Code, got.Body)
		}
		close(release)
		<-answers
		<-answers
	})
}

// TestWhatIsThrownAwayHoldsNoRoom, however slowly the rest of it arrives.
func TestWhatIsThrownAwayHoldsNoRoom(t *testing.T) {
	t.Parallel()
	const all = 4 << 20
	for name, test := range map[string]struct {
		limit int64
		want  string
	}{
		"over the limit": {1 << 20, "review: got more than 1048576 bytes"},
		"without room":   {bodyLimit, "overloaded: got more than 4194304 bytes of reviews at once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				memory := newMemory(all)
				ask := asked(t, allowAll, memory, func(c *Config) { c.BodyLimit = test.limit })
				body, rest := io.Pipe()
				answers := make(chan *httptest.ResponseRecorder)
				go func() { answers <- ask(body) }()
				if _, err := io.Copy(rest, strings.NewReader(reviewOf(2*all))); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // it is read, and the end of it has not come
				if !memory.isFree() {
					t.Error("got some of the room taken")
				}
				_ = rest.Close()
				got := read(t, (<-answers).Body.String()).Response
				if got.Allowed || !strings.Contains(got.Status.Message, test.want) {
					t.Errorf("got %+v, want denied: %s", got, test.want)
				}
			})
		})
	}
}

// TestWhoWaitsForMuchKeepsNobodyOut: there is no queue.
func TestWhoWaitsForMuchKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := newMemory(100)
		first, second, third := &room{of: memory}, &room{of: memory}, &room{of: memory}
		if !first.take(t.Context(), 50) {
			t.Fatal("the first: got no room")
		}
		got := make(chan bool)
		go func() { got <- second.take(context.Background(), 60) }()
		synctest.Wait()
		if !third.take(t.Context(), 50) {
			t.Error("what fits: got no room")
		}
		first.leave()
		third.leave()
		if !<-got {
			t.Error("what waited: got no room when there was some")
		}
		start := time.Now()
		for range 2 {
			if first.take(t.Context(), 50) {
				t.Error("beside what waited: got room, want none")
			}
		}
		if time.Since(start) != waitForRoom {
			t.Errorf("got an answer after %s, want a refusal after %s in all", time.Since(start), waitForRoom)
		}
		if start = time.Now(); first.take(t.Context(), 101) || time.Since(start) != 0 {
			t.Error("what there can never be: got it waited for, want it refused at once")
		}
	})
}
