package pull_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/pull"
)

// api is the part of an API server that is asked, behind the real client.
type api struct {
	mu      sync.Mutex
	objects map[string]string // JSON by path below /api/v1/namespaces/
	status  map[string]int    // of what is refused
	asked   []string
	hold    chan struct{} // where requests wait, nil for nowhere
	held    string        // of the paths that begin so
	waiting chan struct{}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/")
	a.mu.Lock()
	a.asked = append(a.asked, at)
	object, status := a.objects[at], a.status[at]
	hold := a.hold
	a.mu.Unlock()
	if hold != nil && strings.HasPrefix(at, a.held) {
		a.waiting <- struct{}{}
		<-hold
	}
	w.Header().Set("Content-Type", "application/json")
	parts := strings.Split(at, "/")
	switch {
	case status == http.StatusForbidden:
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,
			"message":"%s \"%s\" is forbidden: User \"assay\" cannot get resource \"%s\" in API group \"\" in the namespace \"%s\""}`,
			parts[1], parts[2], parts[1], parts[0])
	case status == http.StatusNotFound: // of something on the way
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, "no such page")
	case status != 0:
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, "s3cret")
	case object == "":
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,
			"message":"%s \"%s\" not found","details":{"kind":"%s","name":"%s"}}`, parts[1], parts[2], parts[1], parts[2])
	default:
		_, _ = fmt.Fprint(w, object)
	}
}

// take is what was asked since it was last called, in the order of the alphabet.
func (a *api) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := slices.Sorted(slices.Values(a.asked))
	a.asked = nil
	return out
}

func secret(namespace, name, content string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":%q,"namespace":%q},"type":"kubernetes.io/dockerconfigjson",
		"data":{".dockerconfigjson":%q,"other":"czNjcmV0"}}`, name, namespace, base64.StdEncoding.EncodeToString([]byte(content)))
}

func account(namespace, name string, secrets ...string) string {
	list := []string{}
	for _, s := range secrets {
		list = append(list, fmt.Sprintf(`{"name":%q}`, s))
	}
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":%q,"namespace":%q},"imagePullSecrets":[%s]}`,
		name, namespace, strings.Join(list, ","))
}

func cluster() *api {
	return &api{waiting: make(chan struct{}, 100), status: map[string]int{}, objects: map[string]string{
		"shop/secrets/a":               secret("shop", "a", "A"),
		"shop/secrets/b":               secret("shop", "b", "B"),
		"shop/secrets/c":               secret("shop", "c", "C"),
		"bank/secrets/a":               secret("bank", "a", "bank's"),
		"shop/serviceaccounts/default": account("shop", "default", "b", "c", "a", "gone"),
		"cosign-system/secrets/all":    secret("cosign-system", "all", "central"),
	}}
}

