// Package exchange is what was said between the builtins and registries, so that
// a decision can be made again without any: [Recording] is a registry that takes
// down what another one answers, [Replay] is one that answers from what was taken
// down, and from nothing else.
//
// An [Exchange] is one call with its answer or its refusal. A [Log] holds those that
// one answer of a builtin was made from. It travels with the context of that
// question, as net/http/httptrace has it: whatever the question leads to, on
// whatever goroutine, is in its log, and who asks a registry has nothing to pass on.
//
// Who asked is in an exchange by name alone. Credentials, their keychain and the
// tokens that a registry gave for them never reach this package's values.
package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"

	"github.com/assay-dev/assay/builtins/oci"
)

// Registry is what the builtins want of registries; [oci.Client] has it.
type Registry interface {
	Resolve(ctx context.Context, cred oci.Credentials, ref string) (string, error)
	Signatures(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error)
	Attestations(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error)
	Bundles(ctx context.Context, cred oci.Credentials, ref string, at oci.Place) (oci.List, error)
	Count(ctx context.Context, cred oci.Credentials, ref string, at oci.Place, storage oci.Storage) (int, error)
	Manifest(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error)
	Index(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error)
	Configs(ctx context.Context, cred oci.Credentials, ref string) (map[string]json.RawMessage, error)
	Config(ctx context.Context, cred oci.Credentials, ref string) (json.RawMessage, error)
	Blob(ctx context.Context, cred oci.Credentials, ref string) ([]byte, error)
	Referrers(ctx context.Context, cred oci.Credentials, ref string) ([]oci.Referrer, error)
	Files(ctx context.Context, cred oci.Credentials, ref string, paths []string) (oci.Files, error)
}

var _ Registry = (*oci.Client)(nil)

// Call is what a registry was asked.
type Call struct {
	// Name is the method of [Registry], in lower case.
	Name string `json:"call"`
	// As names who asked: the ID of credentials, and in a record an alias of it.
	As string `json:"as,omitempty"`
	// Ref is the reference that was asked about.
	Ref string `json:"ref"`
	// Place is where, if not in the image's own repository.
	Place string `json:"place,omitempty"`
	// With are further arguments.
	With []string `json:"with,omitempty"`
}

// key names the call among others: quoted, so that no two are spelled alike.
func (c Call) key() string {
	text, err := json.Marshal(c)
	if err != nil {
		return err.Error() // strings marshal
	}
	return string(text)
}

// String is the call for people.
func (c Call) String() string {
	parts := append([]string{c.Name, c.Ref}, c.With...)
	if c.Place != "" {
		parts = append(parts, "in "+c.Place)
	}
	return strings.Join(parts, " ")
}

// hint reports whether the answer serves a message only, and no verdict.
func (c Call) hint() bool { return c.Name == "count" }

// Exchange is a call with what became of it. The answer belongs to whoever gave it
// and must not be changed.
type Exchange struct {
	Call
	Answer any
	Err    *oci.Error // why there is no answer
}

// Given is an answer that a builtin gave without the world having a say in it: the
// time was over. Asked again it would be another one.
type Given struct {
	// Question is the [Name] of what was asked.
	Question string `json:"question"`
	// Code and Message are those of the problem that was the answer.
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Log is what one answer of a builtin was made from. It is safe for concurrent use.
type Log struct {
	question string

	mu        sync.Mutex
	exchanges []Exchange
	cost      int64 // of exchanges
	given     *Given
}

// NewLog is the empty log of a question, which is a call of a builtin with all its
// operands.
func NewLog(question string) *Log { return &Log{question: question} }

// Gave is the log of a question that was answered without asking.
func Gave(question, code, message string) *Log {
	return &Log{question: question, given: &Given{Name(question), code, message}}
}

// Question is what the log is about.
func (l *Log) Question() string { return l.question }

// Given is the answer that came without an exchange, nil where there is none.
func (l *Log) Given() *Given { return l.given }

// Exchanges are those of the log, in the order in which they ended.
func (l *Log) Exchanges() []Exchange {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.exchanges
}

func (l *Log) add(e Exchange) {
	cost := int64(len(e.Ref)) + size(e.Answer) + 256
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exchanges = append(l.exchanges, e)
	l.cost += cost
}

// Cost estimates the memory that a log holds, in bytes. Content that a registry
// client keeps as well counts: it may be held here for longer.
func (l *Log) Cost() int64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.question)) + l.cost
}

// NotRecorded are the calls that a replay had no answer to, but for those whose
// answers would be in messages alone.
func (l *Log) NotRecorded() []string {
	var out []string
	for _, e := range l.Exchanges() {
		if e.Err != nil && errors.Is(e.Err.Err, ErrNotRecorded) && !e.hint() {
			out = append(out, e.String())
		}
	}
	return out
}

// Name is a question in few words: the builtin, what it was asked about, and the
// beginning of a hash over all its operands.
func Name(question string) string {
	sum := sha256.Sum256([]byte(question))
	builtin, rest, _ := strings.Cut(question, "\x00")
	about, _, _ := strings.Cut(rest, "\x00")
	about = strings.Trim(about, `"`)
	const longest = 200
	if len(about) > longest {
		about = strings.ToValidUTF8(about[:longest], "") + "…"
	}
	return builtin + " " + about + " " + hex.EncodeToString(sum[:16])
}

type logKey struct{}

// Into is a context whose exchanges go to the log.
func Into(ctx context.Context, log *Log) context.Context {
	return context.WithValue(ctx, logKey{}, log)
}

func logOf(ctx context.Context) *Log {
	log, _ := ctx.Value(logKey{}).(*Log)
	return log
}

// refusalOf is the refusal that an error is, as the builtins read it: what has no
// code of a registry is malformed, unless it is the end of a context.
func refusalOf(err error) *oci.Error {
	var own *oci.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &oci.Error{Code: oci.Timeout, Message: err.Error()}
	}
	return &oci.Error{Code: oci.Malformed, Message: err.Error()}
}
