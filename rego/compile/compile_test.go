package compile_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/compile"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	builtins.Register() // OPA's tables are global: before any test compiles
	os.Exit(m.Run())
}

// TestGolden compiles the policy.yaml of each story. want/NAME.rego is the module
// of a policy, want/_index.rego the index, want/error what was refused.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d stories and error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			story, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			policy, want := section(t, story)
			got := compiled(t, policy)
			if *update {
				write(t, file, story, got)
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("run with -update and read the diff (-want +got):\n%s", diff)
			}
		})
	}
}

// policiesOf are the policies of a story.
func policiesOf(t testing.TB, file string) []cip.Policy {
	t.Helper()
	story, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := cip.Parse(story.Files[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	return docs.Policies
}

// section parts a story into its policy and what it wants.
func section(t *testing.T, story *txtar.Archive) (policy []byte, want map[string]string) {
	t.Helper()
	want = map[string]string{}
	for _, file := range story.Files {
		if file.Name == "policy.yaml" {
			policy = file.Data
			continue
		}
		want[file.Name] = string(file.Data)
	}
	if policy == nil {
		t.Fatal("got no policy.yaml")
	}
	return policy, want
}

// compiled are the files of the want folder.
func compiled(t *testing.T, policy []byte) map[string]string {
	t.Helper()
	docs, err := cip.Parse(policy)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var errs []error
	for _, p := range docs.Policies {
		module, err := compile.Policy(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if want := "cip/" + p.Name + ".rego"; module.Path != want {
			t.Errorf("path: got %s, want %s", module.Path, want)
		}
		out["want/"+p.Name+".rego"] = module.Text
	}
	if err := errors.Join(errs...); err != nil {
		return map[string]string{"want/error": err.Error() + "\n"}
	}
	index, err := compile.Index(docs.Policies)
	if err != nil {
		t.Fatal(err)
	}
	out["want/"+strings.TrimPrefix(index.Path, "cip/")] = index.Text
	checkModules(t, docs.Policies)
	return out
}

func write(t *testing.T, file string, story *txtar.Archive, got map[string]string) {
	t.Helper()
	story.Files = slices.DeleteFunc(story.Files, func(f txtar.File) bool { return f.Name != "policy.yaml" })
	for _, name := range slices.Sorted(maps.Keys(got)) {
		story.Files = append(story.Files, txtar.File{Name: name, Data: []byte(got[name])})
	}
	if err := os.WriteFile(file, txtar.Format(story), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPolicyRefuses has a row for each field that refers to something else, which
// has to be read before a policy is compiled.
func TestPolicyRefuses(t *testing.T) {
	t.Parallel()
	key := &cip.KeyRef{Data: "PEM"}
	remote := &cip.PolicyRef{Type: "cue", Remote: &cip.RemotePolicy{URL: "https://example.com/p", Sha256sum: "0"}}
	for field, spec := range map[string]cip.Spec{
		"spec.policy":                                   {Policy: remote},
		"spec.authorities[0].key.secretRef":             one(cip.Authority{Key: &cip.KeyRef{SecretRef: &cip.SecretRef{Name: "s"}}}),
		"spec.authorities[0].key.kms":                   one(cip.Authority{Key: &cip.KeyRef{KMS: "gcpkms://k"}}),
		"spec.authorities[0].keyless.ca-cert.kms":       one(cip.Authority{Keyless: &cip.KeylessRef{CACert: &cip.KeyRef{KMS: "gcpkms://k"}}}),
		"spec.authorities[0].keyless.ca-cert.secretRef": one(cip.Authority{Keyless: &cip.KeylessRef{CACert: &cip.KeyRef{SecretRef: &cip.SecretRef{Name: "s"}}}}),
		"spec.authorities[0].attestations[1].policy": one(cip.Authority{Key: key, Attestations: []cip.Attestation{
			{Name: "a", PredicateType: "vuln"},
			{Name: "b", PredicateType: "vuln", Policy: &cip.PolicyRef{Type: "rego", ConfigMapRef: &cip.ConfigMapRef{Name: "c", Key: "k"}}},
		}}),
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			spec.Images = []cip.ImagePattern{{Glob: "**"}}
			p := cip.Policy{Name: "p", Version: "v1beta1", Spec: spec}
			module, err := compile.Policy(p)
			if want := "policy p: " + field + ": not resolved"; err == nil || err.Error() != want {
				t.Errorf("got error %v, want %s", err, want)
			}
			if module != (compile.Module{}) {
				t.Errorf("got module %v, want none", module)
			}
			// With a gap there it compiles, to what fails with the cause.
			p.Gaps = map[string]string{"spec.authorities[0]": "gone", "spec.policy": "gone"}
			checkModules(t, []cip.Policy{p})
			if module, err := compile.Policy(p); err != nil || !strings.Contains(module.Text, `unresolved(`) {
				t.Errorf("got error %v and module\n%s", err, module.Text)
			}
		})
	}
}

func one(a cip.Authority) cip.Spec { return cip.Spec{Authorities: []cip.Authority{a}} }

// GLOB-9, MSG-10: a policy with a bad glob is refused. Unlike upstream, where it is
// stored and every later review of any image fails.
func TestBadGlobIsRefused(t *testing.T) {
	t.Parallel()
	p := cip.Policy{Name: "p", Version: "v1beta1", Spec: cip.Spec{Images: []cip.ImagePattern{{Glob: "**"}, {Glob: "a b"}}}}
	_, policyErr := compile.Policy(p)
	_, indexErr := compile.Index([]cip.Policy{p})
	want := `policy p: spec.images[1].glob: invalid glob "a b"`
	for name, err := range map[string]error{"Policy": policyErr, "Index": indexErr} {
		if err == nil || err.Error() != want {
			t.Errorf("%s: got error %v, want %s", name, err, want)
		}
	}
}

func TestIndexOfNoPolicies(t *testing.T) {
	t.Parallel()
	if got := evaluate(t, nil, "", "data.cip_index.candidates"); fmt.Sprint(got) != "[]" {
		t.Errorf("got candidates %v, want none", got)
	}
}
