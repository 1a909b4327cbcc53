package rego_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/once"
	"github.com/assay-dev/assay/rego/raw"
)

// loading compiles sources as a server does, one after the other.
type loading struct {
	store    *once.Store
	patience once.Patience
	ready    chan struct{}
	before   *rego.Set
}

func newLoading(p once.Patience) *loading {
	l := &loading{patience: p, ready: make(chan struct{}, 100)}
	l.store = once.NewStore(func() { l.ready <- struct{}{} })
	return l
}

func (l *loading) load(t testing.TB, source rego.Source) *rego.Set {
	t.Helper()
	source.Load, source.Before = l.store.Begin(l.patience, l.patience), l.before
	defer source.Load.Serves()
	if source.Open == nil {
		source.Open = func(rego.Workload) rego.Answers { return nil }
	}
	set, err := rego.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	l.before = set
	return set
}

// TestEqualSourcesGiveEqualSets, whatever was kept of them.
func TestEqualSourcesGiveEqualSets(t *testing.T) {
	t.Parallel()
	documents, err := cip.Parse([]byte(static("a", "**", "pass", shown("true")) + static("b", "**", "pass", shown("false"))))
	if err != nil {
		t.Fatal(err)
	}
	source := rego.Source{
		Policies: documents.Policies, Modules: map[string]string{"p.rego": "package policies.p\n\ndeny := []\n"},
		Objects: []raw.Object{
			{Name: "RegoPolicy good", Modules: map[string]string{"g.rego": "package policies.good\n\ndeny := []\n"}},
			{Name: "RegoPolicy bad", Modules: map[string]string{"b.rego": "package policies.bad\n\ndeny := x\n"}},
		},
	}
	l := newLoading(once.Patience{})
	first := l.load(t, source)
	want := fmt.Sprint(first.Hash(), first.Warnings(), first.Policies(), first.Uncompiled())
	anew := source
	anew.Open = func(rego.Workload) rego.Answers { return nil }
	set, err := rego.Compile(t.Context(), anew)
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]*rego.Set{"made anew": set, "kept": l.load(t, source)} {
		if got := fmt.Sprint(set.Hash(), set.Warnings(), set.Policies(), set.Uncompiled()); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	source.Config.NoMatch = "allow" // which the set is compiled anew for
	if got := l.load(t, source); got.Hash() == first.Hash() || got.Source().Config.NoMatch != "allow" {
		t.Errorf("another configuration: got %s, want another set", got.Hash())
	}
}

// TestWhatWasKeptDecidesTheSame as what is made anew, however often it served.
func TestWhatWasKeptDecidesTheSame(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	l := newLoading(once.Patience{})
	kept := rego.NewEngine(nil, nil)
	for _, inside := range []string{"true", "input.assay.name == \"\"", "false", "true"} {
		anew := open(t, w, setup{
			policies: static("same", "**", "pass", shown("true")) + static("edited", "**", "pass", shown(strings.ReplaceAll(inside, `"`, `\"`))),
			modules:  map[string]string{"p.rego": "package policies.p\n\ndeny contains \"never\" if input.request.operation == \"DELETE\"\n"},
		})
		kept.Swap(l.load(t, anew.source))
		want := encode(t, anew.decide(t, someApp))
		for range 2 {
			got, err := kept.Decide(t.Context(), pod(someApp))
			if err != nil {
				t.Fatal(err)
			}
			if encode(t, got) != want {
				t.Errorf("%s: got %s, want %s", inside, encode(t, got), want)
			}
		}
	}
}

func shown(value string) string {
	return "  policy: {type: rego, data: \"package sigstore\\n\\nisCompliant { " + value + " }\"}\n"
}

// heavy takes seconds to compile: its types are of products of products.
func heavy(pkg, rule string) string {
	var out strings.Builder
	out.WriteString("package " + pkg + "\n\n" + rule + "\n\n")
	for i := range 1500 {
		fmt.Fprintf(&out, "r%d = x { x := input.a%d; y := r%d; y == x }\n", i, i, i+1)
	}
	out.WriteString("r1500 = 1\n")
	return out.String()
}