// puller reads from an API server.
func puller(t *testing.T, a *api, options pull.Options) *pull.Puller {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	client, err := dynamic.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pull.New(&kube.Client{Interface: client, Namespace: "cosign-system"}, options)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// texts are the contents of Secrets by name, in their order.
func texts(secrets []pull.Secret) (out []string) {
	for _, s := range secrets {
		out = append(out, s.Name+"="+string(s.Data[".dockerconfigjson"]))
	}
	return out
}

func TestWhatIsRead(t *testing.T) {
	t.Parallel()
	pods, central := pull.Options{Mode: pull.Pods}, pull.Options{Mode: pull.Central, Secret: "all"}
	for _, tt := range []struct {
		name    string
		options pull.Options
		request pull.Request
		want    []string
		asked   []string
	}{
		{
			"AUTH-1: the Pod's, then those of its ServiceAccount", pods, pull.Request{"shop", "default", []string{"c"}},
			[]string{"c=C", "b=B", "a=A"},
			[]string{"shop/secrets/a", "shop/secrets/b", "shop/secrets/c", "shop/secrets/gone", "shop/serviceaccounts/default"},
		},
		{
			"AUTH-2: what is not there is left out", pods, pull.Request{"shop", "none", []string{"gone", "a", "a"}},
			[]string{"a=A"}, []string{"shop/secrets/a", "shop/secrets/gone", "shop/serviceaccounts/none"},
		},
		{"AUTH-4: no ServiceAccount has a say in Secrets of a policy", pods, pull.Request{"shop", "", []string{"b"}}, []string{"b=B"}, []string{"shop/secrets/b"}},
		{"T18: those of the namespace and of no other", pods, pull.Request{"bank", "", []string{"a", "b"}}, []string{"a=bank's"}, []string{"bank/secrets/a", "bank/secrets/b"}},
		{"an object without a namespace has none", pods, pull.Request{"", "default", []string{"a"}}, nil, nil},
		{"central: one for all", central, pull.Request{"shop", "default", []string{"a"}}, []string{"all=central"}, []string{"cosign-system/secrets/all"}},
		{"none: nothing", pull.Options{}, pull.Request{"shop", "default", []string{"a"}}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := cluster()
			p := puller(t, a, tt.options)
			found, err := p.Find(t.Context(), tt.request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, texts(found)); diff != "" {
				t.Errorf("Secrets (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.asked, a.take()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			for _, s := range found {
				if s.Data["other"] != nil {
					t.Error("got data that is no docker configuration, want none of it")
				}
			}
			again, ok, err := p.AtHand(tt.request)
			if !ok || err != nil || !cmp.Equal(texts(again), tt.want) || a.take() != nil {
				t.Errorf("got %q, %t and %v, want the same at hand", texts(again), ok, err)
			}
		})
	}
}

// TestRefusals: whatever cannot be known is an error, and never fewer Secrets.
func TestRefusals(t *testing.T) {
	t.Parallel()
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprint("s", i)
	}
	pods := pull.Options{Mode: pull.Pods}
	for _, tt := range []struct {
		name    string
		set     func(*api)
		options pull.Options
		request pull.Request
		code    string
		message string
	}{
		{
			"AUTH-2: a Secret that we may not read", func(a *api) { a.status["shop/secrets/a"] = 403 }, pods, pull.Request{"shop", "default", []string{"a"}},
			pull.Unauthorized, `secrets "a" is forbidden: User "assay" cannot get resource "secrets" in API group "" in the namespace "shop"`,
		},
		{"AUTH-2: a ServiceAccount that we may not read", func(a *api) { a.status["shop/serviceaccounts/default"] = 403 }, pods, pull.Request{"shop", "default", nil}, pull.Unauthorized, "forbidden"},
		{"AUTH-2: a Secret of the ServiceAccount", func(a *api) { a.status["shop/secrets/b"] = 403 }, pods, pull.Request{"shop", "default", nil}, pull.Unauthorized, `"b"`},
		{"an API server that is broken", func(a *api) { a.status["shop/secrets/a"] = 500 }, pods, pull.Request{"shop", "", []string{"a"}}, pull.Unreachable, ""},
		{"a 404 that is not the API server's", func(a *api) { a.status["shop/secrets/a"] = 404 }, pods, pull.Request{"shop", "", []string{"a"}}, pull.Unreachable, ""},
		{
			"a Secret that is none", func(a *api) {
				a.objects["shop/secrets/a"] = `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"shop"},"data":"s3cret"}`
			}, pods,
			pull.Request{"shop", "", []string{"a"}}, pull.Malformed, `secret "a": data`,
		},
		{
			"one without base64", func(a *api) {
				a.objects["shop/secrets/a"] = `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"shop"},"data":{".dockercfg":"s3cret!"}}`
			}, pods,
			pull.Request{"shop", "", []string{"a"}}, pull.Malformed, `secret "a": .dockercfg`,
		},
		{"T18: another namespace's", func(a *api) { a.objects["shop/secrets/a"] = secret("bank", "a", "s3cret") }, pods, pull.Request{"shop", "", []string{"a"}}, pull.Malformed, "another object"},
		{
			"a ServiceAccount that is none", func(a *api) {
				a.objects["shop/serviceaccounts/default"] = `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"shop"},"imagePullSecrets":"s3cret"}`
			}, pods,
			pull.Request{"shop", "default", nil}, pull.Malformed, "imagePullSecrets",
		},
		{"more Secrets than anybody has", func(*api) {}, pods, pull.Request{"shop", "default", many}, pull.TooLarge, "got 33, want at most 32"},
		{
			"more with those of the ServiceAccount", func(a *api) { a.objects["shop/serviceaccounts/default"] = account("shop", "default", many...) },
			pods, pull.Request{"shop", "default", nil}, pull.TooLarge, "got 33, want at most 32",
		},
		{
			"Secrets that hold more than anybody's", func(a *api) {
				for _, name := range []string{"a", "b", "c"} {
					a.objects["shop/secrets/"+name] = secret("shop", name, strings.Repeat("x", 400<<10))
				}
			}, pods,
			pull.Request{"shop", "", []string{"a", "b", "c"}}, pull.TooLarge, "got more than 1048576 bytes",
		},
		{"a name that leads elsewhere", func(*api) {}, pods, pull.Request{"shop", "", []string{"../../bank/secrets/a"}}, pull.Unreachable, ""},
		{"a namespace that leads elsewhere", func(*api) {}, pods, pull.Request{"../bank", "", []string{"a"}}, pull.Unreachable, ""},
		{"central: the Secret is not there", func(a *api) { delete(a.objects, "cosign-system/secrets/all") }, pull.Options{Mode: pull.Central, Secret: "all"}, pull.Request{"shop", "default", nil}, pull.Unauthorized, "want the central one"},
		{"central: a policy that names Secrets", func(*api) {}, pull.Options{Mode: pull.Central, Secret: "all"}, pull.Request{"shop", "", []string{"a"}}, pull.Unauthorized, "mode central"},
		{"none: a policy that names Secrets", func(*api) {}, pull.Options{}, pull.Request{"shop", "", []string{"a"}}, pull.Unauthorized, "mode none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := cluster()
			tt.set(a)
			found, err := puller(t, a, tt.options).Find(t.Context(), tt.request)
			var refused *pull.Error
			if !errors.As(err, &refused) || refused.Code != tt.code || !strings.Contains(refused.Message, tt.message) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %s with %q and no secret", err, tt.code, tt.message)
			}
			if found != nil {
				t.Errorf("got %q beside a refusal", texts(found))
			}
			for _, asked := range a.take() {
				if strings.HasPrefix(asked, "bank") {
					t.Errorf("got a request for %s", asked)
				}
			}
		})
	}
}

