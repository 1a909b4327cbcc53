// Package watch keeps what policies are made of in a cluster: ClusterImagePolicies,
// ImagePolicies, TrustRoots, RegoPolicies, WorkloadPaths, the Secrets and ConfigMaps that they refer to, settings, and the labels of
// namespaces.
//
// [Watcher.Objects] is one moment of all of it but the labels, which [Watcher.Namespaces] has, as values of rego/cip and rego/resource. Nothing that cannot
// be read is left out: a policy becomes one that denies whatever its old and its new globs
// match, a RegoPolicy one that fails, a TrustRoot and a Secret serve as they last could be read, and all of them are
// among [Objects.Refused] with the cause. While the API server cannot be reached all stays
// as it was last seen, and [Watcher.Problems] says so.
//
// Of Secrets and ConfigMaps only those are read that policies name: in the namespace of the
// installation each with a watch of its own, and for an ImagePolicy in its namespace by
// asking for each. What they hold is in no error and no log.
package watch

import (
	"cmp"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
)

// Watcher keeps the objects of one cluster.
type Watcher struct {
	client *kube.Client
	health *health
	poked  chan struct{}

	lock     sync.RWMutex // of held and of revision
	held     held
	revision uint64 // counts the changes
	places   *places

	watched   map[Reference]context.CancelFunc // Run's own
	followed  uint64                           // the revision that watched is of, plus one
	published atomic.Pointer[Objects]
}

// New returns a Watcher that has seen nothing yet.
func New(client *kube.Client, log *slog.Logger) *Watcher {
	w := &Watcher{
		client: client, poked: make(chan struct{}, 1), watched: map[Reference]context.CancelFunc{},
	}
	w.health = &health{log: log, now: time.Now, poke: w.poke, failing: map[string]failure{}}
	w.held = held{
		policies:   keep(w, readPolicy(client.Namespace), policyItem.same),
		owned:      keep(w, readPolicy(client.Namespace), policyItem.same),
		roots:      keep(w, readRoot, rootItem.same),
		rego:       keep(w, readOwn(resource.RegoPolicyKind, resource.ParseRegoPolicy, refusedRego), own[resource.RegoPolicy].same),
		paths:      keep(w, readOwn(resource.WorkloadPathsKind, resource.ParseWorkloadPaths, refusedPaths), own[resource.WorkloadPaths].same),
		settings:   keep(w, readSettings, settingsItem.same),
		secrets:    map[Reference]*kept[dependency[cip.Secret]]{},
		configMaps: map[Reference]*kept[dependency[cip.ConfigMap]]{},
	}
	w.held.owned.named = fullName
	w.places = newPlaces(func() {
		if !w.Synced() { // after that Run has nothing to do with them
			w.poke()
		}
	})
	return w
}

func keep[T any](w *Watcher, read func(*unstructured.Unstructured, T) T, same func(T, T) bool) *kept[T] {
	return &kept[T]{lock: &w.lock, read: read, same: same, changes: &w.revision, poke: w.poke, byName: map[string]T{}}
}

// poke wakes Run.
func (w *Watcher) poke() {
	select {
	case w.poked <- struct{}{}:
	default: // it is awake
	}
}

// Run watches until ctx ends, and is called once. It calls changed when everything was read for the first
// time and after each change since, but for namespaces, from one goroutine; a burst of changes is one call,
// a second after it began at the latest.
func (w *Watcher) Run(ctx context.Context, changed func()) {
	// The library would log on its own, and not only what may be logged.
	ctx = klog.NewContext(ctx, klog.New(nil))
	w.start(ctx, kube.ClusterImagePolicies(), w.held.policies)
	w.start(ctx, kube.ImagePolicies(), w.held.owned)
	w.start(ctx, kube.TrustRoots(), w.held.roots)
	w.start(ctx, kube.RegoPolicies(), w.held.rego)
	w.start(ctx, kube.WorkloadPaths(), w.held.paths)
	w.start(ctx, kube.Namespaces(), w.places.kept)
	w.startOne(ctx, Reference{Kind: configMapKind, Name: SettingsName}, w.held.settings)

	timer := time.NewTimer(late)
	defer timer.Stop()
	var burst pace
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.poked:
			burst.touch(time.Now())
			w.follow(ctx)
		case <-timer.C:
		}
		if burst.idle() {
			continue
		}
		wait := time.Until(burst.due(w.complete()))
		if wait > 0 {
			timer.Reset(wait)
			continue
		}
		burst.tell(time.Now())
		if w.publish() {
			changed()
		}
	}
}

func (w *Watcher) start(ctx context.Context, resource schema.GroupVersionResource, store cache.ReflectorStore) {
	s := source{what: resource.GroupResource().String(), resource: w.client.Resource(resource), health: w.health}
	go s.run(ctx, store)
}

