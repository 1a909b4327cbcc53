package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/kube/status"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/telemetry"
)

// reloader keeps the engine's policy set equal to the files, and to the objects of the
// cluster where there is one. A change that does not compile is refused whole: the last
// good set serves, and log, metric and /readyz?verbose say so.
type reloader struct {
	wiring  *wiring.Wiring
	log     *slog.Logger
	metrics *server.Metrics
	engine  *rego.Engine
	// telemetry is told of decisions; nil is nobody.
	telemetry *telemetry.Telemetry
	cluster   *cluster         // nil where no policies are objects of one
	bundles   *bundled.Bundles // nil where no policies are in bundles
	wake      chan struct{}    // tells keepTrust that other roots are wanted now
	again     chan struct{}    // tells keepLoading that a load would get further now
	// compile compiles policies beside the set that serves.
	compile   func(context.Context, *wiring.Documents, *rego.Set) (*rego.Set, error)
	compiling chan struct{} // full while they are, also past the time for it
	missed    atomic.Bool   // a load came in vain meanwhile

	loading   sync.Mutex                       // held while policies are read: files and objects change beside each other
	documents atomic.Pointer[wiring.Documents] // of the set that serves
	loads     uint64                           // how often something else was let serve
	inFiles   int                              // policies of files among those that serve
	// regoInFiles are those in Rego.
	regoInFiles int
	content     bundle.Content // of the bundles that are read
	generation  string         // of the set that serves: policies and trust roots
	revision    uint64         // of the objects of the cluster that were read last
	outcomes    map[string]status.Outcome
	serving     map[string]version // of those objects, by kind and name
	named       wiring.NamedRoots  // of the set that serves
	warned      []string           // the warnings that were logged last

	// loaded says that the objects of the cluster are among what serves. Every review asks, and waits for nobody.
	loaded atomic.Bool

	mu        sync.Mutex // held while nobody is asked anything: probes and metrics take it, and loads
	failure   error
	needsRoot bool                         // the default root
	roots     map[string]wiring.RootSource // all that policies rely on: replaced, and never changed
	rooted    atomic.Bool                  // the default root was there once
}

// start reads the policies for the first time. There is nothing older to serve
// with, so what does not compile ends the program, and what takes long is waited for.
func (r *reloader) start(ctx context.Context) error {
	defer func() {
		if r.cluster == nil {
			r.hurry()
		}
	}()
	documents, err := r.wiring.Read(ctx)
	if err != nil {
		return err
	}
	set, err := r.wiring.Compile(ctx, documents)
	if err != nil {
		return err
	}
	r.engine = rego.NewEngine(set, func(seen rego.Observation) { r.metrics.Decided(seen.Evaluations) })
	if r.telemetry != nil {
		r.engine.Watch(r.telemetry.Decided)
	}
	r.serves(set)
	r.documents.Store(documents)
	r.generation, r.inFiles, r.regoInFiles = set.Hash()+documents.Generation(), documents.InFiles(), documents.RegoInFiles(set)
	r.took(documents, nil)
	r.warn(slices.Concat(documents.Warnings, set.Warnings()))
	return nil
}

// hurry has later loads wait no longer than policies may be out of date.
func (r *reloader) hurry() {
	r.wiring.Patience, _ = patience()
	r.wiring.Resolver.WaitNoLonger(r.wiring.Patience.Each, r.loadAgain)
}

func (r *reloader) warn(warnings []string) {
	r.warned = warnings
	for _, warning := range warnings {
		r.log.Warn("policies", "warning", warning)
	}
}

// reload takes what the files hold now, and what they refer to, if that is
// something else. It runs beside the decisions, which the last good set serves.
func (r *reloader) reload(ctx context.Context) {
	r.loading.Lock()
	defer r.loading.Unlock()
	r.reloadLocked(ctx)
}

func (r *reloader) reloadLocked(ctx context.Context) {
	read, objects := r.reading(r.wiring)
	if r.cluster != nil && objects == nil {
		return // nothing to judge by yet: reviews are denied
	}
	set, documents := r.load(ctx, read)
	if objects == nil {
		return
	}
	if set != nil {
		r.tookObjects(*objects, set, documents)
	}
	r.tell(*objects)
}

// reading is how policies are read with a wiring now, and the objects of the cluster among them, nil where
// there are none or they are not known yet.
func (r *reloader) reading(with *wiring.Wiring) (read func(context.Context) (*wiring.Documents, error), objects *watch.Objects) {
	if r.cluster == nil || !r.cluster.watcher.Synced() {
		return with.Read, nil
	}
	seen := r.cluster.watcher.Objects()
	return func(ctx context.Context) (*wiring.Documents, error) { return with.ReadCluster(ctx, seen) }, &seen
}

// tookObjects notes that objects of the cluster are among what serves.
func (r *reloader) tookObjects(objects watch.Objects, set *rego.Set, documents *wiring.Documents) {
	r.revision, r.outcomes, r.serving, r.named = objects.Revision, documents.Outcomes(set), versionsOf(objects), documents.Named
	if !r.loaded.Swap(true) {
		r.hurry()
	}
}

