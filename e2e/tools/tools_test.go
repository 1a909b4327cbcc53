package tools_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/tools"
)

func TestModuleThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := tools.Find(".nothing")
	if err == nil || !strings.HasPrefix(err.Error(), "got no .nothing/go.mod in or above ") {
		t.Errorf("got %v, want that there is none", err)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		".kubernetes": "k8s.io/kubernetes", ".sigstore": "github.com/sigstore/fulcio",
		".cosign2": "github.com/sigstore/cosign/v2", ".cosign3": "github.com/sigstore/cosign/v3",
	} {
		module, err := tools.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if version, err := module.Version(path); err != nil || !strings.HasPrefix(version, "v") {
			t.Errorf("%s: got %q, %v, want the version of %s", name, version, err, path)
		}
		if _, err := module.Version("example.com/absent"); err == nil {
			t.Errorf("%s: got no error, want one for a module that it does not require", name)
		}
	}
}

// What is up to date is not built: building would fail here, and take minutes elsewhere.
func TestBuildOnce(t *testing.T) {
	home := filepath.Join(t.TempDir(), ".tool")
	for name, content := range map[string]string{
		"go.mod": "module example.com/tool\n\ngo 1.26.0\n\ntool example.com/tool/hello\n", "go.sum": "",
		"hello/main.go": "package main\n\nfunc main() {}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(home, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Dir(home))
	module, err := tools.Find(".tool")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := module.Build(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(bin, "hello")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "")
	if _, err := module.Build(t.Context(), ""); err != nil {
		t.Errorf("built again: %v", err)
	}
	if err := os.WriteFile(filepath.Join(home, "hello", "main.go"), []byte("package main\n\nfunc main() { println() }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := module.Build(t.Context(), ""); err == nil {
		t.Error("not built again, want it to be after an edit")
	}
}
