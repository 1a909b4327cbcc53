package decisions_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// BenchmarkUpload logs decisions as fast as they are taken, to a service, and waits for
// room like no server does: what is measured is what one logger gets done.
func BenchmarkUpload(b *testing.B) {
	made := newEngine(b).decide(b, "app")
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer sink.Close()
	m := mustServe(b, setup{config: uploading(sink.URL, "")})
	l, err := decisions.New(m.Manager, decisions.Options{Observe: m.counts.observe})
	if err != nil {
		b.Fatal(err)
	}
	ctx, end := context.WithCancel(b.Context())
	var wait sync.WaitGroup
	wait.Go(func() { l.Run(ctx) })
	b.ReportAllocs()
	taken := 0
	for b.Loop() {
		for l.Waiting() > 1000 {
			time.Sleep(100 * time.Microsecond)
		}
		l.Take(ctx, made)
		taken++
	}
	end()
	wait.Wait()
	b.StopTimer()
	m.Stop(context.WithoutCancel(b.Context()))
	if got := m.counts.get(outcome.Delivered); got != taken {
		b.Errorf("got %d logged, want %d", got, taken)
	}
	b.ReportMetric(float64(taken)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkTake is what a decision waits for, with a logger that keeps up or does not.
func BenchmarkTake(b *testing.B) {
	made := newEngine(b).decide(b, "app")
	m := mustServe(b, setup{config: "{}"})
	l, err := decisions.New(m.Manager, decisions.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Take(b.Context(), made) // nobody runs it: full soon
	}
}

// BenchmarkStalledService logs as fast as that goes to a service that hangs, with OPA's
// buffer bounded to 1,000 entries: the rest is lost there, and nothing before.
func BenchmarkStalledService(b *testing.B) {
	made := newEngine(b).decide(b, "app")
	goOn := make(chan bool)
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-goOn }))
	defer sink.Close()
	defer close(goOn)
	m := mustServe(b, setup{config: uploading(sink.URL, "buffer_type: event, buffer_size_limit_events: 1000, ")})
	l, err := decisions.New(m.Manager, decisions.Options{Observe: m.counts.observe})
	if err != nil {
		b.Fatal(err)
	}
	ctx, end := context.WithCancel(b.Context())
	var wait sync.WaitGroup
	wait.Go(func() { l.Run(ctx) })
	b.ReportAllocs()
	taken := 0
	for b.Loop() {
		for l.Waiting() > 1000 {
			time.Sleep(100 * time.Microsecond)
		}
		l.Take(ctx, made)
		taken++
	}
	end()
	wait.Wait()
	b.StopTimer()
	queue, buffer := m.counts.get(outcome.Dropped), int(m.loss("decision_logs_dropped_buffer_size_limit_exceeded"))
	if logged := m.counts.get(outcome.Delivered); logged != taken {
		b.Errorf("got %d logged and %d dropped, want %d logged", logged, queue, taken)
	}
	b.ReportMetric(float64(taken)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(100*float64(buffer)/float64(taken), "%lost")
}

func uploading(url, reporting string) string {
	return strings.NewReplacer("URL", url, "MORE", reporting).Replace(`
services: {collector: {url: "URL"}}
decision_logs: {service: collector, reporting: {MOREmin_delay_seconds: 1, max_delay_seconds: 1, upload_size_limit_bytes: 1048576}}
`)
}
