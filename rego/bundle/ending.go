package bundle

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ending is the end of a manager. What is prepared then is ended with it: OPA's plugin waits for
// an activation under way before it tells anybody to stop, and one may take minutes.
type ending struct {
	ctx  context.Context //nolint:containedctx // it ends what others began with contexts of their own
	end  context.CancelFunc
	most time.Duration // how long the plugins have
}

// errEnding is why nothing becomes active any more.
var errEnding = errors.New("the program ends")

func newEnding() *ending {
	ctx, end := context.WithCancel(context.Background())
	return &ending{ctx, end, (gracePeriod + 2) * time.Second}
}

// within is ctx that ends with the manager, too.
func (e *ending) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.ctx, func() { cancel(errEnding) })
	return ctx, func() { stop(); cancel(nil) }
}

// wait lets stop stop the plugins, and says whether it did. One that never started, or that OPA's compiler
// does not come back to, would be waited for until the process is killed, with what others have to do then.
func (e *ending) wait(stop func()) bool {
	e.end()
	done := make(chan struct{})
	go func() {
		defer close(done)
		stop()
	}()
	over := time.NewTimer(e.most)
	defer over.Stop()
	select {
	case <-done:
		return true
	case <-over.C:
		return false
	}
}

// guarded does what whoever serves has to do on a goroutine of OPA's, where a panic is nobody's and would
// be the end of the process.
func guarded(what string, do func()) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%s panicked: %.200v", what, cause)
		}
	}()
	do()
	return nil
}