func TestWhatServesAgain(t *testing.T) {
	t.Parallel()
	a, now := cluster(), time.Unix(0, 0)
	p := puller(t, a, pull.Options{Mode: pull.Pods, Now: func() time.Time { return now }})
	for _, step := range []struct {
		name string
		at   time.Duration
		set  func()
		want []string
		err  bool
		n    int
	}{
		{"cold", 0, func() {}, []string{"a=A"}, false, 2},
		{"warm", time.Second, func() { a.objects["shop/secrets/gone"] = secret("shop", "gone", "new") }, []string{"a=A"}, false, 0},
		{"what was absent is looked for after 2 s", 2 * time.Second, func() {}, []string{"a=A", "gone=new"}, false, 1},
		{"what was there serves for 10 s", 9 * time.Second, func() { a.objects["shop/secrets/a"] = secret("shop", "a", "rotated") }, []string{"a=A", "gone=new"}, false, 0},
		{"and no longer", 10 * time.Second, func() {}, []string{"a=rotated", "gone=new"}, false, 1},
		{"an API server that is lost denies", 30 * time.Second, func() { a.status["shop/secrets/a"] = 500 }, nil, true, 2},
		{"a failure is not kept", 30 * time.Second, func() { delete(a.status, "shop/secrets/a") }, []string{"a=rotated", "gone=new"}, false, 1},
		{"a Secret that was deleted no longer counts", 60 * time.Second, func() { delete(a.objects, "shop/secrets/a") }, []string{"gone=new"}, false, 2},
	} {
		now = time.Unix(0, 0).Add(step.at)
		a.mu.Lock()
		step.set()
		a.mu.Unlock()
		found, err := p.Find(t.Context(), pull.Request{Namespace: "shop", Names: []string{"a", "gone"}})
		if diff := cmp.Diff(step.want, texts(found)); diff != "" || (err != nil) != step.err {
			t.Errorf("%s: got %v, Secrets (-want +got):\n%s", step.name, err, diff)
		}
		if asked := a.take(); len(asked) != step.n {
			t.Errorf("%s: got requests %q, want %d", step.name, asked, step.n)
		}
	}
}

// TestWhoLeavesLeavesAlone holds T39: the first of many callers goes away.
func TestWhoLeavesLeavesAlone(t *testing.T) {
	t.Parallel()
	a := cluster()
	a.hold = make(chan struct{})
	p := puller(t, a, pull.Options{Mode: pull.Pods})
	request := pull.Request{Namespace: "shop", Names: []string{"a"}}
	first, leave := context.WithCancel(t.Context())
	var left error
	var wait sync.WaitGroup
	wait.Go(func() { _, left = p.Find(first, request) })
	<-a.waiting // its request is under way
	var right atomic.Int32
	for range 10 {
		wait.Go(func() {
			if found, err := p.Find(t.Context(), request); err == nil && cmp.Equal(texts(found), []string{"a=A"}) {
				right.Add(1)
			}
		})
	}
	if _, ok, err := p.AtHand(request); ok || err != nil {
		t.Errorf("got at hand %t and %v, want neither", ok, err)
	}
	leave()
	close(a.hold)
	wait.Wait()
	if right.Load() != 10 {
		t.Errorf("got %d of 10 answers after the first caller left", right.Load())
	}
	if left != nil && !errors.Is(left, context.Canceled) {
		t.Errorf("got %v for who left, want context.Canceled", left)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		options pull.Options
		ok      bool
	}{
		{pull.Options{}, true},
		{pull.Options{Mode: pull.Pods}, true},
		{pull.Options{Mode: pull.Central, Secret: "all"}, true},
		{pull.Options{Mode: pull.Central}, false},
		{pull.Options{Mode: "everything"}, false},
	} {
		if _, err := pull.New(&kube.Client{}, tt.options); (err == nil) != tt.ok {
			t.Errorf("%+v: got %v, want ok %t", tt.options, err, tt.ok)
		}
	}
}
