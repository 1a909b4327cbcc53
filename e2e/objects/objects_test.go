// Package objects_test shows on a real API server what is kept of its objects, what is
// written to them, and that one replica writes.
package objects_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/lease"
	"github.com/assay-dev/assay/kube/status"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego/cip"
)

// patience is for a machine that does other things as well.
const patience = time.Minute

// eventually waits for what comes by itself.
func eventually(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Since(begun) > patience {
			t.Fatalf("%s: not within %v", what, patience)
		}
		<-tick.C
	}
	return time.Since(begun)
}

func apply(t *testing.T, c *cluster.Cluster, text string) {
	t.Helper()
	if _, err := c.TryKubectl(t, text, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

func policy(name, spec string) string {
	return "apiVersion: policy.sigstore.dev/v1alpha1\nkind: ClusterImagePolicy\nmetadata: {name: " + name + "}\nspec: " + spec + "\n---\n"
}

const passes = `{images: [{glob: ghcr.io/old/**}], authorities: [{static: {action: pass}}]}`

// log is what was logged.
type log struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.String()
}

// replica is what one of ours has of the cluster.
type replica struct {
	*watch.Watcher
	client  *kube.Client
	changes atomic.Int64
	log     log
}

func watching(t *testing.T, c *cluster.Cluster) *replica {
	t.Helper()
	client, err := kube.Connect(c.User(t, "assay"), "security", "test")
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{client: client}
	r.Watcher = watch.New(client, slog.New(slog.NewTextHandler(&r.log, nil)))
	done := make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		r.Run(ctx, func() { r.changes.Add(1) })
	}()
	t.Cleanup(func() { stop(); <-done })
	return r
}

func (r *replica) problems() string { return fmt.Sprint(r.Problems()) }

// images are the globs of a policy, or nothing.
func (r *replica) images(name string) string {
	var out []string
	for _, p := range r.Objects().Policies {
		for _, image := range p.Spec.Images {
			if p.Name == name {
				out = append(out, image.Glob)
			}
		}
	}
	return strings.Join(out, " ")
}

func (r *replica) refused() string { return fmt.Sprint(r.Objects().Refused) }

func TestWatching(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	c.Namespace(t, "security")
	r := watching(t, c)
	eventually(t, "what is forbidden is named", func() bool {
		return strings.Contains(r.problems(), `list is forbidden: clusterimagepolicies.policy.sigstore.dev is forbidden: User "assay" cannot list resource "clusterimagepolicies"`)
	})
	c.Kubectl(t, "apply", "-f", "testdata/rights.yaml")
	eventually(t, "what is not installed is named", func() bool {
		return strings.Contains(r.problems(), "trustroots.policy.sigstore.dev: stale since ") && strings.Contains(r.problems(), "the resource is not installed")
	})
	c.Kubectl(t, "apply", "-f", "testdata/definitions.yaml")
	eventually(t, "namespaces are all that is missing", func() bool {
		return len(r.Problems()) == 1 && strings.Contains(r.problems(), `cannot list resource "namespaces"`)
	})
	if r.Synced() || r.changes.Load() > 0 {
		t.Fatal("got it synced without namespaces")
	}
	c.Kubectl(t, "apply", "-f", "testdata/namespaces.yaml")
	eventually(t, "synced", func() bool { return r.Synced() && len(r.Problems()) == 0 && r.changes.Load() == 1 })

	t.Run("objects", func(t *testing.T) { testObjects(t, c, r) })
	t.Run("burst", func(t *testing.T) { testBurst(t, c, r) })
	t.Run("status", func(t *testing.T) { testStatus(t, c, r) })
	t.Run("outage", func(t *testing.T) { testOutage(t, c, r) })
	if text := r.log.String(); strings.Contains(text, "b25l") || strings.Contains(text, "hunter2") {
		t.Errorf("got the content of a Secret in the log:\n%s", text)
	}
}

