package webhook

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/hook"
	"github.com/assay-dev/assay/kube/status"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/raw"
)

// TestNothingIsAdmittedBeforeThePoliciesAreLoaded: a policy that is not there yet cannot
// be satisfied.
func TestNothingIsAdmittedBeforeThePoliciesAreLoaded(t *testing.T) {
	t.Parallel()
	r, _ := started(t)
	r.cluster = &cluster{}
	var told []rego.Made
	r.engine.Watch(func(_ context.Context, made rego.Made) { told = append(told, made) })
	asked := 0
	decide := r.gated(func(context.Context, []byte) (rego.Decision, error) {
		asked++
		return rego.Decision{Allowed: true}, nil
	}, true)
	decision, err := decide(t.Context(), []byte("{}"))
	if err != nil || decision.Allowed || asked != 0 || !strings.Contains(strings.Join(decision.Reasons, ""), "not loaded yet") {
		t.Errorf("before: got %+v, %v and %d questions, want it denied, with the cause", decision, err, asked)
	}
	if len(told) != 1 || told[0].Err == nil || told[0].Err.Error() != decision.Reasons[0] || !told[0].Mutation || string(told[0].Review) != "{}" {
		t.Errorf("before: got %+v told to who watches, want the review without a decision, and the cause", told)
	}
	r.loaded.Store(true)
	if decision, err = decide(t.Context(), []byte("{}")); err != nil || !decision.Allowed || asked != 1 {
		t.Errorf("after: got %+v, %v, want what the engine says", decision, err)
	}
}

// TestMatchedImagesAreCountedOnce for each policy of the cluster, and no others.
func TestMatchedImagesAreCountedOnce(t *testing.T) {
	t.Parallel()
	var m matched
	outcomes := func(names ...string) map[string]status.Outcome {
		out := map[string]status.Outcome{"TrustRoot a": {}}
		for _, name := range names {
			out["ClusterImagePolicy "+name] = status.Outcome{}
		}
		m.count(out)
		return out
	}
	saw := func(digest string, policies ...string) {
		image := rego.Image{Digest: digest}
		for _, name := range policies {
			image.Policies = append(image.Policies, rego.Policy{Name: name})
		}
		m.saw(rego.Decision{Images: []rego.Image{image}})
	}
	saw("sha256:0", "a") // before anybody asked for it
	outcomes("a", "b")
	saw("sha256:1", "a", "b", "elsewhere")
	saw("sha256:1", "a")
	saw("sha256:2", "a")
	got := outcomes("a", "b")
	if a, b := got["ClusterImagePolicy a"].MatchedImages, got["ClusterImagePolicy b"].MatchedImages; a != 2 || b != 1 {
		t.Errorf("got %d and %d images, want 2 and 1", a, b)
	}
	if got["TrustRoot a"].MatchedImages != 0 {
		t.Error("got images of a TrustRoot")
	}
	outcomes("b")
	if got := outcomes("a", "b")["ClusterImagePolicy a"].MatchedImages; got != 0 {
		t.Errorf("got %d images of a policy that was made anew, want none", got)
	}
}

