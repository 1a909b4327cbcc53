package cip

import (
	"fmt"
	"strings"

	bounded "github.com/assay-dev/assay/rego/cip/expression"
)

// This file bounds what one policy may hold. Upstream has no such bounds but that
// of etcd, 1.5 MiB; nothing that was seen is near them.
const (
	// mostImages take a few seconds to compile and a tenth of one to ask.
	mostImages = 10_000
	// mostAuthorities and mostAttestations are each a question to a registry.
	mostAuthorities  = 256
	mostAttestations = 256
	mostMatch        = 1_000
	// mostIdentities go along with each question: a fifth of a second.
	mostIdentities = 10_000
	// mostTogether are the instructions of all expressions of a policy: all of them are
	// compiled for each question, and lie in memory beside each other.
	mostTogether = 1 << 21
	// maxExcerpt is how much of a value, or of what a library says about it, is
	// repeated in an error.
	maxExcerpt = 512
)

// limits are what one policy may hold, and that of a namespace much less: they are as many
// as its author likes, and others wait for them.
type limits struct {
	images, authorities, attestations, identities, match, instructions int
}

func (v *validation) limits() limits {
	if v.owner != "" {
		return limits{images: 100, authorities: 16, attestations: 8, identities: 100, match: 100, instructions: 1 << 15}
	}
	return limits{mostImages, mostAuthorities, mostAttestations, mostIdentities, mostMatch, mostTogether}
}

// most reports a list that is too long, and whether it is: what else is wrong
// with a list of that length is not said.
func (v *validation) most(what string, got, most int, path string) bool {
	if got > most {
		v.add(fmt.Sprintf("too many %s: got %d, want at most %d", what, got, most), "", path)
	}
	return got > most
}

// excerpt is enough of a text to find it by.
func excerpt(text string) string {
	if len(text) <= maxExcerpt {
		return text
	}
	return strings.ToValidUTF8(text[:maxExcerpt], "") + "…"
}

// expression checks one of an identity. After too many nothing more is looked at.
func (v *validation) expression(expression, path string) {
	if expression == "" || v.instructions > v.limits().instructions {
		return
	}
	instructions, err := bounded.Check(expression)
	if err != nil {
		v.invalid(expression, path, "regex is invalid: "+err.Error())
	}
	if v.instructions += instructions; v.instructions > v.limits().instructions {
		v.add(fmt.Sprintf("too many instructions: got more than %d in all expressions of the policy", v.limits().instructions), "", path)
	}
}