func testObjects(t *testing.T, c *cluster.Cluster, r *replica) {
	apply(t, c, policy("good", passes))
	took := eventually(t, "a policy", func() bool { return r.images("good") == "ghcr.io/old/**" })
	t.Logf("from apply to Objects: %v, a tenth of a second of it waiting for more", took)
	apply(t, c, policy("good", `{images: [{glob: ghcr.io/new/**}], authority: []}`))
	eventually(t, "an edit that cannot be read", func() bool { return r.images("good") == "ghcr.io/new/** ghcr.io/old/**" })
	if !strings.Contains(r.refused(), `ClusterImagePolicy good: `) || !strings.Contains(r.refused(), `unknown field "authority"`) {
		t.Errorf("got %s, want the cause", r.refused())
	}
	apply(t, c, policy("good", `{images: 3}`))
	eventually(t, "globs that cannot be read", func() bool { return r.images("good") == "**" })
	c.Kubectl(t, "delete", "cip", "good")
	eventually(t, "a policy that is deleted", func() bool { return r.images("good") == "" && r.refused() == "[]" })

	apply(t, c, policy("keys", `{images: [{glob: a.b/**}], authorities: [{key: {secretRef: {name: key, namespace: security}}}], policy: {type: cue, configMapRef: {name: text, key: policy}}}`))
	eventually(t, "a policy that refers to nothing that exists", func() bool { return r.images("keys") == "a.b/**" && r.refused() == "[]" })
	c.Kubectl(t, "create", "secret", "generic", "other", "--namespace", "security", "--from-literal=password=hunter2")
	c.Kubectl(t, "create", "secret", "generic", "key", "--namespace", "security", "--from-literal=cosign.pub=one")
	took = eventually(t, "a Secret that comes later", func() bool { return len(r.Objects().Secrets) == 1 })
	t.Logf("from kubectl's end to Objects: %v", took)
	if got := r.Objects().Secrets[0]; got.Name != "key" || string(got.Data["cosign.pub"]) != "one" || !got.System() {
		t.Errorf("got %v", got)
	}
	text := map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "text", "namespace": "security"},
		"data": map[string]string{"policy": strings.Repeat("x", 1<<20-100)},
	}
	large, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, c, string(large))
	eventually(t, "a ConfigMap of 1 MiB", func() bool {
		found := r.Objects().ConfigMaps
		return len(found) == 1 && len(found[0].Data["policy"]) == 1<<20-100
	})
	c.Kubectl(t, "delete", "secret", "key", "--namespace", "security")
	eventually(t, "a Secret that is deleted", func() bool { return strings.Contains(r.refused(), "Secret key: was deleted") })
	if len(r.Objects().Secrets) != 1 {
		t.Error("got no Secret, want what it last held")
	}
	c.Kubectl(t, "create", "secret", "generic", "key", "--namespace", "security", "--from-literal=cosign.pub=two")
	eventually(t, "a Secret that is replaced", func() bool {
		return r.refused() == "[]" && string(r.Objects().Secrets[0].Data["cosign.pub"]) == "two"
	})
	c.Kubectl(t, "delete", "cip", "keys")
	eventually(t, "what nobody refers to", func() bool { return len(r.Objects().Secrets)+len(r.Objects().ConfigMaps) == 0 })

	c.Kubectl(t, "create", "configmap", "config-policy-controller", "--namespace", "security", "--from-literal=no-match-policy=warn")
	eventually(t, "settings", func() bool { return r.Objects().Settings.NoMatch == "warn" })
	c.Kubectl(t, "label", "namespace", "security", "policy.sigstore.dev/include=true")
	eventually(t, "labels of a namespace", func() bool {
		labels, _ := r.Namespaces()
		return labels["security"]["policy.sigstore.dev/include"] == "true"
	})

	apply(t, c, "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: own}\nspec: {remote: {mirror: https://tuf.example.com, root: eyJzaWduYXR1cmVzIjpbXX0=}}")
	eventually(t, "a trust root", func() bool { return len(r.Objects().TrustRoots) == 1 })
	apply(t, c, "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: own}\nspec: {remote: {mirror: https://tuf.example.com, root: ''}}")
	eventually(t, "a trust root that cannot be read", func() bool { return strings.Contains(r.refused(), "TrustRoot own") })
	if len(r.Objects().TrustRoots) != 1 {
		t.Error("got no trust root, want the last one that could be read")
	}
	c.Kubectl(t, "delete", "trustroot", "own")
	eventually(t, "a trust root that is deleted", func() bool { return len(r.Objects().TrustRoots) == 0 && r.refused() == "[]" })
}