// tell says in the cluster what became of objects.
func (r *reloader) tell(objects watch.Objects) {
	r.cluster.matched.count(r.outcomes)
	r.cluster.writer.Set(r.judge(objects))
}

// changed is told of other objects in the cluster. Most often only what was written about
// them is new.
func (r *reloader) changed(ctx context.Context) {
	r.loading.Lock()
	objects := r.cluster.watcher.Objects()
	same := r.loaded.Load() && objects.Revision == r.revision
	if same {
		r.tell(objects)
	}
	r.loading.Unlock()
	if !same {
		r.reload(ctx)
	}
}

// version is what an object says, however its status changes.
type version struct {
	uid        string
	generation int64
}

func versionsOf(objects watch.Objects) map[string]version {
	out := map[string]version{}
	for _, seen := range objects.Seen {
		out[seen.Kind+" "+seen.Name] = version{seen.UID, seen.Generation}
	}
	return out
}

// judge is what became of objects. Of a change that was refused nothing is in force, also of
// objects that nothing is wrong with.
func (r *reloader) judge(objects watch.Objects) []status.Judged {
	r.mu.Lock()
	failure := r.failure
	r.mu.Unlock()
	outcomes := r.named.Outcomes()
	maps.Copy(outcomes, r.outcomes)
	for object, now := range versionsOf(objects) {
		if failure != nil && r.serving[object] != now {
			outcomes[object] = status.Outcome{NotLoaded: notLoaded(object, failure)}
		}
	}
	return status.Judge(objects, outcomes)
}

// notLoaded is why an object is not among what serves. Whoever may read that of a namespace
// need not know what others' policies are called, and what is wrong with them.
func notLoaded(object string, failure error) string {
	if strings.HasPrefix(object, cip.ImagePolicyKind+" ") {
		return "the policies of the cluster were refused together, the log of the installation says why"
	}
	return failure.Error()
}

// decide is how an engine decides.
type decide func(ctx context.Context, review []byte) (rego.Decision, error)

// gated denies until all policies are among what serves that are to be. Whoever watches is told as of a
// decision that failed: otherwise an outage would be what no log has.
func (r *reloader) gated(decide decide, mutation bool) decide {
	return func(ctx context.Context, review []byte) (rego.Decision, error) {
		if cause := r.closed(); cause != "" {
			r.engine.Refused(ctx, review, mutation, errors.New(cause))
			return rego.Decision{Reasons: []string{cause}}, nil
		}
		return decide(ctx, review)
	}
}

// closed says why policies may not decide, "" where they may.
func (r *reloader) closed() string {
	if r.cluster != nil && !r.loaded.Load() {
		return "the policies of the cluster are not loaded yet: try again"
	}
	if r.bundles == nil {
		return ""
	}
	return r.bundles.Denies(time.Now())
}

// emptied refuses to go on without any policy where that would admit everything: a
// directory that lost its files, as a mount may for a moment, is no decision of
// whoever wrote them. Where images without a policy are denied it is obeyed. Policies in
// Rego are no such match: without any of them less is denied, whatever is set. So it is
// where policies of the cluster are left. What was deleted there, and by whom, the API
// server says.
func (r *reloader) emptied(set *rego.Set, documents *wiring.Documents) error {
	if before := r.regoInFiles; before > 0 && documents.RegoInFiles(set) == 0 {
		return fmt.Errorf("got no policies in Rego, and %d serve: what they deny would not be denied any more; start anew to serve none", before)
	}
	lost := r.inFiles > 0 && documents.InFiles() == 0
	switch noMatch := set.Source().Config.NoMatch; {
	case lost && covering(set) > 0:
		return fmt.Errorf("got no policies in files, and %d serve: what they deny others may admit; start anew to serve none", r.inFiles)
	case lost && noMatch != "deny":
		return fmt.Errorf("got no policies, and %d serve: with --no-match %s nothing would be denied any more; start anew to serve none",
			r.inFiles, noMatch)
	}
	return nil
}

// covering counts the policies that may be the match which an image has to have.
func covering(set *rego.Set) (count int) {
	for _, policy := range set.Source().Policies {
		if policy.Namespace == "" {
			count++
		}
	}
	return count
}

// took notes what became of reading the files: nil documents are those that were refused. It
// reports whether policies rely on other roots than before.
func (r *reloader) took(documents *wiring.Documents, failure error) (others bool) {
	r.metrics.PolicyReloaded(failure)
	if documents != nil {
		r.wiring.Took(documents)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = failure
	if documents != nil {
		before := r.roots
		r.roots = documents.Wanted(r.wiring.Root)
		r.needsRoot = documents.Requires()
		others = !maps.Equal(before, r.roots)
	}
	r.metrics.SetPolicies(policiesOf(r.engine.Set()), failure == nil)
	return others
}

// directories are where the files of the paths can change. What cannot be listed now is
// said when it is read.
func directories(paths []string) []string {
	var out []string
	for _, path := range paths {
		files, err := sources.Find([]string{path})
		if err != nil {
			files.Directories = []string{path}
		}
		out = append(out, files.Directories...)
	}
	return out
}

// policiesOf counts the policies of a set, of both kinds.
func policiesOf(set *rego.Set) int { return len(set.Policies()) + len(set.Raw()) }