// TestClusterFlagsThatContradict each other are refused by name.
func TestClusterFlagsThatContradict(t *testing.T) {
	t.Parallel()
	client := &kube.Client{Namespace: "cosign-system"}
	for name, tt := range map[string]struct {
		flags clusterFlags
		want  string
	}{
		"a mode that nobody knows":           {clusterFlags{secrets: "all"}, `--pull-secrets: got "all", want pods, central or none`},
		"one central Secret without a name":  {clusterFlags{secrets: "central"}, `--pull-secret: got ""`},
		"a Secret that nobody would read":    {clusterFlags{secrets: "pods", secret: "a"}, `--pull-secret: got "a"`},
		"caBundle of another's certificates": {clusterFlags{secrets: "none", webhooks: []string{"a"}}, "--webhook-config: got it without --webhook-service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.flags.puller(client)
			if err == nil {
				_, err = tt.flags.keeper(client, slog.New(slog.DiscardHandler))
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestRegoPoliciesThatAreAllGone: those of files go on to serve where they are all gone at
// once, and those of the cluster are gone when they are deleted.
func TestRegoPoliciesThatAreAllGone(t *testing.T) {
	t.Parallel()
	const text = "package policies.p\n\ndeny := false\n"
	file := rego.Source{Modules: map[string]string{"p.rego": text}}
	object := rego.Source{Objects: []raw.Object{{Name: "RegoPolicy p", Modules: map[string]string{"cluster/p.rego": text}}}}
	both := rego.Source{Modules: file.Modules, Objects: object.Objects} // a contested one
	for name, tt := range map[string]struct {
		before, after rego.Source
		refused       bool
	}{
		"the last file":                     {file, rego.Source{}, true},
		"the last object":                   {object, rego.Source{}, false},
		"the last file, beside an object":   {both, object, true},
		"the object beside a file":          {both, file, false},
		"a file that an object was put for": {file, object, true},
		"an object that a file was put for": {object, file, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := compiled(t, tt.before)
			r := &reloader{
				engine: rego.NewEngine(before, nil), wiring: &wiring.Wiring{Flags: wiring.Defaults()}, regoInFiles: (&wiring.Documents{}).RegoInFiles(before),
			}
			if err := r.emptied(compiled(t, tt.after), &wiring.Documents{}); (err != nil) != tt.refused {
				t.Errorf("got %v, want it refused: %t", err, tt.refused)
			}
		})
	}
}

// TestWhatARefusedChangeBroughtIsNotInForce, though nothing is wrong with it: another file
// may be broken.
func TestWhatARefusedChangeBroughtIsNotInForce(t *testing.T) {
	t.Parallel()
	of := func(name, uid string, generation int64) watch.Seen {
		return watch.Seen{Kind: "ClusterImagePolicy", Name: name, UID: uid, Generation: generation}
	}
	r := &reloader{serving: versionsOf(watch.Objects{Seen: []watch.Seen{of("same", "u", 1), of("edited", "u", 1), of("again", "u", 1)}})}
	now := watch.Objects{Seen: []watch.Seen{of("same", "u", 1), of("edited", "u", 2), of("again", "v", 1), of("new", "u", 1)}}
	for _, tt := range []struct {
		failure error
		want    map[string]string
	}{
		{nil, map[string]string{"same": "", "edited": "", "again": "", "new": ""}},
		{errors.New("broken"), map[string]string{"same": "", "edited": "broken", "again": "broken", "new": "broken"}},
	} {
		r.failure = tt.failure
		got := map[string]string{}
		for _, judged := range r.judge(now) {
			got[judged.Name] = judged.NotLoaded
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("failure %v: (-want +got):\n%s", tt.failure, diff)
		}
	}
}

// TestPoliciesAreJudgedOneAfterTheOther: those that take long leave processors for reviews of
// workloads, and whoever waits in vain is refused.
func TestPoliciesAreJudgedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	client := &kube.Client{Interface: dynamic.NewForConfigOrDie(&rest.Config{Host: "127.0.0.1:1"})}
	c := &cluster{client: client, watcher: watch.New(client, log), judging: make(chan struct{}, 1)}
	begun, end := make(chan struct{}), make(chan struct{})
	r := &reloader{cluster: c, engine: rego.NewEngine(compiled(t, rego.Source{}), nil), wiring: &wiring.Wiring{Flags: wiring.Defaults()}}
	decide := r.policies(func(_ hook.Judge, _ context.Context, r hook.Request) hook.Verdict {
		if r.Kind == "TrustRoot" {
			begun <- struct{}{}
			<-end
		}
		return hook.Verdict{Allowed: true}
	})
	review := []byte(`{"request": {"operation": "CREATE", "kind": {"group": "policy.sigstore.dev", "kind": "TrustRoot"}}}`)
	first := make(chan bool)
	go func() {
		decision, err := decide(t.Context(), review)
		first <- err == nil && decision.Allowed
	}()
	<-begun
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if decision, err := decide(late, review); err != nil || decision.Allowed || !strings.Contains(strings.Join(decision.Reasons, ""), "try again") {
		t.Errorf("the second: got %+v and %v, want it refused", decision, err)
	}
	// Nor do those of namespaces and those of the cluster wait for each other.
	owned := bytes.ReplaceAll(bytes.ReplaceAll(review, []byte("policy.sigstore.dev"), []byte("policy.assay.dev")), []byte("TrustRoot"), []byte("ImagePolicy"))
	if decision, err := decide(t.Context(), owned); err != nil || !decision.Allowed {
		t.Errorf("one of a namespace: got %+v and %v, want it judged", decision, err)
	}
	close(end)
	if !<-first {
		t.Error("the first was not admitted")
	}
}

// TestTurnsOfNamespaces: nobody waits for one of another, nor holds a place meanwhile.
func TestTurnsOfNamespaces(t *testing.T) {
	t.Parallel()
	c := &cluster{judging: make(chan struct{}, 1)}
	c.judging <- struct{}{} // one of the cluster is being judged
	turn := func(namespace string) (func(), string) {
		return c.turn(t.Context(), hook.Request{Kind: cip.ImagePolicyKind, Namespace: namespace})
	}
	var last func()
	for _, namespace := range []string{"a", "b", "c", "d"} {
		done, problem := turn(namespace)
		if problem != "" {
			t.Fatalf("%s: got %q, want its turn", namespace, problem)
		}
		last = done
	}
	if _, problem := turn("a"); !strings.Contains(problem, "another ImagePolicy of namespace a is being judged") {
		t.Errorf("the same namespace: got %q, want it refused", problem)
	}
	if _, problem := turn("e"); !strings.Contains(problem, "4 ImagePolicies are being judged") {
		t.Errorf("one too many: got %q, want it refused", problem)
	}
	last()
	if _, problem := turn("e"); problem != "" {
		t.Errorf("once one is done: got %q, want its turn", problem)
	}
}

func compiled(t *testing.T, source rego.Source) *rego.Set {
	t.Helper()
	source.Open = func(rego.Workload) rego.Answers { return nil }
	set, err := rego.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
