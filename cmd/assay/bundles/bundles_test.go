package bundles_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/cmd/assay/bundles"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

func TestMain(m *testing.M) {
	builtins.Register()
	m.Run()
}

// run runs a command as the program does, and returns what it prints.
func run(t *testing.T, o bundles.Options, args ...string) (string, error) {
	t.Helper()
	for _, cmd := range bundles.Commands(o) {
		if cmd.Name() != args[0] {
			continue
		}
		var out bytes.Buffer
		cmd.SetArgs(args[1:])
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	t.Fatalf("got no command %s", args[0])
	return "", nil
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// repository are policies of every kind.
func repository() map[string]string {
	return map[string]string{
		"policies.yaml": `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: released}
spec: {images: [{glob: "**"}], authorities: [{static: {action: pass}}]}
---
apiVersion: policy.assay.dev/v1alpha1
kind: ImagePolicy
metadata: {name: own, namespace: team}
spec: {images: [{glob: "**"}], authorities: [{static: {action: pass}}]}
`,
		"map.yaml":            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: cosign-system}\ndata: {a: b}\n",
		"a/policy.rego":       "package policies.a\n\ndeny contains \"a\" if input.a > data.b.c.most\n",
		"a/policy_test.rego":  "package policies.a_test\n\nimport data.policies.a\n\ntest_a if count(a.deny) == 0 with input as {\"a\": 1}\n",
		"b/c/data.yaml":       "most: 3\n",
		".git/hidden.rego":    "package hidden\n",
		"fixtures_test.yaml":  "cases: []\n",
		"a/notes.txt":         "left out, as everywhere\n",
		"d/deeper/lib.rego":   "package lib.deeper\n\nf(x) := x\n",
		"d/deeper/other.rego": "package lib.deeper\n\ng(x) := x\n",
	}
}

func built(t *testing.T, args ...string) *archive.Archive {
	t.Helper()
	out := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if said, err := run(t, bundles.Options{Version: "test"}, append([]string{"build", "--revision", "7", "-o", out}, args...)...); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return opened(t, out)
}

func opened(t *testing.T, path string) *archive.Archive {
	t.Helper()
	data, err := bundles.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	out, err := archive.Read(data, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBuildKeepsPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, repository())
	got := built(t, dir)
	want := []string{
		"b/c", "lib/deeper", "policies/a", "policies/a_test", "resources/ClusterImagePolicy/released",
		"resources/ConfigMap/cosign-system/m", "resources/ImagePolicy/team/own",
	}
	if diff := cmp.Diff(want, *got.Manifest.Roots); diff != "" {
		t.Errorf("roots (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"a/policy.rego": repository()["a/policy.rego"], "b/c/data.json": `{"most":3}` + "\n", "d/deeper/lib.rego": repository()["d/deeper/lib.rego"],
		"resources/ConfigMap/cosign-system/m/data.json": `{"apiVersion":"v1","data":{"a":"b"},"kind":"ConfigMap","metadata":{"name":"m","namespace":"cosign-system"}}` + "\n",
	} {
		if diff := cmp.Diff(want, string(got.Files[name])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if len(got.Files) != 8 {
		t.Errorf("got %d files, want 8: %v", len(got.Files), got.Files)
	}
	if got.About.BuiltBy != "assay test" || len(got.About.Requires.Builtins) == 0 {
		t.Errorf("got %+v, want who built it and what it requires", got.About)
	}
}

func TestBuildIsReproducible(t *testing.T) {
	t.Parallel()
	var first []byte
	for i := range 3 {
		dir := filepath.Join(t.TempDir(), strings.Repeat("x", i+1))
		write(t, dir, repository()) // in the order of a map, another one each time
		when := time.Now().Add(-time.Duration(i) * 24 * time.Hour)
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			mode := os.FileMode(0o700)
			if !info.IsDir() {
				mode = []os.FileMode{0o600, 0o644, 0o755}[i]
			}
			if err := os.Chmod(path, mode); err != nil {
				return err
			}
			return os.Chtimes(path, when, when)
		})
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "bundle.tar.gz")
		if _, err := run(t, bundles.Options{Version: "test"}, "build", dir, "--revision", "7", "-o", out); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = data
		}
		if !bytes.Equal(first, data) {
			t.Errorf("build %d: got other bytes of the same files", i)
		}
	}
}

