package apart

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// OPA does not bound memory, and a process that asks for too much of it is ended:
// thirty lines that double a string deny everybody. So the builtins that make much
// of little are asked what they are going to make before they do, and an evaluation
// may make so much with them and no more. That is not all that takes memory, but all
// that takes more of it than of time.

// mostMade is thirty times the largest document: enough to write it anew for every
// rule that looks at it.
const mostMade = 128 << 20

// bigger is what a term takes, at least, besides what is in it.
const bigger = 64

// purse is what is left of mostMade. It comes to the builtins as what they look at
// to see whether to go on; an evaluation is one goroutine.
type purse struct {
	cancel
	left int
}

type cancel = topdown.Cancel

var errMade = errors.New("got an evaluation that makes more than 128 MiB of text and lists")

// measures say what builtins will make of their operands, in bytes and not less. A
// measure need not look further than most.
func measures() map[string]func(operands []*ast.Term, most int) int {
	out := map[string]func([]*ast.Term, int) int{
		"concat":             madeByConcat,
		"sprintf":            madeBySprintf,
		"replace":            func(o []*ast.Term, _ int) int { return replaced(str(o[0]), str(o[1]), str(o[2])) },
		"strings.replace_n":  madeByReplaceN,
		"regex.replace":      func(o []*ast.Term, _ int) int { return 2 * times(len(str(o[0]))+1, len(str(o[2]))+1) },
		"split":              func(o []*ast.Term, _ int) int { return times(strings.Count(str(o[0]), str(o[1]))+1, bigger) },
		"array.concat":       func(o []*ast.Term, _ int) int { return times(size(o[0])+size(o[1]), 16) },
		"array.reverse":      func(o []*ast.Term, _ int) int { return times(size(o[0]), 16) },
		"array.slice":        func(o []*ast.Term, _ int) int { return times(size(o[0]), 16) },
		"numbers.range":      func(o []*ast.Term, _ int) int { return madeByRange(o[0], o[1], 1) },
		"numbers.range_step": func(o []*ast.Term, _ int) int { return madeByRange(o[0], o[1], number(o[2])) },
		"net.cidr_expand":    madeByCIDR,
		"json.marshal":       asText,
		"json.marshal_with_options": func(o []*ast.Term, most int) int {
			return indented(o[0].Value, option(o[1], "prefix"), max(option(o[1], "indent"), 1), most)
		},
		"yaml.marshal":   func(o []*ast.Term, most int) int { return indented(o[0].Value, 0, 4, most) },
		"json.unmarshal": func(o []*ast.Term, _ int) int { return times(8, len(str(o[0]))) },
		"yaml.unmarshal": func(o []*ast.Term, _ int) int { return times(8, len(str(o[0]))) },
		"regex.find_n":   func(o []*ast.Term, _ int) int { return times(len(str(o[1]))+1, bigger) },
		"regex.split":    func(o []*ast.Term, _ int) int { return times(len(str(o[1]))+1, bigger) },
		"regex.find_all_string_submatch_n": func(o []*ast.Term, _ int) int {
			return times(len(str(o[1]))+1, times(strings.Count(str(o[0]), "(")+1, bigger))
		},
		"indexof_n":               func(o []*ast.Term, _ int) int { return times(len(str(o[0]))+1, bigger) },
		"glob.quote_meta":         asText,
		"urlquery.encode_object":  asText,
		"urlquery.encode":         asText,
		"base64.encode":           asText,
		"base64url.encode":        asText,
		"base64url.encode_no_pad": asText,
		"hex.encode":              asText,
		"upper":                   asText,
		"lower":                   asText,
		"strings.reverse":         asText,
		"base64.decode":           asText,
		"base64url.decode":        asText,
		"hex.decode":              asText,
		"urlquery.decode":         asText,
	}
	return out
}

// bounded are the builtins that a module calls in the place of those with a measure.
func bounded() map[string]*topdown.Builtin {
	out := map[string]*topdown.Builtin{}
	for name, measure := range measures() {
		declaration := *ast.BuiltinMap[name]
		declaration.Name, declaration.CanSkipBctx = boundedName(name).String(), false
		call := topdown.GetBuiltin(name)
		out[declaration.Name] = &topdown.Builtin{Decl: &declaration, Func: func(
			bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error,
		) error {
			p, ok := bctx.Cancel.(*purse)
			if !ok {
				return topdown.Halt{Err: errMade}
			}
			// Undefined would be an answer: a rule that says no could be silent.
			if p.left -= measure(operands, p.left); p.left < 0 {
				return topdown.Halt{Err: errMade}
			}
			return call(bctx, operands, iter)
		}}
	}
	return out
}

func boundedName(name string) ast.Ref {
	out := ast.Ref{ast.VarTerm("bounded")}
	for part := range strings.SplitSeq(name, ".") {
		out = append(out, ast.StringTerm(part))
	}
	return out
}

