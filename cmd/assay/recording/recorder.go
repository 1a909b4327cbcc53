package recording

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/queue"
)

// Flags say what is recorded. The zero value records nothing.
type Flags struct {
	// Dir is where capsules go.
	Dir string
	// Sample is the share of decisions that are recorded.
	Sample float64
	// Denials leaves out what is allowed.
	Denials bool
	// MaxBytes bounds the capsules in Dir: the oldest make room.
	MaxBytes int64
}

// Add adds --record to a command, and to one that serves what bounds it.
func (f *Flags) Add(cmd *cobra.Command, serves bool) {
	cmd.Flags().StringVar(&f.Dir, "record", "", "`directory` to record decisions in, each as a capsule for assay replay")
	f.Sample, f.MaxBytes = 1, 1<<30
	if serves {
		cmd.Flags().Float64Var(&f.Sample, "record-sample", f.Sample, "share of decisions to record, from 0 to 1")
		cmd.Flags().BoolVar(&f.Denials, "record-denials", false, "record denials only")
		cmd.Flags().Int64Var(&f.MaxBytes, "record-max-bytes", f.MaxBytes, "`bytes` of capsules to keep; the oldest are removed")
	}
}

// Check refuses flags that say nothing.
func (f *Flags) Check() error {
	switch {
	case f.Dir == "" && !f.Denials && (f.Sample == 0 || f.Sample == 1):
		return nil
	case f.Dir == "":
		return fmt.Errorf("--record: got none, want the directory of what --record-denials and --record-sample are about")
	case !(f.Sample >= 0 && f.Sample <= 1): // also not a number
		return fmt.Errorf("--record-sample: got %v, want from 0 to 1", f.Sample)
	case f.MaxBytes <= 0:
		return fmt.Errorf("--record-max-bytes: got %d, want more than 0", f.MaxBytes)
	}
	return nil
}

// Result is what became of a decision that was to be recorded.
type Result string

// The results.
const (
	Written Result = "written"
	// Dropped: too many were waiting to be written.
	Dropped Result = "dropped"
	// Failed: it could not be written.
	Failed Result = "failed"
	// Removed: a capsule made room for newer ones.
	Removed Result = "removed"
)

// limits bound what waits to be written, reviews and evidence. A decision that comes when
// they are reached is answered like any other, and dropped here.
func limits() queue.Limits {
	return queue.Limits{Entries: 64, Bytes: 64 << 20, Drain: 5 * time.Second}
}

// Recorder writes capsules beside the decisions. Build it with [NewRecorder], let
// [Recorder.Run] run, and give [Recorder.Take] to the engine.
type Recorder struct {
	flags   Flags
	sealer  *Sealer
	count   func(Result)
	log     *slog.Logger
	store   *store
	queue   *queue.Queue[rego.Made]
	failing bool
}

// NewRecorder makes a recorder; count is told of every decision that it took.
func NewRecorder(flags Flags, sealer *Sealer, log *slog.Logger, count func(Result)) *Recorder {
	r := &Recorder{
		flags: flags, sealer: sealer, count: count, log: log,
		store: &store{dir: flags.Dir, most: flags.MaxBytes},
	}
	r.queue = queue.New(limits(), func(made rego.Made) func() {
		r.write(made)
		return nil
	})
	return r
}

// Take takes a decision to be recorded, if it is one of those. It never waits, and
// nothing that happens to the record changes the decision.
func (r *Recorder) Take(made rego.Made) {
	if r.flags.Denials && made.Err == nil && made.Decision.Allowed {
		return
	}
	if r.flags.Sample < 1 && rand.Float64() >= r.flags.Sample {
		return
	}
	bytes := int64(len(made.Review))
	if session, ok := made.Answers.(*builtins.Session); ok {
		bytes += session.Holds() // which caches may have forgotten by then
	}
	if !r.queue.Offer(made, bytes) {
		r.count(Dropped)
	}
}

// Run writes until ctx ends, and then what was taken before.
func (r *Recorder) Run(ctx context.Context) {
	if left := r.queue.Run(ctx); left > 0 {
		r.log.Error("recording", "error", "capsules were not written in time", "waiting", left)
	}
}

// write writes one capsule. The log has one line when writing begins to fail, and one
// when it works again: the metric counts each.
func (r *Recorder) write(made rego.Made) {
	path, removed, err := r.try(made)
	for range removed {
		r.count(Removed)
	}
	if err != nil {
		r.count(Failed)
		if !r.failing {
			r.log.Error("recording", "error", err)
		}
	} else {
		r.count(Written)
		if r.failing {
			r.log.Info("recording works again", "capsule", path)
		}
	}
	r.failing = err != nil
}

func (r *Recorder) try(made rego.Made) (path string, removed int, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("recording panicked: %.200v", cause)
		}
	}()
	c, err := r.sealer.Seal(made)
	if err != nil {
		return "", 0, err
	}
	return r.store.save(c)
}
