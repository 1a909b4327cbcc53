package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/logging"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// The bounds of how long is waited after a failure, and at the end.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = time.Minute
	drain      = 5 * time.Second
)

// chunk is what becomes an object.
type chunk struct {
	name    string
	data    []byte
	entries int
}

// buffer holds what is not in the store yet. It is safe for concurrent use.
type buffer struct {
	options Options
	log     logging.Logger

	mu      sync.Mutex
	config  Config
	open    bytes.Buffer // the chunk that takes entries, compressed
	zip     *gzip.Writer
	lines   int64 // bytes of them that are in it
	entries int
	since   time.Time // when it was opened
	closed  []chunk   // the oldest first
	held    int64     // bytes of closed
	putting bool      // the oldest is being put
	status  []byte    // nil where none is new
	later   bool      // it could not be put: a chunk is next
	last    time.Time // of names
	failing bool
	stopped bool // what was not put then is lost

	wake chan struct{}
	stop chan struct{}
	done chan struct{}
	gone context.CancelFunc // nobody waits for the loop any more; nil until it runs
}

func newBuffer(config Config, options Options, m *plugins.Manager) *buffer {
	b := &buffer{
		options: options, config: config, log: m.Logger().WithFields(map[string]any{"plugin": Name}),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	b.zip = gzip.NewWriter(&b.open)
	return b
}

func (b *buffer) configure(config Config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config = config
	b.nudge()
}

// add takes an entry, a line.
func (b *buffer) add(line []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped || int64(len(line)) > b.config.held {
		b.options.Observe(outcome.Store, outcome.Dropped, 1)
		return
	}
	if b.entries > 0 && b.lines+int64(len(line)) > b.config.chunk {
		b.shut()
		b.nudge()
	}
	if b.entries == 0 {
		b.since = b.options.Now()
		b.nudge() // there is something to wait for
	}
	_, _ = b.zip.Write(line) // into memory
	b.lines += int64(len(line))
	b.entries++
	b.room()
}

// tell takes a status in the place of the one before.
func (b *buffer) tell(status []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = status
	b.nudge()
}

// nudge has the loop look again. Requires the lock.
func (b *buffer) nudge() {
	select {
	case b.wake <- struct{}{}:
	default: // it will
	}
}

// shut closes the open chunk. Requires the lock.
func (b *buffer) shut() {
	if b.entries == 0 {
		return
	}
	_ = b.zip.Close() // into memory
	now := b.options.Now().UTC()
	if !now.After(b.last) { // a clock that stands still or goes back makes no name twice
		now = b.last.Add(1)
	}
	b.last = now
	b.closed = append(b.closed, chunk{nameOf(b.config.place, now), bytes.Clone(b.open.Bytes()), b.entries})
	b.held += int64(b.open.Len())
	b.open.Reset()
	b.zip.Reset(&b.open)
	b.lines, b.entries = 0, 0
}

// room has the oldest chunks go until the rest is within its bound. The one that is being
// put is not among them. Requires the lock.
func (b *buffer) room() {
	oldest := 0
	if b.putting {
		oldest = 1
	}
	for b.held+int64(b.open.Len()) > b.config.held && len(b.closed) > oldest {
		gone := b.closed[oldest]
		b.closed = slices.Delete(b.closed, oldest, oldest+1)
		b.held -= int64(len(gone.data))
		b.options.Observe(outcome.Store, outcome.Dropped, gone.entries)
	}
}

// start has the loop run.
func (b *buffer) start(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone == nil && !b.stopped {
		ctx, b.gone = context.WithCancel(ctx)
		go b.run(ctx)
	}
}

// run puts what is to be put until the end.
func (b *buffer) run(ctx context.Context) {
	defer close(b.done)
	ending := false
	for retry := 0; ; {
		wait, idle, err := b.once(ctx, ending)
		b.noted(err, idle)
		stop, wake := b.stop, b.wake
		switch {
		case err != nil:
			wait, wake = util.DefaultBackoff(float64(firstRetry), float64(lastRetry), retry), nil // nothing that comes makes the store better
			retry++
		case !idle:
			retry = 0
			continue
		case ending:
			return
		}
		if ending {
			stop = nil // it is closed
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-wake:
		case <-stop:
			ending = true
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// once puts one object, or says how long there is nothing to put: idle.
func (b *buffer) once(ctx context.Context, ending bool) (wait time.Duration, idle bool, err error) {
	b.mu.Lock()
	config, now := b.config, b.options.Now()
	if b.entries > 0 && (ending || now.Sub(b.since) >= config.delay) {
		b.shut()
	}
	if update := b.status; update != nil && (!b.later || len(b.closed) == 0) {
		b.status = nil
		b.mu.Unlock()
		err = b.put(ctx, config, config.place+"status.json", update)
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.later = err != nil; err != nil && b.status == nil { // unless there is a newer one
			b.status = update
		}
		return 0, false, err
	}
	b.later = false
	if len(b.closed) == 0 {
		defer b.mu.Unlock()
		if b.entries == 0 {
			return time.Hour, true, nil // whatever comes wakes
		}
		return config.delay - now.Sub(b.since), true, nil
	}
	next := b.closed[0]
	b.putting = true
	b.mu.Unlock()
	err = b.put(ctx, config, next.name, next.data)
	b.settle(next, err)
	return 0, false, err
}

// settle is the end of putting the oldest chunk.
func (b *buffer) settle(next chunk, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.putting = false
	if err != nil || b.stopped { // by then it counts as lost
		return
	}
	b.closed = b.closed[1:]
	b.held -= int64(len(next.data))
	b.options.Observe(outcome.Store, outcome.Delivered, next.entries)
}

// put puts one object, in bounded time.
func (b *buffer) put(ctx context.Context, config Config, name string, data []byte) (err error) {
	ctx, cancel := context.WithTimeout(ctx, config.timeout)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("put panicked: %.200v", cause)
		}
	}()
	return config.store.Put(ctx, name, data)
}

// noted says once that the store fails, and once that it works again.
func (b *buffer) noted(err error, idle bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil && !b.failing:
		b.failing = true
		b.log.Error("The store does not take decision logs or status: %v.", err)
	case err == nil && !idle && b.failing:
		b.failing = false
		b.log.Info("The store takes decision logs and status again.")
	}
}

// end puts what waits for as long as there is time, and counts the rest as lost. It is to
// be called once.
func (b *buffer) end(ctx context.Context) {
	b.mu.Lock()
	gone := b.gone
	b.mu.Unlock()
	close(b.stop)
	timer := time.NewTimer(drain)
	defer timer.Stop()
	if gone != nil {
		defer gone()
		select {
		case <-b.done:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	lost := b.entries
	for _, c := range b.closed {
		lost += c.entries
	}
	b.closed, b.held, b.entries, b.status = nil, 0, 0, nil
	if lost > 0 {
		b.options.Observe(outcome.Store, outcome.Dropped, lost)
		b.log.Error("Decision logs were not put into the store in time: %d are lost.", lost)
	}
}