// bind makes a compiled module call the bounded builtins. Terms are replaced and not
// written to: the parser shares those of operators between modules.
func bind(module *ast.Module) {
	names := map[string]*ast.Term{}
	for name := range measures() {
		names[name] = ast.NewTerm(boundedName(name))
	}
	replace := func(term **ast.Term) {
		if ref, ok := (*term).Value.(ast.Ref); ok && names[ref.String()] != nil {
			*term = names[ref.String()]
		}
	}
	ast.WalkExprs(module, func(expr *ast.Expr) bool {
		if terms, ok := expr.Terms.([]*ast.Term); ok {
			replace(&terms[0])
		}
		for _, with := range expr.With {
			replace(&with.Target)
		}
		return false
	})
	ast.WalkTerms(module, func(term *ast.Term) bool {
		if call, ok := term.Value.(ast.Call); ok {
			replace(&call[0])
		}
		return false
	})
}

// CheckMocks refuses a bounded builtin in the place of another function, where it
// would be called by its own name.
func CheckMocks(module *ast.Module) (found *ast.Error) {
	ast.WalkWiths(module, func(with *ast.With) bool {
		if name := with.Value.String(); found == nil && measures()[name] != nil {
			found = ast.NewError(ast.CompileErr, with.Loc(), "got %s in the place of %s, want a function of the module", name, with.Target)
		}
		return false
	})
	return found
}

func str(t *ast.Term) string {
	s, _ := t.Value.(ast.String)
	return string(s)
}

func size(t *ast.Term) int {
	if list, ok := t.Value.(interface{ Len() int }); ok {
		return list.Len()
	}
	return 0
}

func number(t *ast.Term) int {
	n, _ := t.Value.(ast.Number)
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.Abs(f) > 1<<40 {
		return 1 << 40
	}
	return int(f)
}

// times multiplies and stops where sums are still far from what an int holds.
func times(a, b int) int {
	if a > 0 && b > (1<<48)/a {
		return 1 << 48
	}
	return a * b
}

func replaced(text, from, to string) int {
	return len(text) + times(strings.Count(text, from), len(to))
}

func madeByConcat(operands []*ast.Term, _ int) int {
	sum := times(size(operands[1]), len(str(operands[0])))
	each := func(t *ast.Term) { sum += len(str(t)) }
	switch list := operands[1].Value.(type) {
	case *ast.Array:
		list.Foreach(each)
	case ast.Set:
		list.Foreach(each)
	}
	return sum
}

func madeByReplaceN(operands []*ast.Term, _ int) int {
	text := str(operands[1])
	sum := len(text)
	if patterns, ok := operands[0].Value.(ast.Object); ok {
		patterns.Foreach(func(from, to *ast.Term) { sum += replaced(text, str(from), str(to)) })
	}
	return sum
}

// madeBySprintf takes every verb for the one that writes most: the largest operand,
// as wide as a number in the format says, or an operand where that is a star. Go pads
// to a million.
func madeBySprintf(operands []*ast.Term, most int) int {
	format := str(operands[0])
	widest, width := 0, 0
	for _, c := range []byte(format) {
		if width = width*10 + int(c-'0'); c < '0' || c > '9' {
			width = 0
		}
		widest = min(max(widest, width), 1_000_000)
	}
	if strings.Contains(format, "*") {
		widest = 1_000_000
	}
	largest := 0
	if list, ok := operands[1].Value.(*ast.Array); ok {
		list.Foreach(func(t *ast.Term) { largest = max(largest, 2*spoken(t.Value, most)) })
	}
	return len(format) + times(strings.Count(format, "%"), widest+largest) + largest
}

func madeByRange(from, to *ast.Term, step int) int {
	if step <= 0 {
		return 0 // the builtin refuses it
	}
	distance := number(from) - number(to)
	return times(max(distance, -distance)/step+1, bigger)
}

func madeByCIDR(operands []*ast.Term, _ int) int {
	network, err := netip.ParsePrefix(str(operands[0]))
	if err != nil {
		return 0 // a single address, or nothing that the builtin takes
	}
	return times(1<<min(network.Addr().BitLen()-network.Bits(), 40), bigger)
}

// asText is what an operand takes as text, and twice as much for escapes.
func asText(operands []*ast.Term, most int) int { return times(3, spoken(operands[0].Value, most)) }

// indented is what a value takes as text when each value in it stands on a line.
func indented(value ast.Value, prefix, indent, most int) int {
	text := spoken(value, most)
	if text > most {
		return text
	}
	return times(3, text) + times(text/2+1, prefix+times(indent, depthIn(value)))
}

// depthIn is how deep a value nests. Requires that it is of a bounded size.
func depthIn(value ast.Value) int {
	deepest := 0
	each := func(t *ast.Term) { deepest = max(deepest, depthIn(t.Value)) }
	switch value := value.(type) {
	case *ast.Array:
		value.Foreach(each)
	case ast.Set:
		value.Foreach(each)
	case ast.Object:
		value.Foreach(func(_, t *ast.Term) { each(t) })
	default:
		return 0
	}
	return deepest + 1
}

// option is the length of a text among options.
func option(options *ast.Term, name string) int {
	if object, ok := options.Value.(ast.Object); ok {
		if t := object.Get(ast.StringTerm(name)); t != nil {
			return len(str(t))
		}
	}
	return 0
}

// spoken is the size of a value as JSON; of one that is larger than most, more.
func spoken(value ast.Value, most int) int {
	m := newMeter(most)
	if m.take(value) != nil {
		return most + 1
	}
	return most + 1 - m.left
}
