// Package inline makes the Rego that a ClusterImagePolicy carries ready: one
// module of package sigstore, compiled alone, printed, and evaluated apart from
// everything else.
//
// OPA knows no tenants. One module that does not compile fails its compiler, one
// conflict ends the query it happens in, capabilities and cancellation are those
// of a query and not of a module. So each module has a compiler and a query of
// its own, and what goes wrong in it is a [Failure] of it alone.
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
// Evaluation is bounded in time, in the size of its document and of its value, in
// what the builtins make that make much of little (see memory.go), and in how many
// run at once for one module. What else it takes of memory is bounded by its time
// alone, since OPA has no such limit. A builtin that does not look at the clock is
// left behind at the deadline, and runs to its end in the background; capabilities
// leave out those for which no end is in sight.
//
// What the value means is decided in Rego, by rego/lib.
package inline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Defaults and bounds.
const (
	// maxSource is far above any policy seen (the longest of the public catalogue
	// has 3 KB); time to compile grows faster than length.
	maxSource = 256 << 10
	// maxDepth bounds the nesting of brackets. People nest a dozen deep.
	maxDepth = 200
	// defaultCompile is for the longest source on a busy machine: ten thousand
	// rules take a second of CPU time.
	defaultCompile = 30 * time.Second
	// defaultTimeout is a hundred times what a policy takes to walk the largest
	// document, as the machine may be busy, and a fifth of a webhook's ten seconds.
	defaultTimeout = 2 * time.Second
	// defaultMaxInput admits the largest attestation that is fetched.
	defaultMaxInput = 4 << 20
	// maxValue bounds what a policy answers, messages included.
	maxValue = 1 << 20
	// maxAtOnce bounds the evaluations of one module, those included that were
	// left behind at their deadline: a module that hangs soon hangs nobody else.
	maxAtOnce = 16
	// maxLate bounds those that were left behind alone: an evaluation ends a moment
	// after its deadline, or is in something that does not look at the clock and may
	// take a processor for ever.
	maxLate = 4
)

// Module is one inline module, compiled and ready. It is immutable and safe for
// concurrent use.
type Module struct {
	path    string
	text    string
	version int
	answers bool
	limits  limits
	running chan struct{}
	late    atomic.Int32
	program *program
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
	limits := limits{compile: defaultCompile, timeout: defaultTimeout, maxInput: defaultMaxInput}
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
	m := &Module{path: strings.Join(path, "/") + ".rego", limits: limits, running: make(chan struct{}, maxAtOnce)}
	out, err := beside(ctx, func() (*printed, error) { return compile(ctx, m.path, packageRef(path), source) })
	if err != nil {
		return nil, err
	}
	m.text, m.version, m.answers, m.program = out.text, out.version, out.answers, out.program
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
	compiler, err := compiled(ctx, file, source, module.Copy(), sigstore())
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

// beside runs a function and does not wait for it longer than its context lives:
// OPA's parser, formatter and compiler do not look at one, and take time that
// grows faster than the source. A panic in them is an error.
func beside[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		var out outcome
		defer func() {
			if cause := recover(); cause != nil {
				out.err = fmt.Errorf("compiler panicked: %v", cause)
			}
			done <- out
		}()
		out.value, out.err = f()
	}()
	select {
	case out := <-done:
		return out.value, out.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("module: compiling took too long: %w", context.Cause(ctx))
	}
}
