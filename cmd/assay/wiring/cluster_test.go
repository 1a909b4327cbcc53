package wiring

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/rego/resource"
)

func TestMain(m *testing.M) {
	builtins.Register() // rego/lib calls them
	os.Exit(m.Run())
}

// policyNamed is a policy about one glob that any image of it satisfies.
func policyNamed(t *testing.T, name, glob, spec string) cip.Policy {
	t.Helper()
	documents, err := cip.Parse([]byte(`{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: ` + name + `}, spec: {
		mode: warn, images: [{glob: "` + glob + `"}], ` + spec + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	return documents.Policies[0]
}

const passes = "authorities: [{static: {action: pass}}]"

// TestPoliciesOfOneName: of two, one in a file and one in the cluster, neither is dropped.
func TestPoliciesOfOneName(t *testing.T) {
	t.Parallel()
	d := &Documents{Policies: []cip.Policy{policyNamed(t, "both", "a.io/**", passes), policyNamed(t, "file", "b.io/**", passes)}}
	d.join(watch.Objects{Policies: []cip.Policy{policyNamed(t, "both", "c.io/**", passes), policyNamed(t, "object", "d.io/**", passes)}})
	var names []string
	for _, policy := range d.Policies {
		names = append(names, policy.Name)
	}
	if diff := cmp.Diff([]string{"both", "file", "object"}, names); diff != "" {
		t.Fatalf("policies (-want +got):\n%s", diff)
	}
	both := d.Policies[0]
	if want := []cip.ImagePattern{{Glob: "a.io/**"}, {Glob: "c.io/**"}}; !cmp.Equal(both.Spec.Images, want) || both.Spec.Mode != cip.ModeEnforce {
		t.Errorf("got %+v, want every image of either denied", both.Spec)
	}
	if got := both.Gaps["spec.authorities[0]"]; len(both.Spec.Authorities) != 1 || !strings.Contains(got, "two policies of that name") {
		t.Errorf("got %q, want the one authority failed with the cause", got)
	}
}

// TestTrustRootsOfOneName: that of the files serves, and a warning says so.
func TestTrustRootsOfOneName(t *testing.T) {
	t.Parallel()
	d := &Documents{roots: []cip.TrustRoot{{Name: "own", Spec: cip.TrustRootSpec{Remote: &cip.Remote{Mirror: "https://file.io"}}}}}
	d.join(watch.Objects{TrustRoots: []cip.TrustRoot{{Name: "own"}, {Name: "other"}}, Settings: watch.Settings{NoMatch: "warn"}})
	if len(d.roots) != 2 || d.roots[0].Spec.Remote == nil || len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "TrustRoot own") {
		t.Errorf("got %+v and %q, want the file's and a warning", d.roots, d.Warnings)
	}
	if d.noMatch != "warn" {
		t.Errorf("got %q, want what the settings say", d.noMatch)
	}
}

// TestSecretsOfOneName: a policy of the files keeps the key that the files have, whoever may
// write Secrets and policies in the cluster.
func TestSecretsOfOneName(t *testing.T) {
	t.Parallel()
	file, object := map[string][]byte{"cosign.pub": []byte("file")}, map[string][]byte{"cosign.pub": []byte("object")}
	d := &Documents{sources: keys.Sources{
		Secrets:    []cip.Secret{{Name: "key", Namespace: "cosign-system", Data: file}, {Name: "pull", Namespace: "shop", Data: file}},
		ConfigMaps: []cip.ConfigMap{{Name: "text", Data: map[string]string{"a": "file"}}},
	}}
	d.join(watch.Objects{
		Secrets:    []cip.Secret{{Name: "key", Data: object}, {Name: "pull", Data: object}},
		ConfigMaps: []cip.ConfigMap{{Name: "text", Data: map[string]string{"a": "object"}}},
	})
	want := []cip.Secret{{Name: "key", Namespace: "cosign-system", Data: file}, {Name: "pull", Namespace: "shop", Data: file}, {Name: "pull", Data: object}}
	if diff := cmp.Diff(want, d.sources.Secrets); diff != "" {
		t.Errorf("Secrets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]cip.ConfigMap{{Name: "text", Data: map[string]string{"a": "file"}}}, d.sources.ConfigMaps); diff != "" {
		t.Errorf("ConfigMaps (-want +got):\n%s", diff)
	}
	if len(d.Warnings) != 2 || !strings.Contains(d.Warnings[0], "Secret key") || !strings.Contains(d.Warnings[1], "ConfigMap text") {
		t.Errorf("got %q, want a warning of each that is not used", d.Warnings)
	}
}

// TestCompilerNamesFieldAndLine of what a policy brings along and does not compile, and
// complains of nothing that is somewhere else.
func TestCompilerNamesFieldAndLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spec     string
		problems []string
		warnings int
	}{
		"nothing inside": {passes, nil, 0},
		"Rego":           {passes + `, policy: {type: rego, data: "package sigstore\n\nisCompliant { undefined_function(1) }"}`, []string{"spec.policy: ", ":3: "}, 0},
		"CUE":            {passes + `, policy: {type: cue, data: "{\"a"}`, []string{"spec.policy: "}, 0},
		"CUE of an attestation": {`authorities: [{key: {kms: "gcpkms://k"}, attestations: [
			{name: a, predicateType: "https://slsa.dev/provenance/v1", policy: {type: cue, data: "{"}}]}]`,
			[]string{"spec.authorities[0].attestations[0].policy: "}, 0},
		"Rego that answers nothing": {passes + `, policy: {type: rego, data: "package sigstore\n\nx = 1"}`, nil, 1},
		"what is somewhere else":    {passes + `, policy: {type: rego, configMapRef: {name: a, key: b}}`, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, warnings := Compiler{}.Check(t.Context(), policyNamed(t, "p", "**", tt.spec))
			got := strings.Join(problems, "\n")
			if (got == "") != (len(tt.problems) == 0) || len(warnings) != tt.warnings {
				t.Fatalf("got %q and warnings %q, want %q", problems, warnings, tt.problems)
			}
			for _, want := range tt.problems {
				if !strings.Contains(got, want) {
					t.Errorf("got %q, want %q in it", got, want)
				}
			}
		})
	}
}