// TestWhatIsHeavyDeniesByItself: the policy with it fails until it is compiled, in each of the forms that
// policies have; all others are in force, and a change of theirs waits for nothing.
func TestWhatIsHeavyDeniesByItself(t *testing.T) {
	t.Parallel()
	parsed, err := cip.Parse([]byte(static("light", "**", "pass", shown("true"))))
	if err != nil {
		t.Fatal(err)
	}
	light := parsed.Policies[0]
	inside := light
	inside.Name, inside.Spec.Policy = "heavy", &cip.PolicyRef{Type: "rego", Data: heavy("sigstore", "isCompliant { true }")}
	source := rego.Source{
		Policies: []cip.Policy{inside, light},
		Objects: []raw.Object{
			{Name: "RegoPolicy heavy", Modules: map[string]string{"h.rego": strings.ReplaceAll(heavy("policies.heavy", "deny := []"), " {", " if {")}},
			{Name: "RegoPolicy light", Modules: map[string]string{"l.rego": "package policies.light\n\ndeny := []\n"}},
		},
	}
	l := newLoading(once.Patience{})
	l.load(t, rego.Source{Policies: source.Policies[1:], Objects: source.Objects[1:]}) // however slow the machine is
	l.patience.Each = time.Nanosecond
	set := l.load(t, source)
	late := 0
	if _, ok := set.Uncompiled()["heavy"]; ok {
		late++
		if cause := set.Source().Policies[0].Gaps["spec.policy"]; !strings.Contains(cause, once.ErrLater.Error()) {
			t.Errorf("got the gap %q, want it in the source, so that a capsule has it", cause)
		}
	}
	for _, p := range set.Raw() {
		if p.Name == "light" && p.Failure() != nil {
			t.Errorf("light: got %v, want it in force", p.Failure())
		}
		if p.Name == "heavy" && p.Failure() != nil || strings.HasPrefix(p.Name, "RegoPolicy") {
			late++
		}
	}
	if _, ok := set.Uncompiled()["light"]; ok {
		t.Errorf("got %v, want the light one in force", set.Uncompiled())
	}
	if late == 0 {
		t.Error("got all of it compiled, want what is heavy late")
	}
	deadline := time.After(time.Minute)
	for { // until all are there
		if _, waits := set.Uncompiled()["heavy"]; !waits && len(set.Warnings()) == 0 {
			break
		}
		select {
		case <-l.ready:
			set = l.load(t, source)
		case <-deadline:
			t.Fatalf("got %v and %q after a minute, want all in force", set.Uncompiled(), set.Warnings())
		}
	}
	for i := range set.Source().Policies {
		if gaps := set.Source().Policies[i].Gaps; len(gaps) > 0 {
			t.Errorf("got %v, want no gaps any more", gaps)
		}
	}
}

// BenchmarkReload is a load of many policies anew, after one of them was edited, and after none was.
func BenchmarkReload(b *testing.B) {
	for _, kind := range []string{"static", "inline"} {
		more := ""
		if kind == "inline" {
			more = shown("true")
		}
		var text strings.Builder
		for i := range 1000 {
			text.WriteString(static(fmt.Sprint("org-", i), fmt.Sprintf("ghcr.io/org-%d/**", i), "pass", more))
		}
		documents, err := cip.Parse([]byte(text.String()))
		if err != nil {
			b.Fatal(err)
		}
		for _, what := range []string{"anew", "edited", "same"} {
			b.Run(kind+"/"+what, func(b *testing.B) {
				l := newLoading(once.Patience{})
				if what == "anew" {
					l.store = nil
				}
				source := rego.Source{Policies: documents.Policies}
				l.load(b, source)
				n := 0
				for b.Loop() {
					if what == "anew" {
						l.before = nil
					}
					if what == "edited" {
						n++
						source.Policies[500].Spec.Images = []cip.ImagePattern{{Glob: fmt.Sprintf("edited.example/%d", n)}}
					}
					l.load(b, source)
				}
			})
		}
	}
}
