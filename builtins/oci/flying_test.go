package oci_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/oci"
)

// TestBytesInFlightAreBounded: while one body takes all the room, another registry's waits, up to its caller's
// deadline, and is read when the room is free again.
func TestBytesInFlightAreBounded(t *testing.T) {
	t.Parallel()
	slow, other := newFake(t), newFake(t)
	content := make([]byte, 1000)
	ref, _ := slow.image(t, "org/app", "v1")
	slow.attach(t, ref, ".sig", slow.push(t, "org/app", simpleType, content))
	otherRef, _ := other.signed(t, "org/other")
	arrived, goOn := make(chan struct{}), make(chan struct{})
	slow.on("/blobs/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:1])
		w.(http.Flusher).Flush()
		close(arrived)
		<-goOn
		_, _ = w.Write(content[1:])
	})
	c := newClient(t, oci.WithMaxInFlight(1000), oci.WithTimeout(time.Minute))
	first := make(chan oci.List, 1)
	go func() {
		l, _ := c.Signatures(t.Context(), anonymous, ref, oci.Place{})
		first <- l
	}()
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := c.Signatures(ctx, anonymous, otherRef, oci.Place{})
	mustRefuse(t, err, oci.Timeout)
	close(goOn)
	mustBe(t, <-first, nil, string(content))
	l, err := c.Signatures(t.Context(), anonymous, otherRef, oci.Place{})
	mustBe(t, l, err, "payload of org/other")
}

func TestBytesInFlightAreReleased(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, layer := f.signed(t, "org/app")
	c := newClient(t, oci.WithMaxInFlight(1000), oci.WithBlobCache(0))
	for _, how := range []http.HandlerFunc{nil, status(http.StatusNotFound), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, layer.Size)) // lies
	}} {
		for range 100 { // many times what fits at one time
			if f.misbehave(nil); how != nil {
				f.on("/blobs/", how)
			}
			if _, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRefuseMoreThanAllBytesInFlight(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.image(t, "org/app", "v1")
	f.attach(t, ref, ".sig", f.push(t, "org/app", simpleType, make([]byte, 1001)), f.push(t, "org/app", simpleType, []byte("good")))
	l, err := newClient(t, oci.WithMaxInFlight(1000)).Signatures(t.Context(), anonymous, ref, oci.Place{})
	mustBe(t, l, err, "too_large", "good")
	if got := count(f.requests(), "/blobs/"); got != 1 {
		t.Errorf("got %d blobs asked for, want 1", got)
	}
	refused(t, newClient(t, oci.WithMaxInFlight(10)), ref, oci.TooLarge, "at one time") // the manifest itself
}
