// Package assay_test holds the rules of the house that no compiler holds: who may
// import what, and how long a file may be.
package assay_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module prefixes every package of ours.
const module = "github.com/assay-dev/assay/"

// all, in the list of ours, admits every room.
const all = "..."

// A room is a directory with its subdirectories, but for those that are rooms
// themselves. Whatever its row does not name, its code may not import: that is
// how a new dependency finds its owner, and how each foreign thing keeps one.
//
// Foreign packages are written as the go command writes patterns: opa/cmd is that
// package, opa/cmd/... is all below it too. The standard library is free, but for
// what never lists, which is written in the same way.
type room struct {
	name  string
	ours  []string
	owns  []string
	never []string
}

const (
	opa      = "github.com/open-policy-agent/opa/v1/"
	ggcr     = "github.com/google/go-containerregistry/pkg/"
	sigstore = "github.com/sigstore/"
)

// anyone may import these: names of things, and plumbing that decides nothing.
func anyone() []string {
	return []string{ggcr + "name", "github.com/hashicorp/golang-lru/v2/...", "golang.org/x/sync/..."}
}

// inNoTest are packages that tests do without: they compare got with want, and
// their fakes are real.
func inNoTest() []string {
	return []string{"github.com/stretchr/testify/...", "github.com/onsi/...", "github.com/golang/mock/...", "go.uber.org/mock/..."}
}

// listed is what go list says of a package.
type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// TestImports holds every direct import of every package to the table. Its result
// may be cached: TestFileLengths reads every file, so the go command sees a change.
func TestImports(t *testing.T) {
	t.Parallel()
	for _, pkg := range list(t) {
		name := strings.TrimPrefix(pkg.ImportPath, module)
		for _, path := range slices.Concat(pkg.TestImports, pkg.XTestImports) {
			if matches(inNoTest(), path) {
				t.Errorf("a test of %s imports %s, want the standard library and go-cmp", name, path)
			}
		}
		if len(pkg.Imports) == 0 {
			continue
		}
		home, ok := roomOf(name)
		if !ok {
			t.Errorf("%s has no row in the import table", name)
			continue
		}
		for _, path := range pkg.Imports {
			if !home.mayImport(path) {
				t.Errorf("%s imports %s, which the row of %s does not admit", name, path, home.name)
			}
		}
	}
}

// mayImport says whether the row of the room admits a direct import.
func (r room) mayImport(path string) bool {
	if name, ok := strings.CutPrefix(path, module); ok {
		other, known := roomOf(name)
		return known && (other.name == r.name || slices.Contains(r.ours, all) || slices.Contains(r.ours, other.name))
	}
	if domain, _, _ := strings.Cut(path, "/"); !strings.Contains(domain, ".") {
		return !matches(r.never, path)
	}
	return matches(r.owns, path) || matches(anyone(), path)
}

// roomOf finds the innermost room that a package lies in.
func roomOf(name string) (room, bool) {
	var found room
	for _, r := range rooms() {
		if matches([]string{r.name + "/..."}, name) && len(r.name) > len(found.name) {
			found = r
		}
	}
	return found, found.name != ""
}

// matches says whether one of the patterns covers the import path.
func matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		root, tree := strings.CutSuffix(pattern, "/...")
		return path == root || tree && strings.HasPrefix(path, root+"/")
	})
}

// list returns the packages of the module.
func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var pkgs []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg listed
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		pkgs = append(pkgs, pkg)
	}
}

// TestImportTableRefuses says what the table is for, in single imports.
func TestImportTableRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, from, path string
		want             bool
	}{
		{"a room sees its own subpackages", "server", module + "server/health", true},
		{"a room within a room is another room", "rego/cip", module + "rego", false},
		{"cmd sees all", "cmd/assay", module + "world", true},
		{"the vocabulary crosses from rego to builtins", "builtins/sigstore", module + "rego/cip", true},
		{"the engine never sees builtins", "rego", module + "builtins", false},
		{"builtins never see the engine", "builtins", module + "rego", false},
		{"the server never sees builtins", "server", module + "builtins/sigstore", false},
		{"nothing that decides sees the world of tests", "builtins", module + "world", false},
		{"nothing that decides sees recorded decisions", "builtins", module + "capsule", false},
		{"a replay opens no connection", "builtins/exchange", "net/http", false},
		{"the registry edge sees nothing of ours", "builtins/oci", module + "rego/cip", false},
		{"the registry edge knows no cloud", "builtins/oci", "github.com/aws/aws-sdk-go-v2/config", false},
		{"a package outside every room", "server", module + "util", false},
		{"the engine knows no exporter", "rego", "go.opentelemetry.io/otel/trace", false},
		{"nor do the builtins", "builtins", "go.opentelemetry.io/otel", false},
		{"nor what they tell it to", "builtins/observe", module + "telemetry", false},
		{"telemetry sees nobody's server", "telemetry", module + "server", false},
		{"doctor looks at objects of the cluster", "cmd/assay/doctor/images", "k8s.io/apimachinery/pkg/apis/meta/v1", true},
		{"and connects to none", "cmd/assay/doctor", "k8s.io/client-go/dynamic", false},
		{"nor pays for all of their types", "cmd/assay/doctor", "k8s.io/api/core/v1", false},
		{"Echo belongs to the server", "server", "github.com/labstack/echo/v4", true},
		{"Echo belongs to nobody else", "cmd/assay", "github.com/labstack/echo/v4", false},
		{"the engine has OPA's evaluator", "rego", opa + "rego", true},
		{"the engine has none of OPA's plugins", "rego", opa + "plugins/bundle", false},
		{"the engine opens no connection", "rego", "net/http", false},
		{"nor through a package below it", "rego", "net/http/httptrace", false},
		{"addresses are not connections", "rego/cip", "net/netip", true},
		{"the standard library is free", "rego/cip", "slices", true},
		{"a prefix of a name is not a path", "rego", opa + "astx", false},
		{"a dependency without an owner", "server", "example.com/new/thing", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			home, ok := roomOf(tt.from)
			if !ok {
				t.Fatalf("%s has no row", tt.from)
			}
			if got := home.mayImport(tt.path); got != tt.want {
				t.Errorf("%s imports %s: got %t, want %t", tt.from, tt.path, got, tt.want)
			}
		})
	}
}