func testBurst(t *testing.T, c *cluster.Cluster, r *replica) {
	const many = 1000
	var text strings.Builder
	for i := range many {
		text.WriteString(policy(fmt.Sprintf("p%d", i), fmt.Sprintf(`{images: [{glob: ghcr.io/p%d/**}], authorities: [{static: {action: pass}}]}`, i)))
	}
	before, begun := r.changes.Load(), time.Now()
	apply(t, c, text.String())
	eventually(t, "a thousand policies", func() bool { return len(r.Objects().Policies) == many })
	took, calls := time.Since(begun), r.changes.Load()-before
	t.Logf("%d policies in %v: %d calls", many, took, calls)
	if most := int64(2*took/time.Second) + 2; calls > most {
		t.Errorf("got %d calls, want at most %d: two a second", calls, most)
	}
	if names := r.Objects().Policies; !slices.IsSortedFunc(names, func(a, b cip.Policy) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("got policies in no order")
	}
	c.Kubectl(t, "delete", "cip", "--all", "--wait=false")
	eventually(t, "none of them", func() bool { return len(r.Objects().Policies) == 0 })
}

func testStatus(t *testing.T, c *cluster.Cluster, r *replica) {
	apply(t, c, policy("release", passes))
	eventually(t, "a policy", func() bool { return len(r.Objects().Seen) == 1 })
	before := r.changes.Load()
	ctx, stop := context.WithCancel(t.Context())
	writer := status.NewWriter(r.client, "assay-0", slog.New(slog.NewTextHandler(&r.log, nil)))
	done := make(chan struct{})
	go func() { defer close(done); writer.Run(ctx) }()
	ready := func() string {
		return c.Kubectl(t, "get", "cip", "release", "-o", `jsonpath={.status.observedGeneration} {.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}`)
	}
	set := func(o status.Outcome) {
		var judged []status.Judged
		for _, seen := range r.Objects().Seen {
			judged = append(judged, status.Judged{Seen: seen, Outcome: o})
		}
		writer.Set(judged)
	}
	set(status.Outcome{})
	eventually(t, "a status", func() bool { return ready() == "1 True " })
	set(status.Outcome{Unresolved: map[string]string{"spec.authorities[0]": `secret "key" not found`}})
	eventually(t, "another", func() bool { return ready() == `1 False spec.authorities[0]: secret "key" not found` })
	eventually(t, "an Event", func() bool {
		return strings.Contains(c.Kubectl(t, "get", "events.events.k8s.io", "-o", "jsonpath={range .items[*]}{.type} {.reason} {.regarding.kind}/{.regarding.name}: {.note}\n{end}"),
			`Warning Unresolved ClusterImagePolicy/release: spec.authorities[0]: secret "key" not found`)
	})
	eventually(t, "the status is seen", func() bool { return r.Objects().Seen[0].Status != nil })
	if got := r.changes.Load() - before; got > 0 {
		t.Errorf("got %d changes, want none: statuses are no policies", got)
	}
	version := func() string {
		return c.Kubectl(t, "get", "cip", "release", "-o", "jsonpath={.metadata.resourceVersion}")
	}
	last := version()
	set(status.Outcome{Unresolved: map[string]string{"spec.authorities[0]": `secret "key" not found`}})
	stop()
	<-done
	if version() != last {
		t.Error("got the same status written again")
	}

	denials := status.NewDenials(r.client, "assay-0", slog.New(slog.NewTextHandler(&r.log, nil)))
	running := make(chan struct{})
	ctx, stop = context.WithCancel(t.Context())
	go func() { defer close(running); denials.Run(ctx) }()
	c.Namespace(t, "shop")
	for range 10 {
		denials.Denied(status.Denial{Namespace: "shop", Kind: "Pod", Name: "web", Reasons: []string{strings.Repeat("no matching policies ", 100)}})
	}
	eventually(t, "the rest is limited", func() bool { return denials.Limited() == 7 })
	found := c.Kubectl(t, "get", "events.events.k8s.io", "--namespace", "shop", "-o", "jsonpath={range .items[*]}{.type} {.reason} {.regarding.kind}/{.regarding.name}\n{end}")
	if want := strings.Repeat("Warning ImageDenied Namespace/shop\n", 3); found != want {
		t.Errorf("got %q, want %q; dropped %d; %s", found, want, denials.Dropped(), r.log.String())
	}
	stop()
	<-running
	c.Kubectl(t, "delete", "cip", "--all")
}

