package rego_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego"
)

const byTier = `package policies.tier

deny contains "no Pods here" if data.assay.namespaces[input.request.namespace].labels.tier != "web"

deny contains "frozen" if data.assay.namespaces[input.request.namespace].labels.frozen
`

const shownLabels = `  policy: {type: rego, data: "package sigstore\n\nisCompliant { not input.assay.namespaceLabels.frozen }"}
`

// reviewIn is the review of a Pod of that namespace.
func reviewIn(t *testing.T, namespace string) []byte {
	t.Helper()
	return altered(t, pod(someApp), func(request map[string]any) { request["namespace"] = namespace })
}

func altered(t *testing.T, review []byte, change func(request map[string]any)) []byte {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(review, &out); err != nil {
		t.Fatal(err)
	}
	change(out["request"].(map[string]any))
	encoded, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// cluster is one whose labels a test changes.
type cluster struct {
	now   atomic.Pointer[rego.Namespaces]
	asked atomic.Int32
}

func (c *cluster) is(labels map[string]map[string]string) { c.now.Store(rego.NewNamespaces(labels)) }

func (c *cluster) namespaces() *rego.Namespaces {
	c.asked.Add(1)
	return c.now.Load()
}

// TestLabelsOfNamespaces are those of the moment of the decision, in plain Rego and inside a
// ClusterImagePolicy alike; every decision is made again from its capsule.
func TestLabelsOfNamespaces(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	for name, s := range map[string]setup{
		"plain Rego":                    {policies: static("p", "**", "pass", ""), modules: map[string]string{"tier.rego": byTier}},
		"inside a ClusterImagePolicy":   {policies: static("p", "**", "pass", shownLabels)},
		"CUE of a ClusterImagePolicy":   {policies: static("p", "**", "pass", "  policy: {type: cue, data: \"assay: namespaceLabels: close({tier?: string})\"}\n")},
		"all of them, looked at by one": {policies: static("p", "**", "pass", ""), modules: map[string]string{"all.rego": "package policies.all\n\ndeny contains name if {\n\tsome name, of in data.assay.namespaces\n\tof.labels.frozen\n}\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c cluster
			s.namespaces = c.namespaces
			r := open(t, w, s)
			for _, step := range []struct {
				labels map[string]string
				denied bool
			}{
				{map[string]string{"tier": "web"}, false},
				{map[string]string{"tier": "web", "frozen": "yes"}, true},
				{map[string]string{"tier": "web"}, false},
			} {
				c.is(map[string]map[string]string{"shop": step.labels, "other": nil})
				reasons, _ := judge(t, r, reviewIn(t, "shop"))
				if got := len(reasons) > 0; got != step.denied {
					t.Errorf("%v: got %q, want it denied: %v", step.labels, reasons, step.denied)
				}
			}
			c.is(map[string]map[string]string{"other": nil})
			if _, err := r.Decide(t.Context(), reviewIn(t, "shop")); err == nil || !strings.Contains(err.Error(), "namespace shop: its labels are not known") {
				t.Errorf("a namespace that nobody knows: got %v, want no decision", err)
			}
			creation := altered(t, reviewIn(t, "new"), func(request map[string]any) {
				request["kind"] = map[string]any{"group": "", "version": "v1", "kind": "Namespace"}
				request["object"] = map[string]any{"metadata": map[string]any{"name": "new"}}
			})
			if _, err := r.Decide(t.Context(), creation); err != nil {
				t.Errorf("a namespace that is created: got %v, want a decision", err)
			}
		})
	}
}

// TestWhoReadsNoLabelsAsksForNone, and needs no namespace to be known.
func TestWhoReadsNoLabelsAsksForNone(t *testing.T) {
	t.Parallel()
	var c cluster
	r := open(t, openWorld(t, "images: {}"), setup{
		policies: static("p", "**", "pass", ""), modules: map[string]string{"p.rego": "package policies.p\n\ndeny := []\n"}, namespaces: c.namespaces,
	})
	if reasons, _ := judge(t, r, reviewIn(t, "shop")); len(reasons) > 0 || c.asked.Load() > 0 {
		t.Errorf("got %q and asked %d times, want neither", reasons, c.asked.Load())
	}
}

// TestWhoReadsLabelsOfOneNamespaceDeniesInNoOther: its ImagePolicy judges nothing else, and whoever writes it
// must not have others denied.
func TestWhoReadsLabelsOfOneNamespaceDeniesInNoOther(t *testing.T) {
	t.Parallel()
	own := strings.NewReplacer("policy.sigstore.dev/v1beta1", "policy.assay.dev/v1alpha1", "ClusterImagePolicy", "ImagePolicy", "{name: reads}", "{name: reads, namespace: shop}").
		Replace(static("reads", "**", "pass", shownLabels))
	for name, tt := range map[string]struct {
		more       string
		modules    map[string]string
		everywhere bool
	}{
		"alone":                     {"", nil, false},
		"beside one of the cluster": {static("all", "**", "pass", shownLabels), nil, true},
		"beside plain Rego":         {"", map[string]string{"frozen.rego": "package policies.frozen\n\ndeny contains \"f\" if data.assay.namespaces[input.request.namespace].labels.frozen\n"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c cluster
			r := open(t, openWorld(t, "images: {}"), setup{policies: static("p", "**", "pass", "") + own + tt.more, modules: tt.modules, namespaces: c.namespaces})
			c.is(map[string]map[string]string{"other": {"frozen": "yes"}})
			const unknown = "its labels are not known"
			if _, err := r.Decide(t.Context(), reviewIn(t, "shop")); err == nil || !strings.Contains(err.Error(), "namespace shop: "+unknown) {
				t.Errorf("its own namespace: got %v, want no decision", err)
			}
			for call, ask := range map[string]func(context.Context, []byte) (rego.Decision, error){"decide": r.Decide, "mutate": r.Mutate} {
				decision, err := ask(t.Context(), reviewIn(t, "new"))
				if refused := err != nil && strings.Contains(err.Error(), "namespace new: "+unknown); refused != tt.everywhere || !refused && (err != nil || !decision.Allowed) {
					t.Errorf("%s in another namespace: got %v, %v, want it refused: %v", call, decision, err, tt.everywhere)
				}
			}
			c.is(map[string]map[string]string{"shop": {"frozen": "yes"}})
			if reasons, _ := judge(t, r, reviewIn(t, "shop")); len(reasons) == 0 {
				t.Error("got it admitted where its label is, want it denied")
			}
		})
	}
}

// TestLabelsThatNobodyHas fail the policies that read them, and no others.
func TestLabelsThatNobodyHas(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	plain := open(t, w, setup{policies: static("p", "**", "pass", ""), modules: map[string]string{"tier.rego": byTier}})
	if reasons, _ := judge(t, plain, reviewIn(t, "shop")); len(reasons) != 1 || !strings.Contains(reasons[0], "which neither a cluster nor a data document has") {
		t.Errorf("plain Rego: got %q, want the policy failed", reasons)
	}
	inside := open(t, w, setup{policies: static("reads", "**", "pass", shownLabels) + static("other", "**", "pass", "")})
	if reasons, _ := judge(t, inside, reviewIn(t, "shop")); len(reasons) != 1 || !strings.Contains(reasons[0], "failed policy: reads") || !strings.Contains(reasons[0], "namespaceLabels") {
		t.Errorf("inside: got %q, want the one policy failed", reasons)
	}
}

// TestLabelsInDataDocuments stand where policies read them, for whoever has no cluster.
func TestLabelsInDataDocuments(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	document := func(labels string) map[string]any {
		var out map[string]any
		if err := json.Unmarshal([]byte(`{"assay": {"namespaces": {"shop": `+labels+`}}, "others": {"a": 1}}`), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	modules := map[string]string{"tier.rego": byTier, "other.rego": "package policies.other\n\ndeny contains \"other\" if data.others.a != 1\n"}
	for labels, want := range map[string]int{`{"labels": {"tier": "web"}}`: 0, `{"labels": {"tier": "db"}}`: 1} {
		r := open(t, w, setup{policies: static("p", "**", "pass", ""), modules: modules, data: document(labels)})
		if reasons, _ := judge(t, r, reviewIn(t, "shop")); len(reasons) != want {
			t.Errorf("%s: got %q, want %d reasons", labels, reasons, want)
		}
	}
	source := rego.Source{Modules: modules, Open: func(rego.Workload) rego.Answers { return nil }}
	for name, change := range map[string]func(*rego.Source){
		"labels that are none":    func(s *rego.Source) { s.Data = document(`{"labels": {"tier": 1}}`) },
		"more than labels":        func(s *rego.Source) { s.Data = document(`{"label": {"tier": "web"}}`) },
		"nothing":                 func(s *rego.Source) { s.Data = map[string]any{"assay": map[string]any{}} },
		"others below data.assay": func(s *rego.Source) { s.Data = map[string]any{"assay": map[string]any{"config": map[string]any{}}} },
		"a cluster has them too": func(s *rego.Source) {
			s.Data, s.Namespaces = document(`{}`), func() *rego.Namespaces { return rego.NewNamespaces(nil) }
		},
	} {
		refused := source
		change(&refused)
		if _, err := rego.Compile(t.Context(), refused); err == nil || !strings.Contains(err.Error(), "data.assay") {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}

// TestLabelsAreRecordedAsTheyWereRead: those of the namespace, and of others as far as a policy looked.
func TestLabelsAreRecordedAsTheyWereRead(t *testing.T) {
	t.Parallel()
	var c cluster
	c.is(map[string]map[string]string{"shop": {"owner": "team"}, "team": nil, "secret": {"a": "b"}})
	r := open(t, openWorld(t, "images: {}"), setup{policies: static("p", "**", "pass", ""), namespaces: c.namespaces, modules: map[string]string{"p.rego": `package policies.p

deny contains "an owner that is none" if {
	owner := data.assay.namespaces[input.request.namespace].labels.owner
	not data.assay.namespaces[owner]
}

deny contains "gone" if data.assay.namespaces.gone
`}})
	var made rego.Made
	r.Record(func(m rego.Made) { made = m })
	if reasons, _ := judge(t, r, reviewIn(t, "shop")); len(reasons) > 0 {
		t.Errorf("got %q, want it admitted", reasons)
	}
	want := &rego.Read{Labels: map[string]map[string]string{"shop": {"owner": "team"}, "team": {}, "gone": nil}}
	if diff := cmp.Diff(want, made.Read); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	// What a record does not have is told of, and found nowhere.
	source := r.source
	recorded := rego.Read{Labels: map[string]map[string]string{"shop": {"owner": "team"}}}.Namespaces()
	source.Namespaces = func() *rego.Namespaces { return recorded }
	set, err := rego.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	again := rego.NewEngine(set, nil)
	again.Record(func(m rego.Made) { made = m })
	if _, err := again.Decide(t.Context(), reviewIn(t, "shop")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"namespace gone", "namespace team"}, made.Missing); diff != "" {
		t.Errorf("not recorded (-want +got):\n%s", diff)
	}
}

// TestNamespacesSayWhatWasRead, or a label changed meanwhile.
func TestNamespacesSayWhatWasRead(t *testing.T) {
	t.Parallel()
	type labels = map[string]map[string]string
	now := rego.NewNamespaces(labels{"prod": {"tier": "web"}, "bare": {}})
	for name, tt := range map[string]struct {
		read rego.Read
		want bool
	}{
		"the same":                 {rego.Read{Labels: labels{"prod": {"tier": "web"}}}, true},
		"one that has none":        {rego.Read{Labels: labels{"bare": {}}}, true},
		"one that there is not":    {rego.Read{Labels: labels{"gone": nil}}, true},
		"another label":            {rego.Read{Labels: labels{"prod": {"tier": "db"}}}, false},
		"one that was there":       {rego.Read{Labels: labels{"gone": {}}}, false},
		"one that was not there":   {rego.Read{Labels: labels{"bare": nil}}, false},
		"all":                      {rego.Read{All: true, Labels: labels{"prod": {"tier": "web"}, "bare": {}}}, true},
		"all, and one came":        {rego.Read{All: true, Labels: labels{"prod": {"tier": "web"}}}, false},
		"nothing was looked up":    {rego.Read{}, true},
		"all, and a label changed": {rego.Read{All: true, Labels: labels{"prod": {}, "bare": {}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := now.Says(&tt.read); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
