package builtins

import (
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/sigstore/miss"
)

// refused is the error of the verifying builtins: a problem, and what a person wants
// to know of it: where evidence was looked for, and how near it came.
type refused struct {
	declare.Problem
	Looked []looked    `json:"looked"`
	Misses []miss.Miss `json:"misses"`
	// Hint says what the storage has that the policy does not read.
	Hint string `json:"hint,omitempty"`
}

// looked is one storage in which evidence was looked for.
type looked struct {
	Format string   `json:"format"`
	At     []string `json:"at"`
	// Found is how many pieces of evidence are listed there.
	Found int `json:"found"`
}

func refusedFor(p *declare.Problem, seen evidence) *refused {
	out := &refused{Problem: *p, Looked: seen.looked, Misses: seen.misses, Hint: seen.hint}
	if out.Looked == nil {
		out.Looked = []looked{}
	}
	if out.Misses == nil {
		out.Misses = []miss.Miss{}
	}
	return out
}

func printable(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = miss.Printable(text)
	}
	return out
}

// refusedMembers describe refused.
func refusedMembers() []declare.Field {
	return []declare.Field{
		declare.Objects("looked", "where evidence was looked for",
			declare.Named("format", types.S, "`legacy` or `bundle`"), declare.Named("at", declare.List(types.S), "tags or referrers"),
			declare.Named("found", types.N, "how many pieces of evidence there are")),
		declare.Objects("misses", "the pieces that were refused, the nearest miss first, at most 10",
			declare.Named("digest", types.S, "of the piece"), declare.Named("format", types.S, "`legacy` or `bundle`"),
			declare.Named("at", types.S, "where it stands"), declare.Named("code", types.S, "that of the check that it failed"),
			declare.Named("message", types.S, "of whoever checked"),
			declare.Objects("differs", "what is not as it is wanted",
				declare.Named("what", types.S, "what differs, such as subject"), declare.Named("got", types.S, ""), declare.Named("want", types.S, ""))),
		declare.Named("hint", types.S, "what the other storage has that `signatureFormat` does not read; absent without any"),
	}
}