func testOutage(t *testing.T, c *cluster.Cluster, r *replica) {
	apply(t, c, policy("stays", passes))
	eventually(t, "a policy", func() bool { return r.images("stays") != "" })
	c.StopAPIServer(t)
	eventually(t, "what is stale is named", func() bool { return len(r.Problems()) == 7 })
	if r.images("stays") == "" || !r.Synced() || r.Objects().Settings.NoMatch != "warn" {
		t.Error("got nothing of what was there before")
	}
	c.StartAPIServer(t)
	apply(t, c, policy("next", passes))
	took := eventually(t, "what was applied since", func() bool { return r.images("next") != "" && len(r.Problems()) == 0 })
	t.Logf("from the first apply to Objects: %v", took)
	c.Kubectl(t, "delete", "crd", "clusterimagepolicies.policy.sigstore.dev")
	eventually(t, "a resource that is gone", func() bool { return len(r.Objects().Policies) == 0 })
}

func TestOneLeads(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	c.Namespace(t, "security")
	c.Kubectl(t, "apply", "-f", "testdata/rights.yaml")
	client, err := kube.Connect(c.User(t, "assay"), "security", "test")
	if err != nil {
		t.Fatal(err)
	}
	var leaders, terms atomic.Int64
	var everTwo atomic.Bool
	contend := func(name string) (l *lease.Lease, stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		l = lease.New(client, "assay-leader", name, slog.New(slog.DiscardHandler))
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Run(ctx, func(ctx context.Context) {
				terms.Add(1)
				everTwo.CompareAndSwap(false, leaders.Add(1) > 1)
				<-ctx.Done()
				leaders.Add(-1)
			})
		}()
		stop = func() { cancel(); <-done }
		t.Cleanup(stop)
		return l, stop
	}
	first, stopFirst := contend("a")
	eventually(t, "the first leads", first.Leading)
	second, _ := contend("b")
	third, _ := contend("c")
	stopFirst()
	took := eventually(t, "another leads", func() bool { return second.Leading() || third.Leading() })
	t.Logf("after a release: %v", took)
	if took > 10*time.Second {
		t.Errorf("got another leader after %v, want it to take what was given back", took)
	}
	c.StopAPIServer(t)
	took = eventually(t, "nobody leads", func() bool { return leaders.Load() == 0 })
	t.Logf("without an API server: %v", took)
	if took > 12*time.Second {
		t.Errorf("got a leader for %v without renewing, want 10 s at most", took)
	}
	c.StartAPIServer(t)
	eventually(t, "somebody leads again", func() bool { return leaders.Load() == 1 })
	if everTwo.Load() || terms.Load() < 3 {
		t.Errorf("got two at one time: %v; %d terms", everTwo.Load(), terms.Load())
	}
}