// TestRegoPoliciesOfTheCluster are objects of the set beside the files, and what became of
// each is told by its name.
func TestRegoPoliciesOfTheCluster(t *testing.T) {
	t.Parallel()
	d := &Documents{modules: map[string]string{"a.rego": "package policies.a\n\ndeny := false\n"}}
	d.join(watch.Objects{RegoPolicies: []resource.RegoPolicy{
		regoPolicy("good", "package policies.good\n\ndeny := false"), regoPolicy("bad", "package policies.bad\n\ndeny := x"),
		regoPolicy("taken", "package policies.a\n\ndeny := false"), {Name: "unread", Refused: "it cannot be read"},
	}})
	set := compileSet(t, d.Source(Defaults().Rego))
	got := map[string]string{}
	for name, outcome := range d.Outcomes(set) {
		got[name], _, _ = strings.Cut(outcome.Uncompiled["spec.modules"], ": rego_")
	}
	want := map[string]string{
		"RegoPolicy bad":    "cluster/regopolicies/bad/p.rego:3",
		"RegoPolicy taken":  "there are 2 policies of that name, in RegoPolicy taken and in the files: want one",
		"RegoPolicy unread": "it cannot be read",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func regoPolicy(name, text string) resource.RegoPolicy {
	return resource.RegoPolicy{Name: name, Spec: resource.RegoPolicySpec{Modules: map[string]string{"p.rego": text}}}
}

func compileSet(t *testing.T, source rego.Source) *rego.Set {
	t.Helper()
	source.Open = func(rego.Workload) rego.Answers { return nil }
	set, err := rego.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestCompilerRefusesRego that would fail, or would have another policy of its package fail.
func TestCompilerRefusesRego(t *testing.T) {
	t.Parallel()
	serving := compileSet(t, rego.Source{
		Modules: map[string]string{"a.rego": "package policies.filed\n\ndeny := false\n"},
		Objects: []raw.Object{regoObject(regoPolicy("other", "package policies.taken\n\ndeny := false")), regoObject(regoPolicy("p", "package policies.mine\n\ndeny := false"))},
	})
	for name, tt := range map[string]struct{ text, problem, warning string }{
		"it compiles":                    {"package policies.new\n\ndeny := false", "", ""},
		"it has the package that it had": {"package policies.mine\n\ndeny := false", "", ""},
		"it does not compile":            {"package policies.new\n\ndeny := x", "spec.modules: cluster/regopolicies/p/p.rego:3: ", ""},
		"it is no Rego":                  {"package", "spec.modules: cluster/regopolicies/p/p.rego:1: ", ""},
		"another has its package":        {"package policies.taken.below\n\nx := false", "got no rule deny", ""},
		"another object is it":           {"package policies.taken\n\ndeny := false", "spec.modules: the policy taken is RegoPolicy other already", ""},
		"a file is it":                   {"package policies.filed\n\ndeny := false", "spec.modules: the policy filed is a file already", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, warnings := Compiler{Serving: serving}.CheckRego(t.Context(), regoPolicy("p", tt.text))
			got := strings.Join(problems, "\n")
			if (got == "") != (tt.problem == "") || !strings.Contains(got, tt.problem) || strings.Join(warnings, "") != tt.warning {
				t.Errorf("got %q and the warnings %q, want %q", problems, warnings, tt.problem)
			}
		})
	}
}

// TestWorkloadPathsOfOneName: that of the cluster says that the files have one of its name and its
// kind. What they have of another kind is no matter, and neither is what is wrong among files.
func TestWorkloadPathsOfOneName(t *testing.T) {
	t.Parallel()
	of := func(name, kind string) resource.WorkloadPaths {
		return resource.WorkloadPaths{Name: name, Spec: resource.WorkloadPathsSpec{Group: "a.io", Kind: kind, Images: []string{"image"}}}
	}
	d := &Documents{workloads: []resource.WorkloadPaths{of("one", "A"), of("two", "B"), of("files", "C"), of("too", "C")}}
	d.join(watch.Objects{WorkloadPaths: []resource.WorkloadPaths{of("files", "D"), of("one", "A"), of("two", "E")}})
	got := map[string]string{}
	for name, outcome := range d.Outcomes(compileSet(t, d.Source(Defaults().Rego))) {
		got[name] = outcome.Uncompiled["spec.kind"]
	}
	want := map[string]string{"WorkloadPaths one": "WorkloadPaths one of the files are about A of a.io already: of two its objects are denied"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWorkloadPathsOfOneKind are refused beside those that serve, and those of the cluster say so.
func TestWorkloadPathsOfOneKind(t *testing.T) {
	t.Parallel()
	of := func(name, kind string, versions ...string) resource.WorkloadPaths {
		return resource.WorkloadPaths{Name: name, Spec: resource.WorkloadPathsSpec{Group: "a.io", Kind: kind, Versions: versions, Images: []string{"image"}}}
	}
	d := &Documents{workloads: []resource.WorkloadPaths{of("file", "A", "v1")}}
	d.join(watch.Objects{WorkloadPaths: []resource.WorkloadPaths{of("object", "A"), of("other", "B", "v1")}})
	set := compileSet(t, d.Source(Defaults().Rego))
	var got []string
	for name, outcome := range d.Outcomes(set) {
		if strings.Contains(outcome.Uncompiled["spec.kind"], "of two its objects are denied") {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"WorkloadPaths object"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		paths   resource.WorkloadPaths
		problem string
	}{
		{of("new", "C"), ""}, {of("other", "B"), ""}, {of("new", "B", "v2"), ""},
		{of("new", "B"), "spec.kind: WorkloadPaths other are about B of a.io already"},
		{of("other", "A", "v1"), "spec.kind: WorkloadPaths file are about A of a.io already"},
	} {
		problems := strings.Join(Compiler{Serving: set}.CheckPaths(tt.paths), "\n")
		if (problems == "") != (tt.problem == "") || !strings.HasPrefix(problems, tt.problem) {
			t.Errorf("%s: got %q, want %q", tt.paths, problems, tt.problem)
		}
	}
}
