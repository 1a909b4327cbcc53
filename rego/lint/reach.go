package lint

import (
	"strings"

	"github.com/assay-dev/assay/rego/cip"
)

// This file decides whether globs can match at all.
//
// What globs are asked about is a regular language: host/repository@sha256: and
// 64 hex digits, where host and repository are what go-containerregistry takes
// for one. A glob is a regular language too. So whether several globs have an
// image in common, and one glob has any, is whether a product of small automata
// reaches its end. The search ends there with a name as proof, or it has seen
// every state and there is none.

const (
	// mostSteps bounds one search, to about a second. A usual glob takes some
	// hundreds; only hundreds of stars take more than this.
	mostSteps = 1 << 18
	// mostStepsOfRun bounds all searches of one run: ten thousand usual globs, or
	// eight of the others.
	mostStepsOfRun = 1 << 21
	// mostRepository is go-containerregistry's bound.
	mostRepository = 255
)

// verdict is what a search found.
type verdict int

const (
	unknown verdict = iota // the search was given up
	reachable
	unreachable
)

// token is one letter of a glob, or a star.
type token struct {
	letter byte // of a literal
	star   bool
	slash  bool // a star that runs over "/"
}

func tokens(glob cip.Glob) []token {
	text := glob.Normalized()
	out := make([]token, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "**"):
			out = append(out, token{star: true, slash: true})
			i++
		case text[i] == '*':
			out = append(out, token{star: true})
		default:
			out = append(out, token{letter: text[i]})
		}
	}
	return out
}

// prover searches until it has taken as many steps as a run may.
type prover struct{ taken int }

// witness searches for a name that all globs match. Requires one or two globs.
func (p *prover) witness(globs ...cip.Glob) (string, verdict) {
	s := search{seen: map[node]int{}, most: min(mostSteps, mostStepsOfRun-p.taken)}
	for i, glob := range globs {
		s.globs[i] = tokens(glob)
	}
	s.push(node{}, 0, -1, 0)
	proof, found := s.run()
	p.taken += len(s.steps)
	return proof, found
}

func (p *prover) reaches(glob string) bool {
	parsed, err := cip.ParseGlob(glob)
	if err != nil {
		return false
	}
	_, found := p.witness(parsed)
	return found == reachable
}

// meet searches for an image that two globs have in common.
func (p *prover) meet(a, b cip.Glob) verdict {
	short, long := a.Prefix(), b.Prefix()
	if len(short) > len(long) {
		short, long = long, short
	}
	if !strings.HasPrefix(long, short) {
		return unreachable // told without a search, which most pairs are
	}
	_, found := p.witness(a, b)
	return found
}

// node is how far each glob and the name have come.
type node struct {
	at   [2]int16
	name progress
}

// step is how a node was reached: by a letter, or none, from an earlier step.
type step struct {
	node   node
	from   int
	letter byte
}

// search goes breadth first by the length of the repository, whose bound is the
// only thing about names that is not regular.
type search struct {
	globs [2][]token
	seen  map[node]int
	steps []step
	queue [mostRepository + 1][]int
	most  int
}

func (s *search) push(n node, cost, from int, letter byte) {
	if best, ok := s.seen[n]; ok && best <= cost {
		return
	}
	s.seen[n] = cost
	s.steps = append(s.steps, step{node: n, from: from, letter: letter})
	s.queue[cost] = append(s.queue[cost], len(s.steps)-1)
}

func (s *search) run() (string, verdict) {
	for cost := range s.queue {
		for i := 0; i < len(s.queue[cost]); i++ {
			at := s.queue[cost][i]
			n := s.steps[at].node
			switch {
			case s.seen[n] < cost: // reached by a shorter way since
			case s.done(n):
				return s.spell(at), reachable
			case len(s.steps) > s.most:
				return "", unknown
			default:
				s.expand(at, n, cost)
			}
		}
	}
	return "", unreachable
}

func (s *search) done(n node) bool {
	return int(n.at[0]) == len(s.globs[0]) && int(n.at[1]) == len(s.globs[1]) && n.name.ends()
}

func (s *search) expand(at int, n node, cost int) {
	try := n.name.next()
	for i, glob := range s.globs {
		if int(n.at[i]) == len(glob) {
			if len(glob) > 0 {
				try = "" // this glob takes no more
			}
			continue
		}
		switch t := glob[n.at[i]]; {
		case t.star: // a star may be over
			next := n
			next.at[i]++
			s.push(next, cost, at, 0)
		case strings.IndexByte(try, t.letter) >= 0:
			try = string(t.letter)
		default:
			try = ""
		}
	}
	for i := range len(try) {
		s.read(at, n, cost, try[i])
	}
}

// read lets every glob and the name take one letter.
func (s *search) read(at int, n node, cost int, letter byte) {
	next := n
	for i, glob := range s.globs {
		if len(glob) == 0 {
			continue
		}
		switch t := glob[n.at[i]]; {
		case !t.star:
			if t.letter != letter {
				return
			}
			next.at[i]++
		case letter == '/' && !t.slash:
			return
		}
	}
	var ok bool
	if next.name, ok = n.name.read(letter); !ok {
		return
	}
	if n.name.part == repository && letter != '@' {
		if cost++; cost > mostRepository {
			return
		}
	}
	s.push(next, cost, at, letter)
}

// spell returns the letters that lead to a step.
func (s *search) spell(at int) string {
	var out []byte
	for ; at >= 0; at = s.steps[at].from {
		if s.steps[at].letter != 0 {
			out = append(out, s.steps[at].letter)
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}
