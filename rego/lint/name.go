package lint

import "strings"

// part is the part of a name that is being read.
type part uint8

const (
	host part = iota
	port
	repository
	digest
)

const (
	algorithm = "sha256:"
	hexDigits = 64
	hub       = "index.docker.io"
	// hubAlias never is the host of a name: it is written as hub.
	hubAlias = "docker.io"
	// bareHost is the only host without a dot or a port; go-containerregistry
	// takes every other such word for a repository of hub.
	bareHost = "localhost"
)

// progress is the automaton of the names of images. The zero value is its start.
type progress struct {
	part part
	// word is the special host that this one may still become, letters how far
	// it has come. A host that has become another is far from all of them.
	word    int8
	letters int8
	// dotted is set when a host has a dot.
	dotted bool
	// spaced is set when a repository has all the "/" that it must have, and
	// begun when it has any letter.
	spaced, begun bool
	// digits counts the letters of the digest, its algorithm included.
	digits int8
}

func (p progress) ends() bool { return p.part == digest && int(p.digits) == len(algorithm)+hexDigits }

// next are the letters that may come, the friendliest first: a proof reads better
// with an a in it. Some of them may turn out not to be possible here.
func (p progress) next() string {
	switch {
	case p.part != digest:
		return "abcdefghijklmnopqrstuvwxyz0123456789./-_:@"
	case int(p.digits) < len(algorithm):
		return algorithm[p.digits : p.digits+1]
	default:
		return "0123456789abcdef"
	}
}

// read returns what a letter leads to, unless no name goes on so.
func (p progress) read(letter byte) (progress, bool) {
	switch p.part {
	case host:
		return p.readHost(letter)
	case port:
		if letter == '/' {
			return progress{part: repository, spaced: true}, true
		}
		return p, isDigit(letter)
	case repository:
		if letter == '@' {
			return progress{part: digest}, p.begun && p.spaced
		}
		p.begun, p.spaced = true, p.spaced || letter == '/'
		return p, isLower(letter) || isDigit(letter) || strings.IndexByte("_-./", letter) >= 0
	default:
		return p.readDigest(letter)
	}
}

func (p progress) readHost(letter byte) (progress, bool) {
	switch {
	case letter == ':':
		return progress{part: port}, true
	case letter == '/':
		special := p.special()
		// A repository of hub without a namespace is written with library/.
		return progress{part: repository, spaced: special != hub}, special != hubAlias && (p.dotted || special == bareHost)
	case !isLower(letter) && !isDigit(letter) && strings.IndexByte("_-.", letter) < 0:
		return p, false
	}
	p.dotted = p.dotted || letter == '.'
	if p.word == begin {
		p.word = startsSpecial(letter)
	}
	if host := specialHost(p.word); int(p.letters) < len(host) && host[p.letters] == letter {
		p.letters++
	} else {
		p.word, p.letters = far, 0
	}
	return p, true
}

// What progress.word says, beside the special hosts.
const (
	begin int8 = iota
	isHub
	isAlias
	isBare
	far
)

// startsSpecial tells the special hosts by their first letters, which differ.
func startsSpecial(letter byte) int8 {
	for word := isHub; word <= isBare; word++ {
		if specialHost(word)[0] == letter {
			return word
		}
	}
	return far
}

func specialHost(word int8) string {
	switch word {
	case isHub:
		return hub
	case isAlias:
		return hubAlias
	case isBare:
		return bareHost
	}
	return ""
}

// special returns the special host that has been read, or nothing.
func (p progress) special() string {
	if host := specialHost(p.word); int(p.letters) == len(host) {
		return host
	}
	return ""
}

func (p progress) readDigest(letter byte) (progress, bool) {
	i := int(p.digits)
	p.digits++
	if i < len(algorithm) {
		return p, algorithm[i] == letter
	}
	return p, i < len(algorithm)+hexDigits && (isDigit(letter) || letter >= 'a' && letter <= 'f')
}

func isLower(letter byte) bool { return letter >= 'a' && letter <= 'z' }
func isDigit(letter byte) bool { return letter >= '0' && letter <= '9' }
