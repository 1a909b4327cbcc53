package assay_test

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
		name:  "cmd/assay/bundles", // policies to a bundle, and whether one holds
		ours:  []string{all},
		owns:  []string{"github.com/spf13/cobra", opa + "ast", opa + "bundle"},
		never: []string{"net", "net/http/..."},
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
		name: "rego/bundle", // OPA's plugin manager, with a gate before what serves
		ours: []string{"rego/bundle/archive", "rego/bundle/configured", "rego/bundle/decisions", "rego/bundle/image", "rego/bundle/writes"},
		owns: []string{
			opa + "ast", opa + "metrics", opa + "plugins/...", opa + "storage/...", opa + "hooks", opa + "config", opa + "logging", opa + "runtime/info", opa + "tracing", opa + "util",
			"github.com/prometheus/client_golang/prometheus", "github.com/google/uuid",
		},
	}, {
		name:  "rego/bundle/writes", // a store that knows what a transaction did to it
		owns:  []string{opa + "storage/..."},
		never: []string{"net", "net/http/..."},
	}, {
		name:  "rego/bundle/configured", // what a configuration of OPA says of bundles
		owns:  []string{opa + "config", opa + "util"},
		never: []string{"net", "net/http/..."},
	}, {
		name: "rego/bundle/decisions", // decisions in OPA's format, through OPA's plugins
		ours: []string{"capsule", "rego"},
		owns: []string{
			opa + "ast", opa + "bundle", opa + "logging", opa + "metrics", opa + "plugins/...", opa + "server", opa + "storage", opa + "util",
			"github.com/google/uuid",
		},
		never: []string{"net", "net/http/..."},
	}, {
		name: "rego/bundle/dataapi", // OPA's own handler, as far as it answers questions
		ours: []string{"rego/bundle/decisions"},
		owns: []string{opa + "ast", opa + "plugins/...", opa + "server"},
	}, {
		name: "rego/bundle/stores", // objects by name, in what others run: knows nothing of what they say
		ours: []string{"builtins/oci"},
		owns: []string{"github.com/minio/minio-go/v7/..."},
	}, {
		name: "rego/bundle/image", // a bundle in a registry, asked for as OPA asks: bounded, and nothing on the disk
		owns: []string{"oras.land/oras-go/v2/...", "github.com/opencontainers/go-digest"},
	}, {
		name:  "rego/bundle/lock", // a directory is one process's
		owns:  []string{"golang.org/x/sys/..."},
		never: []string{"net", "net/http/..."},
	}, {
		name:  "rego/bundle/fresh", // the order of revisions, and the file of floors
		never: []string{"net", "net/http/..."},
	}, {
		name:  "rego/bundle/archive", // a bundle as a file: extracts nothing, asks nobody
		ours:  []string{"rego/cip"},
		owns:  []string{opa + "ast", opa + "bundle", opa + "util", "sigs.k8s.io/json"},
		never: []string{"net", "net/http/...", "os/..."},
	}, {
		name:  "builtins", // what Rego may call
		ours:  []string{"rego/cip", "builtins/cue", "builtins/declare", "builtins/exchange", "builtins/observe", "builtins/oci", "builtins/policies", "builtins/pure", "builtins/sigstore", "predicate"},
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
		name:  "builtins/policies", // builtins that ask policies of others
		ours:  []string{"builtins/cue", "builtins/declare"},
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
		name: "world/worldtest", // what tests of several rooms begin with: no program is made of it
		ours: []string{"builtins", "builtins/oci", "builtins/sigstore", "world"},
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
