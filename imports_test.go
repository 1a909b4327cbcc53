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

// rooms is the import table of ARCHITECTURE.md. The linter's depguard refuses the
// same imports while one types; this is the whole of it.
func rooms() []room {
	return []room{{
		name: "cmd", // wires, and decides nothing
		ours: []string{all},
		owns: []string{
			"github.com/spf13/cobra", "golang.org/x/term", "github.com/owenrumney/go-sarif/v2/sarif",
			"github.com/rogpeppe/go-internal/diff",
		},
	}, {
		name: "cmd/assay/opa", // OPA's own commands, as they are
		ours: []string{"builtins", "builtins/oci", "builtins/sigstore", "cmd", "rego/lib", "rego/schema"},
		owns: []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/open-policy-agent/opa/cmd"},
	}, {
		name: "cmd/assay/doctor", // looks at a cluster, and at what an installation has to be
		ours: []string{all},
		owns: []string{"github.com/spf13/cobra", "k8s.io/apimachinery/...", "sigs.k8s.io/yaml"},
	}, {
		name: "cmd/assay/suite", // OPA's test runner, over a world
		ours: []string{all},
		owns: []string{
			"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/open-policy-agent/opa/cmd/formats",
			opa + "ast", opa + "bundle", opa + "cover", opa + "loader", opa + "runtime/info", opa + "storage", opa + "tester",
			opa + "topdown/...", opa + "types", "github.com/jstemmer/go-junit-report/v2/junit",
		},
		never: []string{"net", "net/http/..."},
	}, {
		name:  "cmd/assay/suite/fixture", // tests as values: evaluates none
		ours:  []string{"rego/cip", "world"},
		owns:  []string{"golang.org/x/tools/txtar"},
		never: []string{"net", "net/http/..."},
	}, {
		name:  "capsule", // a recorded decision as a file: makes none
		ours:  []string{"builtins/exchange"},
		never: []string{"net", "net/http/..."},
	}, {
		name:  "cmd/assay/start", // a repository to start from: checks what it writes, decides nothing
		ours:  []string{"cmd/assay/suite/fixture", "rego/cip", "rego/lint"},
		owns:  []string{"github.com/spf13/cobra", "go.yaml.in/yaml/v3"},
		never: []string{"net", "net/http/..."},
	}, {
		name:  "rego", // the engine: facts arrive through one interface that it declares
		ours:  []string{"rego/apart", "rego/cip", "rego/compile", "rego/inline", "rego/lib", "rego/once", "rego/raw", "rego/resource", "rego/schema"},
		owns:  []string{opa + "ast", opa + "rego", opa + "storage/...", opa + "topdown/...", opa + "metrics", opa + "resolver", opa + "util"},
		never: []string{"net/http/..."},
	}, {
		name:  "rego/cip", // a vocabulary: sees nothing of ours, touches nothing
		owns:  []string{"go.yaml.in/yaml/v3"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "rego/compile",
		ours:  []string{"rego/cip"},
		owns:  []string{opa + "ast", opa + "format"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "rego/apart", // evaluates what others wrote: apart from all else, within bounds
		owns:  []string{opa + "ast", opa + "topdown/...", opa + "storage/...", opa + "resolver"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "rego/inline", // the Rego that a ClusterImagePolicy carries
		ours:  []string{"rego/apart", "rego/schema"},
		owns:  []string{opa + "ast", opa + "format", opa + "storage/..."},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "rego/raw", // policies in plain Rego
		ours:  []string{"rego/apart", "rego/once", "rego/schema"},
		owns:  []string{opa + "ast", opa + "topdown/...", opa + "storage/..."},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "rego/once", // makes what takes long once, and waits no longer than there is time
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "rego/resource", // the vocabulary of our own group
		ours:  []string{"rego/cip"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "rego/schema", // what predicates look like, for the type checker
		owns:  []string{opa + "ast"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "rego/lint", // reads policies as values: evaluates none
		ours:  []string{"rego/cip"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name: "rego/lib", // Rego, embedded
	}, {
		name: "rego/bundle",
		ours: []string{"rego"},
		owns: []string{opa + "plugins/...", opa + "storage/..."},
	}, {
		name:  "rego/bundle/fresh", // the order of revisions, and the file of floors
		never: []string{"net", "net/http/..."},
	}, {
		name:  "builtins", // what Rego may call
		ours:  []string{"rego/cip", "builtins/cue", "builtins/declare", "builtins/exchange", "builtins/observe", "builtins/oci", "builtins/pure", "builtins/sigstore", "predicate"},
		owns:  []string{opa + "ast", opa + "types", opa + "topdown/..."},
		never: []string{"net/http/..."},
	}, {
		name:  "builtins/observe", // who is told of work, and the registry that tells
		ours:  []string{"builtins/exchange", "builtins/oci"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "builtins/exchange", // what registries said, written and read again
		ours:  []string{"builtins/oci"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "builtins/declare", // what declarations share
		owns:  []string{opa + "ast", opa + "types", opa + "topdown"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "builtins/pure", // builtins that need their arguments alone
		ours:  []string{"builtins/declare", "builtins/oci", "builtins/sigstore", "predicate"},
		owns:  []string{opa + "ast", opa + "types", opa + "topdown/..."},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "builtins/cue", // text in, verdict out
		owns:  []string{"cuelang.org/go/cue", "cuelang.org/go/cue/cuecontext", "cuelang.org/go/cue/parser"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name: "predicate", // bytes of strangers in, typed facts out
		owns: []string{
			"github.com/openvex/go-vex/pkg/vex", "github.com/package-url/packageurl-go", "sigs.k8s.io/json",
		},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name: "builtins/oci", // the registry edge: sees nothing of ours
		ours: []string{"builtins/oci/layers", "builtins/oci/registries"},
		owns: []string{ggcr + "v1/...", ggcr + "authn/...", "github.com/docker/cli/cli/config/..."},
	}, {
		name: "builtins/oci/registries", // what an installation says of single registries
		ours: []string{"builtins/oci"},
		owns: []string{"go.yaml.in/yaml/v3"},
	}, {
		name: "builtins/oci/artifact", // a bundle as an image: pushed, pulled, and never judged
		ours: []string{"builtins/oci", "builtins/oci/registries"},
		owns: []string{ggcr + "v1/...", ggcr + "authn"},
	}, {
		name:  "builtins/oci/layers", // files out of tars: bytes in, facts out
		ours:  []string{"builtins/oci"},
		owns:  []string{"github.com/klauspost/compress/zstd"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name: "builtins/oci/cloud", // tokens of clouds, for their own registries
		ours: []string{"builtins/oci"},
		owns: []string{
			ggcr + "authn", "cloud.google.com/go/...", "github.com/Azure/...", "github.com/aws/...", "github.com/golang-jwt/jwt/v5",
		},
	}, {
		name: "builtins/sigstore", // bytes in, facts out
		ours: []string{"rego/cip"},
		owns: []string{
			sigstore + "cosign/v2/...", sigstore + "sigstore-go/...", sigstore + "sigstore/pkg/cryptoutils",
			sigstore + "sigstore/pkg/signature/...", sigstore + "protobuf-specs/...", sigstore + "rekor/...",
			sigstore + "rekor-tiles/...", sigstore + "timestamp-authority/...",
			"github.com/secure-systems-lab/go-securesystemslib/dsse", "github.com/in-toto/in-toto-golang/in_toto", "github.com/theupdateframework/go-tuf/...",
			"google.golang.org/protobuf/encoding/protojson", ggcr + "v1",
		},
	}, {
		name: "builtins/keys", // what policies refer to, before they are compiled
		ours: []string{"rego/cip"},
		// Sigstore's KMS providers are modules of their own below these paths.
		owns: []string{sigstore + "sigstore/pkg/cryptoutils", sigstore + "sigstore/pkg/signature/...", "github.com/aws/aws-sdk-go-v2/config"},
	}, {
		name: "server",
		ours: []string{"rego", "server/admission"},
		owns: []string{
			"github.com/labstack/echo/v4/...", "github.com/prometheus/client_golang/...", "github.com/fsnotify/fsnotify",
		},
	}, {
		name:  "server/admission", // pure: sees nothing of ours
		owns:  []string{"k8s.io/api/admission/...", "k8s.io/apimachinery/pkg/apis/meta/v1", "k8s.io/apimachinery/pkg/types"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name: "kube",
		ours: []string{"rego", "rego/cip", "rego/resource"},
		owns: []string{"k8s.io/...", "sigs.k8s.io/controller-runtime/...", "sigs.k8s.io/yaml"},
	}, {
		name:  "deploy", // what is installed, embedded
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name: "telemetry", // metrics and traces of what others say: decides nothing, and is asked nothing
		ours: []string{"builtins/observe", "rego"},
		owns: []string{
			"github.com/prometheus/client_golang/prometheus", "go.opentelemetry.io/otel/attribute", "go.opentelemetry.io/otel/codes",
			"go.opentelemetry.io/otel/propagation", "go.opentelemetry.io/otel/trace", "go.opentelemetry.io/otel/sdk/...",
			"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp",
		},
	}, {
		name: "world", // for tests, the demo and policy authors: never part of a decision
		ours: []string{"world/sigstore"},
		owns: []string{ggcr + "registry", ggcr + "v1", ggcr + "v1/types", "sigs.k8s.io/json", "sigs.k8s.io/yaml"},
	}, {
		name: "world/tuf", // signs repositories
		owns: []string{"github.com/theupdateframework/go-tuf/v2/metadata", sigstore + "sigstore/pkg/signature"},
	}, {
		name: "world/sigstore", // signs bytes: knows neither images nor registries
		owns: []string{
			sigstore + "sigstore-go/pkg/root", sigstore + "protobuf-specs/...", "github.com/digitorus/timestamp",
			"github.com/transparency-dev/merkle/...", "golang.org/x/crypto/cryptobyte/...",
			"google.golang.org/protobuf/encoding/protojson", "sigs.k8s.io/yaml",
		},
		never: []string{"net", "net/http/...", "os/..."},
	}}
}

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