// startOne watches one object of the system namespace. What another has is asked for now and
// then: the right to watch it there would be the right to watch it everywhere.
func (w *Watcher) startOne(ctx context.Context, r Reference, store cache.ReflectorStore) {
	s := source{what: w.nameOf(r), resource: w.resourceOf(r), name: r.Name, health: w.health}
	if s.minor = r.Namespace != ""; s.minor {
		go s.poll(ctx, store)
		return
	}
	go s.run(ctx, store)
}

func (w *Watcher) resourceOf(r Reference) dynamic.ResourceInterface {
	resource := kube.ConfigMaps()
	if r.Kind == secretKind {
		resource = kube.Secrets()
	}
	return w.client.Resource(resource).Namespace(cmp.Or(r.Namespace, w.client.Namespace))
}

func (w *Watcher) nameOf(r Reference) string {
	if r.Namespace != "" {
		return r.String() + " for ImagePolicies" // which may be of the system namespace as well
	}
	return r.Kind + " " + w.client.Namespace + "/" + r.Name
}

// follow watches what policies refer to, and nothing else.
func (w *Watcher) follow(ctx context.Context) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.followed == w.revision+1 {
		return
	}
	var policies []cip.Policy
	for _, of := range []*kept[policyItem]{w.held.policies, w.held.owned} {
		for _, item := range of.byName {
			policies = append(policies, item.serves)
		}
	}
	watched := map[Reference]bool{}
	for r := range w.watched {
		watched[r] = true
	}
	wanted, beyond := bounded(referencesOf(policies), watched)
	if !reflect.DeepEqual(beyond, w.held.tooMany) {
		w.held.tooMany = beyond
		w.revision++
	}
	for _, r := range wanted {
		if !watched[r] {
			w.watch(ctx, r)
		}
		delete(watched, r)
	}
	for r := range watched {
		w.forget(r)
	}
	w.followed = w.revision + 1
}

// watch and forget are called with the lock held.
func (w *Watcher) watch(ctx context.Context, r Reference) {
	ctx, w.watched[r] = context.WithCancel(ctx)
	if r.Kind == secretKind {
		found := keep(w, readSecret(r.Namespace), dependency[cip.Secret].same)
		found.lost = dependency[cip.Secret].lost
		w.held.secrets[r] = found
		w.startOne(ctx, r, found)
		return
	}
	found := keep(w, readConfigMap(r.Namespace), dependency[cip.ConfigMap].same)
	found.lost = dependency[cip.ConfigMap].lost
	w.held.configMaps[r] = found
	w.startOne(ctx, r, found)
}

func (w *Watcher) forget(r Reference) {
	w.watched[r]()
	delete(w.watched, r)
	if r.Kind == secretKind {
		delete(w.held.secrets, r)
	} else {
		delete(w.held.configMaps, r)
	}
	w.health.forget(w.nameOf(r))
	w.revision++
}

// complete says that nothing is on its way: all that policies refer to was read, or could
// not be.
func (w *Watcher) complete() bool {
	w.lock.RLock()
	defer w.lock.RUnlock()
	return len(w.held.unread(func(r Reference) bool { return w.health.isFailing(w.nameOf(r)) })) == 0
}

// publish makes what is held what Objects returns, and says whether it differs in more than
// what was seen. Before everything was read there is nothing to publish.
func (w *Watcher) publish() bool {
	w.lock.RLock()
	defer w.lock.RUnlock()
	before := w.published.Load()
	forbidden := func(r Reference) string {
		if r.Namespace != "" { // whatever is wrong there, others do not wait for it
			return w.health.cause(w.nameOf(r))
		}
		return w.health.forbidden(w.nameOf(r))
	}
	if before == nil && (!w.places.synced() || !w.held.synced(forbidden)) {
		return false
	}
	now := w.held.objects(w.revision, forbidden)
	w.published.Store(&now)
	return before == nil || before.Revision != now.Revision || !slices.Equal(before.Refused, now.Refused)
}

// Synced says that policies of every kind, trust roots, namespaces, settings and what policies refer to
// have all been read once, but for what we have no right to: one policy that names it must
// not have everything denied. It stays so.
func (w *Watcher) Synced() bool { return w.published.Load() != nil }

// Objects is what the cluster holds, or nothing before [Watcher.Synced].
func (w *Watcher) Objects() Objects {
	if published := w.published.Load(); published != nil {
		return *published
	}
	return Objects{}
}

// Problems are the sources that are not up to date, and since when, for people and for a
// metric. What they last said serves.
func (w *Watcher) Problems() []Problem { return w.health.problems() }
