// Package inline makes the Rego that a ClusterImagePolicy carries ready: one
// module of package sigstore, compiled alone, printed, and evaluated apart from
// everything else.
//
// OPA knows no tenants. One module that does not compile fails its compiler, one
// conflict ends the query it happens in, capabilities and cancellation are those
// of a query and not of a module. So each module has a compiler and a query of
// its own, and what goes wrong in it is an [apart.Failure] of it alone.
//
// A module is read as upstream reads it, in Rego v0 (REGO-1, REGO-9); one that is
// not v0 but is v1 is an extra of ours. It may call what is pure and bounded (see
// capabilities.go), and may read its input and its own package, nothing else: any
// other reference to data is an error, when the policy is loaded.
//
// [Compile] moves the module to a package of its own and prints it, so that it
// can be read and tested beside the compiled policy. What runs is what is
// printed: the text is parsed and compiled anew, and must say what the source
// said, rule by rule. It is Rego v1 where OPA's formatter can say it so, else v0.
//
// Evaluation is bounded, also in the size of its document (see rego/apart).
//
// What the value means is decided in Rego, by rego/lib.
package inline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
)

// Defaults and bounds.
const (
	// maxSource is far above any policy seen (the longest of the public catalogue
	// has 3 KB); time to compile grows faster than length.
	maxSource = 256 << 10
	// defaultMaxInput admits the largest attestation that is fetched.
	defaultMaxInput = 4 << 20
)

// Module is one inline module, compiled and ready. It is immutable and safe for
// concurrent use.
type Module struct {
	path    string
	text    string
	version int
	answers bool
	limits  limits
	origins origins        // of its lines in the source
	program *apart.Program // nil where isCompliant is a function, which has no value
}

// Path names the module in errors and in bundles: cip/NAME/spec/policy.rego.
func (m *Module) Path() string { return m.path }

// Text is what is printed and what runs.
func (m *Module) Text() string { return m.text }

// Version is the version of Rego that Text is written in, 0 or 1. A bundle lists
// the files of version 0 in file_rego_versions of its manifest.
func (m *Module) Version() int { return m.version }

// Answers says whether any rule of it is isCompliant: without one it complies with
// nothing, which upstream takes in silence.
func (m *Module) Answers() bool { return m.answers }

type limits struct {
	compile  time.Duration
	timeout  time.Duration
	maxInput int
}

// Option sets a limit of a module.
type Option func(*limits) error

// WithTimeout sets how long one evaluation may take, two seconds unless set. The
// deadline of its context holds too.
func WithTimeout(timeout time.Duration) Option {
	return func(l *limits) error {
		if timeout <= 0 {
			return fmt.Errorf("timeout: got %s, want more than 0", timeout)
		}
		l.timeout = timeout
		return nil
	}
}

// WithMaxInput sets how many bytes of JSON a document may have, 4 MiB unless set.
func WithMaxInput(bytes int) Option {
	return func(l *limits) error {
		if bytes <= 0 {
			return fmt.Errorf("max input: got %d bytes, want more than 0", bytes)
		}
		l.maxInput = bytes
		return nil
	}
}

// Compile checks one module of a ClusterImagePolicy and makes it ready. path is
// the package it gets, below data: {"cip", "NAME", "spec", "policy"}. The error names the
// line of the source.
func Compile(ctx context.Context, path []string, source string, options ...Option) (*Module, error) {
	limits := limits{compile: apart.CompileTimeout, timeout: apart.Timeout, maxInput: defaultMaxInput}
	for _, option := range options {
		if err := option(&limits); err != nil {
			return nil, err
		}
	}
	if len(path) == 0 {
		return nil, errors.New("path: got none, want a package")
	}
	for _, part := range path {
		if part == "" || !utf8.ValidString(part) {
			return nil, fmt.Errorf("path: got %q, want names", path)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limits.compile)
	defer cancel()
	m := &Module{path: strings.Join(path, "/") + ".rego", limits: limits}
	out, err := apart.Beside(ctx, func() (*printed, error) { return compile(ctx, m.path, packageRef(path), source) })
	if err != nil {
		return nil, err
	}
	m.text, m.version, m.answers, m.origins, m.program = out.text, out.version, out.answers, out.origins, out.program
	return m, nil
}

// compile takes a source to the program that its printed form is.
func compile(ctx context.Context, file string, to ast.Ref, source string) (*printed, error) {
	module, err := parse(file, source)
	if err != nil {
		return nil, err
	}
	// As it was written, for errors that speak of what was written, and because
	// what is foreign here may be its own after the move.
	compiler, err := compiled(ctx, file, source, withAnnotations(file, source, module), sigstore())
	if err != nil {
		return nil, err
	}
	if err := relocate(module, hidesData(compiler, module), to); err != nil {
		return nil, err
	}
	out, err := printAndCompile(ctx, file, to, module)
	if err != nil {
		return nil, err
	}
	out.answers = slices.ContainsFunc(module.Rules, func(rule *ast.Rule) bool {
		return len(rule.Head.Args) == 0 && rule.Head.Ref()[0].Value.Compare(ast.Var("isCompliant")) == 0
	})
	return out, nil
}
