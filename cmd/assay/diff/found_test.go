package diff

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNoLinkIsPassedOverInSilence: those to files are read, those to directories are told,
// and one that leads nowhere is an error.
func TestNoLinkIsPassedOverInSilence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"elsewhere/pod.yaml", "elsewhere/notes.txt", "deploy/..data/pod.yaml", "deploy/.hidden.yaml", "deploy/below/job.yaml"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	deploy := filepath.Join(dir, "deploy")
	for link, to := range map[string]string{
		"deploy/pod.yaml": "../elsewhere/pod.yaml", "deploy/notes": "../elsewhere/notes.txt", "deploy/all": "../elsewhere",
		"deploy/circle": "..", "deploy/gone": "nowhere", "link": "deploy",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, root := range []string{deploy, filepath.Join(dir, "link")} {
		var said strings.Builder
		got, err := found([]string{root}, &said)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{filepath.Join(root, "below", "job.yaml"), filepath.Join(root, "pod.yaml")}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		for _, link := range []string{"all", "circle"} {
			if want := "warning: " + filepath.Join(root, link) + ": got a link to a directory, which is not read"; !strings.Contains(said.String(), want) {
				t.Errorf("got %q, want %q", said.String(), want)
			}
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(deploy, "gone.yaml")); err != nil {
		t.Fatal(err)
	}
	if got, err := found([]string{deploy}, &strings.Builder{}); err == nil {
		t.Errorf("got %v, want the link that leads nowhere to be an error", got)
	}
}
