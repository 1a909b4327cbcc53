package sources_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/cmd/assay/sources"
)

// write makes files below a directory, by path.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// found lists what a directory stands for, relative to it.
func found(t testing.TB, dir string) (resources, rego, data []string) {
	t.Helper()
	files, err := sources.Find([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	short := func(path string) string {
		out, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, path := range files.Resources {
		resources = append(resources, short(path))
	}
	for _, path := range files.Rego {
		rego = append(rego, short(path))
	}
	for _, document := range files.Data {
		data = append(data, short(document.Path)+" "+strings.Join(document.At, "."))
	}
	return resources, rego, data
}

func TestDirectoryStandsForItsFiles(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"a.yaml": "", "b.yml": "", "c.json": "", "d.txt": "", "below/e.yaml": "", "data.yaml": "", "below/deeper/data.json": "", "below/data.yml": "",
		"f.rego": "", "below/g.rego": "", "below/deeper/h.rego": "", "f_test.rego": "", ".git/i.rego": "", "below/.j.rego": "", "database.json": "",
	})
	resources, rego, data := found(t, dir)
	if diff := cmp.Diff([]string{"a.yaml", "b.yml", "c.json", "database.json"}, resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"below/deeper/h.rego", "below/g.rego", "f.rego"}, rego); diff != "" {
		t.Errorf("Rego (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"below/data.yml below", "below/deeper/data.json below.deeper", "data.yaml "}, data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]sources.Kind{
		"a.rego": sources.Policy, "a_test.rego": sources.Tests, "_test.rego": sources.Tests, "data.json": sources.Data, "data.yml": sources.Data,
		"a.yaml": sources.Other, "mydata.json": sources.Other, "data.txt": sources.Other, "rego": sources.Other,
	} {
		if got := sources.KindOf(name); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	if !sources.Hidden(".a.rego") || sources.Hidden("a.rego") {
		t.Error("want hidden what begins with a dot, and nothing else")
	}
}

// TestFixturesAreNoPolicies: tests may lie beside policies, and no policy is taken for one.
func TestFixturesAreNoPolicies(t *testing.T) {
	t.Parallel()
	const policy = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\n"
	dir := write(t, map[string]string{
		"a_test.yaml": "world: {}\n", "b_test.yml": "cases: []\n", "c_test.json": `{"cases": []}`,
		"policy_test.yaml": policy, "both_test.yaml": policy + "cases: []\n", "kind_test.yaml": "kind: ClusterImagePolicy\ncases: []\n",
		"many_test.yaml": "cases: []\n---\n" + policy, "broken_test.yaml": "cases: [\n", "empty_test.yaml": "", "cases.yaml": "cases: []\n",
	})
	resources, _, _ := found(t, dir)
	want := []string{
		"both_test.yaml", "broken_test.yaml", "c_test.json", "cases.yaml", "empty_test.yaml", "kind_test.yaml", "many_test.yaml", "policy_test.yaml",
	}
	if diff := cmp.Diff(want, resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

// TestLinksAreFollowed, as in a mounted ConfigMap, and out of no loop.
func TestLinksAreFollowed(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"..2026/a.rego": "", "..2026/b.yaml": "", "shared/c.rego": "", "real/d.rego": ""})
	for link, to := range map[string]string{
		"..data": "..2026", "a.rego": "..data/a.rego", "b.yaml": "..data/b.yaml", "real/loop": "..", "real/again": "../shared", "gone.rego": "nowhere",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	resources, rego, _ := found(t, dir)
	if diff := cmp.Diff([]string{"b.yaml"}, resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a.rego", "gone.rego", "real/again/c.rego", "real/d.rego"}, rego); diff != "" {
		t.Errorf("Rego (-want +got):\n%s", diff)
	}
	files, err := sources.Find([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.Modules(); err == nil || !strings.Contains(err.Error(), "gone.rego") {
		t.Errorf("got %v, want an error of the link that leads nowhere", err)
	}
}

func TestDocumentsAreOne(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string // JSON, or a part of the error
	}{
		{"none", nil, `{}`},
		{"of several directories", map[string]string{
			"data.json": `{"a": {"x": 1}}`, "a/data.yaml": "y: 2", "a/b/data.json": `{"z": 12345678901234567890}`,
		}, `{"a":{"b":{"z":12345678901234567890},"x":1,"y":2}}`},
		{"one thing twice", map[string]string{"data.json": `{"a": {"x": 1}}`, "a/data.yaml": "x: 1"}, "data.a.x is in another data document too"},
		{"a value and an object", map[string]string{"data.json": `{"a": 1}`, "a/data.yaml": "x: 1"}, "data.a is in another data document too"},
		{"a list", map[string]string{"data.json": `[1]`}, "data.json: got a list, want an object"},
		{"nothing", map[string]string{"data.yaml": ""}, "data.yaml: got 0 documents, want one"},
		{"two documents", map[string]string{"data.yaml": "a: 1\n---\nb: 2"}, "data.yaml: got 2 documents, want one"},
		{"a key twice", map[string]string{"data.json": `{"a": 1, "a": 2}`}, "data.json: "},
		{"what is no JSON", map[string]string{"data.json": `{"a"`}, "data.json: "},
		{"a resource", map[string]string{"data.yaml": "apiVersion: v1\nkind: Secret"}, "data.yaml: got a resource, Secret, want a data document: give the file another name"},
		{"too long", map[string]string{"data.json": `{"a": "` + strings.Repeat("x", sources.MaxFile) + `"}`}, "data.json: got more than 4194304 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files, err := sources.Find([]string{write(t, tt.files)})
			if err != nil {
				t.Fatal(err)
			}
			documents, err := files.Documents()
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q in it", err, tt.want)
				}
				return
			}
			got, err := json.Marshal(documents)
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s and %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	deep := write(t, map[string]string{strings.Repeat("d/", 40) + "a.rego": ""})
	if _, err := sources.Find([]string{deep}); err == nil || !strings.Contains(err.Error(), "directories 33 deep, want at most 32") {
		t.Errorf("got %v, want an error of the depth", err)
	}
	many := map[string]string{}
	for i := range 10_001 {
		many[fmt.Sprintf("%d.rego", i)] = ""
	}
	if _, err := sources.Find([]string{write(t, many)}); err == nil || !strings.Contains(err.Error(), "more than 10000 files") {
		t.Errorf("got %v, want an error of the number", err)
	}
}

func TestFilesAreNamedByThemselves(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"a.rego": "package a", "b_test.rego": "", "sub/data.json": `{"a": 1}`, "c": ""})
	at := func(name string) string { return filepath.Join(dir, name) }
	files, err := sources.Find([]string{at("a.rego"), at("sub/data.json"), at("c")})
	if err != nil {
		t.Fatal(err)
	}
	want := sources.Files{
		Resources: []string{at("c")}, Rego: []string{at("a.rego")}, Data: []sources.Document{{Path: at("sub/data.json")}},
		Directories: []string{dir, at("sub")},
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := sources.Find([]string{at("b_test.rego")}); err == nil {
		t.Error("got tests as policies, want an error")
	}
	if _, err := sources.Find([]string{at("absent")}); err == nil {
		t.Error("got nothing of what is not there, want an error")
	}
}

// TestLinkThatLeadsNowhere may have been one to a directory of policies, as git-sync
// replaces it: without it they would be gone.
func TestLinkThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"a.rego": "package a\n"})
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "current")); err != nil {
		t.Fatal(err)
	}
	if files, err := sources.Find([]string{dir}); err == nil || !strings.Contains(err.Error(), "current") {
		t.Errorf("got %v and %v, want an error that names the link", files, err)
	}
	if err := os.Rename(filepath.Join(dir, "current"), filepath.Join(dir, ".current")); err != nil {
		t.Fatal(err)
	}
	if _, err := sources.Find([]string{dir}); err != nil {
		t.Errorf("got %v, want what begins with a dot left out", err)
	}
}