// TestOrderOfPathsSaysNothing: what several paths hold is one bundle.
func TestOrderOfPathsSaysNothing(t *testing.T) {
	t.Parallel()
	one, other := t.TempDir(), t.TempDir()
	write(t, one, map[string]string{"a.rego": "package policies.a\n\ndeny contains \"a\" if input.a\n"})
	write(t, other, map[string]string{"b.rego": "package policies.b\n\ndeny contains \"b\" if input.b\n"})
	if got, want := built(t, one, other), built(t, other, one); got.Set() != want.Set() {
		t.Errorf("got the set %s, want %s", got.Set(), want.Set())
	}
}

func TestBuildRefusesTwoFilesOfOnePlace(t *testing.T) {
	t.Parallel()
	one, other := t.TempDir(), t.TempDir()
	write(t, one, map[string]string{"p.rego": "package policies.a\n\ndeny contains \"a\" if input.a\n"})
	write(t, other, map[string]string{"p.rego": "package policies.b\n\ndeny contains \"b\" if input.b\n"})
	_, err := run(t, bundles.Options{}, "build", one, other, "--revision", "1", "-o", filepath.Join(t.TempDir(), "b"))
	if err == nil || !strings.Contains(err.Error(), "it would be p.rego in the bundle") {
		t.Errorf("got %v, want a refusal that names both", err)
	}
}

func TestBuildRefusesNamesThatNoRootCanSay(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a slash":      "package policies[\"a/b\"]\n\ndeny contains \"a\" if input.a\n",
		"a percent":    "package policies[\"a%2fb\"]\n\ndeny contains \"a\" if input.a\n",
		"a dot before": "package policies[\".a\"]\n\ndeny contains \"a\" if input.a\n",
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"p.rego": text})
		_, err := run(t, bundles.Options{}, "build", dir, "--revision", "1", "-o", filepath.Join(t.TempDir(), "b"))
		if err == nil {
			t.Errorf("%s: got a bundle, want a refusal", name)
		}
	}
}

func TestBuildLeavesWhatIsThereWhenItFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"out/bundle.tar.gz": "before", "p/p.rego": "package assay.x\n"})
	out := filepath.Join(dir, "out", "bundle.tar.gz")
	if _, err := run(t, bundles.Options{}, "build", filepath.Join(dir, "p"), "--revision", "1", "-o", out); err == nil {
		t.Error("got a bundle in a package of the product")
	}
	entries, err := os.ReadDir(filepath.Join(dir, "out"))
	if text, _ := os.ReadFile(out); err != nil || string(text) != "before" || len(entries) != 1 {
		t.Errorf("got %q, %v, want what was there and nothing beside it", text, entries)
	}
}

// TestLayoutHoldsTheSameBundle: what a registry would store is the file.
func TestLayoutHoldsTheSameBundle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "p"), repository())
	layout, file := filepath.Join(dir, "layout"), filepath.Join(dir, "b.tar.gz")
	for _, args := range [][]string{{"--format", "oci", "-o", layout}, {"-o", file}} {
		if _, err := run(t, bundles.Options{}, append([]string{"build", filepath.Join(dir, "p"), "--revision", "1"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	got, err := bundles.Load(layout)
	if err != nil {
		t.Fatal(err)
	}
	want, err := bundles.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("got another bundle in the layout than in the file")
	}
}

// TestRegistryIsAskedUnderATrustPolicyAlone: who is asked without one could say anything.
func TestRegistryIsAskedUnderATrustPolicyAlone(t *testing.T) {
	t.Parallel()
	said, err := run(t, bundles.Options{}, "verify-bundle", "registry.example/policies@sha256:"+strings.Repeat("0", 64))
	if err == nil || !strings.Contains(err.Error(), "--bundle-trust: got none") {
		t.Errorf("got %v, want a refusal\n%s", err, said)
	}
}

// TestATagWithoutATrustPolicy is no file, which alone would be a riddle.
func TestATagWithoutATrustPolicy(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"registry.example/policies:prod": "registry.example/policies:prod: got no such file, and no --bundle-trust, want either: a bundle in a registry is asked for under the policies that admit it",
		"missing.tar.gz":                 "missing.tar.gz: no such file",
	} {
		if _, err := run(t, bundles.Options{}, "verify-bundle", ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
