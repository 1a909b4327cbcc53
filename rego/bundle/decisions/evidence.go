package decisions

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"weak"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The bounds of what an entry says of an answer.
const (
	mostOperand  = 1 << 10 // bytes of an operand that is written out
	mostEvidence = 64      // digests that an answer names
	mostDigests  = 4096    // answers whose digests are kept
	smallAnswer  = 1 << 10 // bytes that the digests of one answer hold, about
)

// answers are what the builtins answered, terms of OPA by question; builtins.Session has
// them. A question is the name of the builtin and its operands, with a zero byte between
// them. cost is what the answer holds, in bytes.
type answers interface {
	Answers(tell func(question string, answer any, cost int64))
}

// asked is a question with its answer, or with its digests where those are known: an
// entry that waits then holds nothing large.
type asked struct {
	question string
	term     *ast.Term // nil where said is known
	said     digested
}

// takeAnswers are the answers of a decision, and what they hold.
func (l *Logger) takeAnswers(of any) (out []asked, bytes int64) {
	session, ok := of.(answers)
	if !ok {
		return nil, 0
	}
	session.Answers(func(question string, value any, cost int64) {
		term, ok := value.(*ast.Term)
		if !ok {
			return
		}
		one := asked{question: question, term: term}
		if said, known := l.digests.Get(weak.Make(term)); known {
			one.term, one.said, cost = nil, said, 0
		}
		out = append(out, one)
		bytes += cost + int64(len(question)) + smallAnswer
	})
	return out, bytes
}

// answer names a term that serves many decisions, and does not keep it.
type answer = weak.Pointer[ast.Term]

// digested is what an entry says of an answer.
type digested struct {
	OK   bool   `json:"ok"`
	Code string `json:"code,omitempty"`
	// Digest is that of the answer, as JSON with sorted members and no spaces.
	Digest string `json:"digest"`
	// Evidence are the digests that the answer names: of an image, of signatures and
	// attestations. By them a registry or a capsule has the bytes.
	Evidence []string `json:"evidence,omitempty"`
	// Omitted is how many more there are.
	Omitted int `json:"evidence_omitted,omitempty"`
}

// evidenceOf is the nd_builtin_cache of an entry: by builtin and, as OPA writes them, by
// operands in JSON. What was answered stands there by digest. Nil is nothing asked.
func (l *Logger) evidenceOf(answers []asked, text func(string) string) *any {
	if len(answers) == 0 {
		return nil
	}
	cache := map[string]any{}
	for _, one := range answers {
		builtin, operands, _ := strings.Cut(one.question, "\x00")
		of, ok := cache[builtin].(map[string]any)
		if !ok {
			of = map[string]any{}
			cache[builtin] = of
		}
		if one.term != nil {
			one.said = l.digestOf(one.term)
		}
		of[text(operandsOf(operands))] = one.said.document()
	}
	var out any = cache
	return &out
}

// operandsOf is a list of operands as a text of JSON. A large one stands there by digest.
func operandsOf(operands string) string {
	var out []string
	for operand := range strings.SplitSeq(operands, "\x00") {
		out = append(out, operandOf(operand))
	}
	return "[" + strings.Join(out, ",") + "]"
}

func operandOf(operand string) string {
	var text bytes.Buffer
	if json.Compact(&text, []byte(operand)) != nil { // a value of Rego that JSON lacks
		text.Reset()
		text.Write(quoted(operand))
	}
	if text.Len() <= mostOperand {
		return text.String()
	}
	return string(quoted(digest(text.Bytes())))
}

func quoted(text string) []byte {
	encoded, _ := json.Marshal(text) // a text can be written
	return encoded
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// digestOf digests an answer. The same term is the same answer: a large one, which serves
// many decisions, is written once.
func (l *Logger) digestOf(term *ast.Term) digested {
	key := weak.Make(term)
	if known, ok := l.digests.Get(key); ok {
		return known
	}
	out := digestedOf(term)
	l.digests.Add(key, out)
	return out
}

var digestName = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func digestedOf(term *ast.Term) (out digested) {
	value, err := ast.JSON(term.Value)
	if err != nil {
		return digested{Code: "malformed"} // answers are made of JSON
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return digested{Code: "malformed"}
	}
	out.Digest = digest(encoded)
	if object, ok := value.(map[string]any); ok {
		out.OK, _ = object["ok"].(bool)
		problem, _ := object["error"].(map[string]any)
		out.Code, _ = problem["code"].(string)
	}
	seen := map[string]bool{}
	named(value, seen)
	out.Evidence = slices.Sorted(maps.Keys(seen))
	if more := len(out.Evidence) - mostEvidence; more > 0 {
		out.Evidence, out.Omitted = out.Evidence[:mostEvidence], more
	}
	return out
}

// named collects the digests that a value names.
func named(value any, into map[string]bool) {
	switch value := value.(type) {
	case string:
		if digestName.MatchString(value) {
			into[value] = true
		}
	case []any:
		for _, item := range value {
			named(item, into)
		}
	case map[string]any:
		for _, item := range value {
			named(item, into)
		}
	}
}

// document is what an entry has, of the types that masks can change.
func (d digested) document() any {
	out := map[string]any{"ok": d.OK, "digest": d.Digest}
	if d.Code != "" {
		out["code"] = d.Code
	}
	if len(d.Evidence) > 0 {
		out["evidence"] = list("", d.Evidence)
	}
	if d.Omitted > 0 {
		out["evidence_omitted"] = d.Omitted
	}
	return out
}
