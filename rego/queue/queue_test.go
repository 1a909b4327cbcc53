package queue_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-dev/assay/rego/queue"
)

func TestQueueTakesWhatItsLimitsAdmit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		limits queue.Limits
		bytes  []int64
		want   []bool
	}{
		{"as many entries as may wait", queue.Limits{Entries: 2, Bytes: 100}, []int64{1, 1, 1}, []bool{true, true, false}},
		{"as many bytes as may be held", queue.Limits{Entries: 9, Bytes: 100}, []int64{60, 41, 40}, []bool{true, false, true}},
		{"one that alone holds more", queue.Limits{Entries: 9, Bytes: 100}, []int64{200, 1}, []bool{true, false}},
		{"none that holds more beside others", queue.Limits{Entries: 9, Bytes: 100}, []int64{1, 200, 1}, []bool{true, false, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.limits.Drain = time.Minute
			worked := 0
			q := queue.New(tt.limits, func(int) func() { return func() { worked++ } })
			var got []bool
			taken := 0
			for i, bytes := range tt.bytes {
				ok := q.Offer(i, bytes)
				if got = append(got, ok); ok {
					taken++
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			ended, end := context.WithCancel(t.Context())
			end()
			if left := q.Run(ended); left != 0 || worked != taken {
				t.Errorf("got %d left and %d worked on, want all %d worked on", left, worked, taken)
			}
			if q.Offer(9, 1) {
				t.Error("an entry after the end was taken")
			}
		})
	}
}

func TestRoomIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan bool)
		q := queue.New(queue.Limits{Entries: 1, Bytes: 10, Drain: time.Minute}, func(int) func() {
			<-goOn
			return nil
		})
		ctx, end := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { q.Run(ctx) })
		for i := range 3 {
			if !q.Offer(i, 10) {
				t.Fatalf("entry %d: no room, want that of the one before", i)
			}
			synctest.Wait()
			if q.Offer(i, 1) {
				t.Fatalf("entry %d: what is being worked on holds nothing", i)
			}
			goOn <- true
			synctest.Wait()
		}
		end()
		wait.Wait()
	})
}

// TestEndCountsWhatIsLeft hangs, with two entries waiting, until long after the end.
func TestEndCountsWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan bool)
		var told atomic.Int64
		q := queue.New(queue.Limits{Entries: 9, Bytes: 9, Drain: 5 * time.Second}, func(i int) func() {
			if i > 0 {
				<-hang
			}
			return func() { told.Add(1) }
		})
		for i := range 4 {
			q.Offer(i, 1)
		}
		ctx, end := context.WithCancel(t.Context())
		end()
		began := time.Now()
		if left := q.Run(ctx); left != 3 || told.Load() != 1 {
			t.Errorf("got %d left and %d told, want the one that hangs and the two behind it", left, told.Load())
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the end took %v, want as long as a drain", took)
		}
		close(hang)
		synctest.Wait()
		if told.Load() != 1 {
			t.Errorf("got %d told, want what was counted as left told nowhere", told.Load())
		}
	})
}
