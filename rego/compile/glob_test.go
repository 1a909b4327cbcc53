package compile_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/assay-dev/assay/rego/cip"
)

const digest = "@sha256:5504f2a95018e3d8a52d80d9e1a128c6ea337581808ff9fe96f5628ce2336350"

// conformanceGlobs are those of policy-controller's own table, and some that
// follow from its rules.
const conformanceGlobs = `index.docker.io/library/foo:latest index.docker.io/library/foo:* index.docker.io/library/*
index.docker.io/library/*:latest index.docker.io/*/* index.docker.io/** index.docker.** inde** ** foo foo* foo** *
index.docker.io/myuser/myapp:latest index.docker.io/myuser/myapp:* index.docker.io/myuser/* index.docker.io/myuser/*:latest
myuser/myapp myuser/myapp* myuser/myapp** */* ghcr.io/*/* ghcr.io/** ghc** */** ghcr.io/foo ghcr.io/foo* ghcr.io/foo**
ghcr.io/foo@* ghcr.io/foo:* ghcr.io/foo` + digest + ` docker.io/** docker.io/library/** GHCR.IO/** ghcr.io/ORG/* *HCR.io/**
**.IO/** a/**c a/***c a/*c *.gcr.io/x *@sha256:* **@sha256:5504* ghcr.io/*@* ghcr.io/*/bar* localhost:5000/** LOCALHOST:5000/*:V1`

func names() []string {
	return []string{
		"index.docker.io/library/foo" + digest, "index.docker.io/myuser/myapp" + digest, "ghcr.io/foo" + digest,
		"ghcr.io/foo/bar" + digest, "ghcr.io/foobar" + digest, "ghcr.io/foo-suffix" + digest, "prefix-ghcr.io/foo" + digest,
		"index.docker.io/ghcrxio/foo" + digest, "ghcr.io/org/a/b/c" + digest, "localhost:5000/x" + digest, "index.docker.io/a/c" + digest,
		"eu.gcr.io/x" + digest,
	}
}

// TestCompiledGlobsMatchWhatGlobsMatch compares cip.Glob with the Rego made of it
// for the table and for random globs, and wants the index to name what matches.
func TestCompiledGlobsMatchWhatGlobsMatch(t *testing.T) {
	t.Parallel()
	globs := strings.Fields(conformanceGlobs)
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		globs = append(globs, randomGlob(random))
	}
	checkGlobs(t, globs, names())
}

// TestManyGlobsOfOnePolicy: of more than a hundred globs OPA is told the beginnings,
// and they match what they match alone.
func TestManyGlobsOfOnePolicy(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 5 {
		glob := randomGlob(random)
		others := slices.Repeat([]cip.ImagePattern{{Glob: "nothing.example/of-this-name"}}, 100)
		p := cip.Policy{Name: "p", Version: "v1beta1", Spec: cip.Spec{
			Mode: cip.ModeEnforce, Images: append(others, cip.ImagePattern{Glob: glob}),
			Authorities: []cip.Authority{{Static: &cip.StaticRef{Action: "pass"}}},
		}}
		checkModules(t, []cip.Policy{p})
		for _, name := range names() {
			if got, want := evaluate(t, []cip.Policy{p}, name, "data.cip.p.matched"), match(t, glob, name); got != want {
				t.Errorf("glob %s, image %s: got %v, want %t", glob, name, got, want)
			}
		}
	}
}

// randomGlob cuts a name into pieces and puts stars in the place of some.
func randomGlob(random *rand.Rand) string {
	name := names()[random.IntN(len(names()))]
	var out strings.Builder
	for len(name) > 0 {
		piece := 1 + random.IntN(min(len(name), 12))
		switch random.IntN(6) {
		case 0:
			out.WriteString("*")
		case 1:
			out.WriteString("**")
		default:
			out.WriteString(name[:piece])
		}
		name = name[piece:]
	}
	return out.String()
}

// checkGlobs compiles a policy for each glob.
func checkGlobs(t *testing.T, globs, names []string) {
	t.Helper()
	var policies []cip.Policy
	for i, glob := range globs {
		policies = append(policies, cip.Policy{Name: fmt.Sprintf("p%d", i), Version: "v1beta1", Spec: cip.Spec{
			Mode: cip.ModeEnforce, Images: []cip.ImagePattern{{Glob: glob}}, Authorities: []cip.Authority{{Static: &cip.StaticRef{Action: "pass"}}},
		}})
	}
	query, err := rego.New(rego.Compiler(newCompiler(t, policies)), rego.StrictBuiltinErrors(true), rego.Query(
		`[[p | data.cip[p].matched], [p | some p in data.cip_index.candidates]]`)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		results, err := query.Eval(t.Context(), rego.EvalInput(map[string]any{"image": name}))
		if err != nil || len(results) != 1 {
			t.Fatalf("%s: got %d results and error %v", name, len(results), err)
		}
		got := results[0].Expressions[0].Value.([]any)
		matched, candidates := got[0].([]any), got[1].([]any)
		for i, source := range globs {
			policy := any(policies[i].Name)
			want := match(t, source, name)
			if got := slices.Contains(matched, policy); got != want {
				t.Errorf("glob %s, image %s: got matched %t, want %t", source, name, got, want)
			}
			if want && !slices.Contains(candidates, policy) {
				t.Errorf("glob %s, image %s: got no candidate, want one", source, name)
			}
		}
	}
}

func match(t *testing.T, source, name string) bool {
	t.Helper()
	glob, err := cip.ParseGlob(source)
	if err != nil {
		t.Fatal(err)
	}
	matched, err := glob.Match(name)
	if err != nil {
		t.Fatal(err)
	}
	return matched
}

func FuzzGlob(f *testing.F) {
	for _, glob := range strings.Fields(conformanceGlobs) {
		f.Add(glob, "ghcr.io/foo")
	}
	f.Fuzz(func(t *testing.T, source, image string) {
		if _, err := cip.ParseGlob(source); err != nil {
			t.Skip()
		}
		// The name as an admission sees it: whole, and by digest.
		image, _, _ = strings.Cut(image, "@")
		found, err := cip.Names(image + digest)
		if err != nil {
			t.Skip()
		}
		checkGlobs(t, []string{source}, found[:1])
	})
}
