package raw

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"

	"github.com/assay-dev/assay/rego/apart"
)

// Unresolved is the code of a policy that does not compile.
const Unresolved apart.Code = "unresolved"

// Metadata is what the author says of a policy: the METADATA of its package.
type Metadata struct {
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Severity is custom.severity.
	Severity string `json:"severity,omitempty"`
	// Docs is custom.docs, else the first of related_resources.
	Docs string `json:"docs,omitempty"`
	// Owner is custom.owner, else the first of organizations or of authors.
	Owner string `json:"owner,omitempty"`
}

// Policy is one policy, ready. It is immutable and safe for concurrent use.
type Policy struct {
	Name     string
	Metadata Metadata

	objects []string // see Objects
	files   []string // see Files
	warns   bool     // mode := "warn", whatever is judged
	asks    bool
	places  bool
	failure *apart.Failure
	cause   error  // of the failure
	file    string // where the failure is
	line    int
	program *apart.Program
	allow   Allow
}

// Failure is why the policy does not compile, nil when it does.
func (p *Policy) Failure() *apart.Failure { return p.failure }

// Place is where the failure is.
func (p *Policy) Place() (file string, line int) { return p.file, p.line }

// Files are those that have the policy, without the libraries that it refers to: none of an object.
func (p *Policy) Files() []string { return slices.Clone(p.files) }

// Warns says whether the text makes the policy warn whatever it judges, so that it does
// where it cannot say.
func (p *Policy) Warns() bool { return p.warns }

// Allowed are the builtins that it may call though they are off elsewhere, whose answers
// have to be kept for a decision. The list must not be changed.
func (p *Policy) Allowed() []string { return p.allow.Builtins }

// Asks says whether the policy may call what has another answer in the next evaluation of
// a decision: what asks the world. Time and chance are those of the decision.
func (p *Policy) Asks() bool { return p.asks }

// ReadsNamespaces says whether the policy reads data.assay.namespaces.
func (p *Policy) ReadsNamespaces() bool { return p.places }

// asking says so of what a compiler was given.
func asking(compiler *ast.Compiler) bool {
	return compiler.Required == nil || slices.ContainsFunc(compiler.Required.Builtins, func(b *ast.Builtin) bool {
		return b.Nondeterministic && !slices.Contains([]string{"time.now_ns", "rand.intn", "uuid.rfc4122"}, b.Name)
	})
}

// Asked is what a policy is asked about.
type Asked struct {
	// Review is the input. It is this evaluation's own.
	Review   ast.Value
	Now      time.Time
	Seed     io.Reader
	Metadata map[string]any
	// Answers are those that were kept of this decision, nil for none.
	Answers builtins.NDBCache
	// Resolved is what it reads of the labels of namespaces, nil for nothing.
	Resolved *apart.Resolved
	// Tracer is told what the evaluation does, nil for nobody. It then has a quarter of
	// the time, which belongs to others as well.
	Tracer topdown.QueryTracer
}

// Answer is what a policy says. Sets are arrays in OPA's order, and what is undefined is
// an empty array; Mode is null where it is undefined.
type Answer struct{ Deny, Warn, Mode ast.Value }

// Judge asks a policy, in the time that is left of the context and no more than two
// seconds. Beside a failure there is no answer.
func (p *Policy) Judge(ctx context.Context, asked Asked) (Answer, *apart.Failure) {
	var none Answer
	if p.failure != nil {
		return none, p.failure
	}
	timeout := apart.Timeout
	if asked.Tracer != nil {
		timeout /= 4
	}
	value, failure := p.program.Evaluate(ctx, apart.Evaluation{
		What: "answer", Input: asked.Review, Now: asked.Now, Timeout: timeout, Strict: true, Seed: asked.Seed,
		Metadata: asked.Metadata, Answers: asked.Answers, Transport: p.allow.Transport,
		Tracer: asked.Tracer, Resolved: asked.Resolved,
	})
	if failure != nil {
		return none, failure
	}
	object, ok := value.(ast.Object)
	if !ok {
		return none, &apart.Failure{Code: apart.Malformed, Message: "answer: got none"}
	}
	out := Answer{Deny: ast.NewArray(), Warn: ast.NewArray(), Mode: ast.NullValue}
	for name, into := range map[string]*ast.Value{"deny": &out.Deny, "warn": &out.Warn, "mode": &out.Mode} {
		term := object.Get(ast.StringTerm(name))
		list, ok := term.Value.(*ast.Array)
		if !ok {
			return none, &apart.Failure{Code: apart.Malformed, Message: fmt.Sprintf("%s: got no list", name)}
		}
		if list.Len() > 0 {
			*into = plain(list.Elem(0).Value)
		}
	}
	if number, found := unreadable(value); found {
		return none, &apart.Failure{Code: apart.Malformed, Message: fmt.Sprintf("answer: got the number %.80s, want one that fits in 64 bits", number)}
	}
	return out, nil
}

// unreadable finds a number that Rego has and readers of decisions have not.
func unreadable(value ast.Value) (number string, found bool) {
	ast.WalkTerms(value, func(t *ast.Term) bool {
		if n, ok := t.Value.(ast.Number); ok && !found {
			_, err := strconv.ParseFloat(string(n), 64)
			number, found = string(n), err != nil
		}
		return found
	})
	return number, found
}

// plain is a value as JSON has it: a set is an array.
func plain(value ast.Value) ast.Value {
	if set, ok := value.(ast.Set); ok {
		return set.Sorted()
	}
	return value
}

// metadataOf reads the METADATA of a policy's package.
func metadataOf(own []file) Metadata {
	for _, f := range own {
		for _, a := range f.module.Annotations {
			if (a.Scope == "package" || a.Scope == "subpackages") && f.module.Package.Path.Equal(f.policy) {
				return metadataIn(a)
			}
		}
	}
	return Metadata{}
}

func metadataIn(a *ast.Annotations) Metadata {
	out := Metadata{
		Title: a.Title, Description: a.Description, Severity: text(a.Custom["severity"]),
		Docs: text(a.Custom["docs"]), Owner: text(a.Custom["owner"]),
	}
	if out.Docs == "" && len(a.RelatedResources) > 0 {
		out.Docs = a.RelatedResources[0].Ref.String()
	}
	switch {
	case out.Owner != "":
	case len(a.Organizations) > 0:
		out.Owner = a.Organizations[0]
	case len(a.Authors) > 0:
		out.Owner = a.Authors[0].String()
	}
	return out
}

func text(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}

// warns says whether the text makes a policy warn whatever it judges: one rule mode, of
// the value warn, without a condition. It is asked of policies that fail.
func warns(own []file) bool {
	count, warn := 0, false
	for _, f := range own {
		if !f.module.Package.Path.Equal(f.policy) {
			continue
		}
		for _, rule := range f.module.Rules {
			if nameOf(rule) != "mode" {
				continue
			}
			count++
			warn = len(rule.Head.Args) == 0 && len(rule.Head.Reference) == 1 && rule.Else == nil && rule.Head.Value != nil &&
				rule.Head.Value.Equal(ast.StringTerm("warn")) && (len(rule.Body) == 0 || rule.Body.Equal(ast.NewBody(ast.NewExpr(ast.BooleanTerm(true)))))
		}
	}
	return count == 1 && warn
}
