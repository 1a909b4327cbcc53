package lease

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// OP-8: Of any number of contenders, with clocks that are set wrongly and go at different
// speeds, requests that take their time, answers that are lost and processes that stand
// still, never two lead at one time.
func TestNeverTwoLead(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := &world{random: rand.New(rand.NewPCG(seed, 1)), t: t}
			for i := range 2 + w.random.IntN(4) {
				c := &contender{
					elector: elector{identity: fmt.Sprint(i), terms: upstream()},
					offset:  time.Duration(w.random.Int64N(int64(24*time.Hour))) - 12*time.Hour,
					// 5 s of 15 are between the deadlines: a fifth in either direction is safe.
					speed: 0.85 + 0.3*w.random.Float64(),
				}
				w.contenders = append(w.contenders, c)
				w.after(w.latency(), func() { w.attempt(c) })
			}
			w.run(30 * time.Minute)
			if w.terms < 2 {
				t.Errorf("got %d terms in half an hour, want more: nobody took over", w.terms)
			}
		})
	}
}

type contender struct {
	elector elector
	offset  time.Duration
	speed   float64
	led     bool
}

// world is an API server with one Lease, and time.
type world struct {
	t          *testing.T
	random     *rand.Rand
	now        time.Duration
	todo       queue
	contenders []*contender
	stored     record
	version    int
	terms      int
}

func (w *world) clock(c *contender) time.Time {
	return time.Unix(0, 0).Add(c.offset + time.Duration(float64(w.now)*c.speed))
}

// latency is short, mostly.
func (w *world) latency() time.Duration {
	if w.random.IntN(20) == 0 {
		return time.Duration(w.random.Int64N(int64(20 * time.Second)))
	}
	return time.Duration(w.random.Int64N(int64(50 * time.Millisecond)))
}

func (w *world) after(d time.Duration, do func()) {
	heap.Push(&w.todo, event{at: w.now + d, do: do})
}

func (w *world) run(end time.Duration) {
	for w.todo.Len() > 0 && w.now < end {
		next := heap.Pop(&w.todo).(event)
		w.now = next.at
		w.check()
		next.do()
		w.check()
	}
}

// check is asked at each event, and where one leads on until its deadline in between.
func (w *world) check() {
	leaders := 0
	for _, c := range w.contenders {
		leads := c.elector.leads(w.clock(c))
		if leads {
			leaders++
		}
		if leads && !c.led {
			w.terms++
		}
		c.led = leads
	}
	if leaders > 1 {
		w.t.Fatalf("at %v: got %d leaders, want one at most", w.now, leaders)
	}
}

// attempt is what Lease.attempt does, with the answers apart from the requests.
func (w *world) attempt(c *contender) {
	pause := upstream().Retry
	if w.random.IntN(40) == 0 { // the process stands still, or is cut off
		pause += time.Duration(w.random.Int64N(int64(time.Minute)))
	}
	if w.random.IntN(200) == 0 { // or ends, and gives the lease back
		c.elector.resign()
		if w.stored.holder == c.elector.identity {
			w.write(record{version: w.stored.version, duration: time.Second})
		}
	}
	again := func() { w.after(pause, func() { w.attempt(c) }) }
	w.after(w.latency(), func() { // the request to read arrives
		found := w.stored
		w.after(w.latency(), func() { // the answer does
			now := w.clock(c)
			c.elector.observe(now, found)
			if !c.elector.may(now) {
				again()
				return
			}
			next := c.elector.next(now)
			w.after(w.latency(), func() { // the request to write arrives
				written, ok := w.write(next)
				lost := w.random.IntN(10) == 0
				w.after(w.latency(), func() { // the answer does
					if ok && !lost {
						c.elector.wrote(now, w.clock(c), written)
					}
					again()
				})
			})
		})
	})
}

func (w *world) write(r record) (record, bool) {
	if r.version != w.stored.version {
		return record{}, false
	}
	w.version++
	r.version = fmt.Sprint(w.version)
	w.stored = r
	return r, true
}

type event struct {
	at time.Duration
	do func()
}

type queue []event

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(e any)        { *q = append(*q, e.(event)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
