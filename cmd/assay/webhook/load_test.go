package webhook

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/once"
	"github.com/assay-dev/assay/server"
)

// started is a reloader of one file, which denies everything.
func started(t *testing.T) (r *reloader, write func(text string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	write = func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(denying("a.io/**", ""))
	flags := wiring.Defaults()
	flags.Policies, flags.TUF.Cache = []string{file}, t.TempDir()
	w, err := wiring.New(flags, "deny", 0)
	if err != nil {
		t.Fatal(err)
	}
	r = newReloader(w, server.NewMetrics("test"), slog.New(slog.DiscardHandler))
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r, write
}

func denying(glob, more string) string {
	return `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": {
		"images": [{"glob": "` + glob + `"}], "authorities": [{"static": {"action": "fail"}}]` + more + `}}`
}

// TestLoadsThatDoNotEndWell: what served serves, whoever asks is told, and the next load is like any
// other. OPA's compiler may panic, and looks at no deadline.
func TestLoadsThatDoNotEndWell(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		compile func(context.Context) error
		within  time.Duration
		want    string
	}{
		"the compiler panics":   {func(context.Context) error { panic("in the compiler") }, time.Minute, "panicked"},
		"a policy is refused":   {func(context.Context) error { return errors.New("no such thing") }, time.Minute, "no such thing"},
		"the time for it ended": {func(ctx context.Context) error { <-ctx.Done(); return nil }, time.Millisecond, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, write := started(t)
			before, compile := r.engine.Set(), r.compile
			write(denying("b.io/**", ""))
			r.compile = func(ctx context.Context, d *wiring.Documents, s *rego.Set) (*rego.Set, error) {
				if err := tt.compile(ctx); err != nil {
					return nil, err
				}
				return compile(ctx, d, s)
			}
			ctx, cancel := context.WithTimeout(t.Context(), tt.within)
			defer cancel()
			r.reload(ctx)
			if r.engine.Set() != before || r.failure == nil || !strings.Contains(r.failure.Error(), tt.want) {
				t.Errorf("got %v, want %q, and what served to serve", r.failure, tt.want)
			}
			if note := r.checks()[0].Note; !strings.Contains(note, tt.want) {
				t.Errorf("readiness: got %q, want %q", note, tt.want)
			}
			edited := watch.Objects{Seen: []watch.Seen{{Kind: "ClusterImagePolicy", Name: "p", UID: "u", Generation: 2}}}
			if judged := r.judge(edited); !strings.Contains(judged[0].NotLoaded, tt.want) {
				t.Errorf("status: got %+v, want %q", judged[0].Outcome, tt.want)
			}
			r.compiling <- struct{}{} // once what nobody waited for has ended
			<-r.compiling
			r.compile = compile
			r.reload(t.Context())
			if r.engine.Set() == before || r.failure != nil {
				t.Errorf("the next load: got %v, want the change in force", r.failure)
			}
		})
	}
}

// TestOneLoadIsCompiledAtATime: one that nobody waits for any more keeps the next from beginning, and
// not for ever.
func TestOneLoadIsCompiledAtATime(t *testing.T) {
	t.Parallel()
	r, write := started(t)
	compile, ended := r.compile, make(chan struct{})
	r.compile = func(context.Context, *wiring.Documents, *rego.Set) (*rego.Set, error) {
		<-ended
		return nil, errors.New("ended")
	}
	write(denying("b.io/**", ""))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	r.reload(ctx)
	r.compile = compile
	if r.reload(t.Context()); r.failure == nil || !strings.Contains(r.failure.Error(), "still being compiled") {
		t.Errorf("got %v, want it said that others are still compiled", r.failure)
	}
	close(ended)
	<-r.again // nobody else would come back to the change
	if r.reload(t.Context()); r.failure != nil {
		t.Errorf("got %v, want the change in force", r.failure)
	}
}

// TestLoadsGoOnByThemselves: what took long is in force once it is compiled, and nobody has to change
// anything for it.
func TestLoadsGoOnByThemselves(t *testing.T) {
	t.Parallel()
	r, write := started(t)
	r.wiring.Patience = once.Patience{Each: time.Nanosecond} // everything takes long
	write(denying("b.io/**", `, "policy": {"type": "rego", "data": "package sigstore\n\nisCompliant { true }"}`))
	r.reload(t.Context())
	if r.failure != nil {
		t.Fatal(r.failure)
	}
	if got := r.engine.Set().Uncompiled(); len(got) > 0 {
		if diff := cmp.Diff(map[string]map[string]string{"p": {"spec.policy": once.ErrLater.Error()}}, got); diff != "" {
			t.Errorf("uncompiled (-want +got):\n%s", diff)
		}
		<-r.again
		r.reload(t.Context())
	}
	if got := r.engine.Set().Uncompiled(); len(got) > 0 || r.engine.Set().Source().Policies[0].Spec.Policy == nil {
		t.Errorf("got %v, want the policy in force", got)
	}
}

// TestNothingIsCompiledThatDidNotChange: of a file that is read once a minute, and of a policy that
// another one stands beside.
func TestNothingIsCompiledThatDidNotChange(t *testing.T) {
	t.Parallel()
	r, write := started(t)
	before := r.engine.Set()
	r.reload(t.Context())
	r.reload(t.Context())
	if r.engine.Set() != before {
		t.Error("got another set, want the one that serves")
	}
	write(denying("b.io/**", ""))
	if r.reload(t.Context()); r.engine.Set() == before {
		t.Error("got the set that served, want the change in force")
	}
}

// reader is a log that somebody reads.
type reader struct {
	slog.Handler
	read func(line string)
}

func (l reader) Enabled(context.Context, slog.Level) bool { return true }

func (l reader) Handle(_ context.Context, record slog.Record) error {
	l.read(record.Message)
	return nil
}

// TestWhoeverReadsOfARefusalFindsIt: a probe that follows a line of the log says the same.
func TestWhoeverReadsOfARefusalFindsIt(t *testing.T) {
	t.Parallel()
	r, write := started(t)
	seen := 0
	r.log = slog.New(reader{slog.DiscardHandler, func(line string) {
		if strings.Contains(line, "policies refused") {
			seen++
			if got := r.checks()[0].Note; !strings.Contains(got, "no such thing") {
				t.Errorf("got %q, want the refusal", got)
			}
		}
	}})
	r.compile = func(context.Context, *wiring.Documents, *rego.Set) (*rego.Set, error) {
		return nil, errors.New("no such thing")
	}
	write(denying("b.io/**", ""))
	if r.reload(t.Context()); seen != 1 {
		t.Errorf("got %d refusals in the log, want 1", seen)
	}
}
