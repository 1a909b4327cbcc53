// Package miss describes evidence that was refused, so that a person can see how
// near it came: which check it failed, what was got there and what was wanted.
//
// What stands in a certificate, a statement or an annotation was chosen by whoever
// made it. All text of this package is therefore escaped, by [Printable], and cut.
// The package decides nothing: a miss describes a refusal that was made elsewhere.
package miss

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of what is told about one authority: how many pieces of evidence, how
// many differences of each, and how long one text is, in bytes.
const (
	Most            = 10
	mostDifferences = 3
	longest         = 1 << 10
)

// MostBytes is what one of the [Nearest] misses takes at most: ten texts, and itself.
const MostBytes = 12 << 10

// What names the thing that differs. It is a closed list.
type What string

// The things that may differ.
const (
	Subject       What = "subject"        // of the certificate
	Issuer        What = "issuer"         // of the identity in the certificate
	Signer        What = "signer"         // a key where a certificate is wanted, or the reverse
	Validity      What = "validity"       // of the certificate
	Root          What = "root"           // the authority that issued the certificate
	SCT           What = "sct"            // the certificate's entry in a certificate log
	Log           What = "log"            // the entry in a transparency log
	Timestamp     What = "timestamp"      // of a timestamp authority
	Digest        What = "digest"         // the image that was signed
	PredicateType What = "predicate_type" // of the statement
	Format        What = "format"         // in which the evidence is stored
)

// Whats are all of them.
func Whats() []What {
	return []What{Subject, Issuer, Signer, Validity, Root, SCT, Log, Timestamp, Digest, PredicateType, Format}
}

// Difference is one thing that is not as it is wanted.
type Difference struct {
	What What   `json:"what"`
	Got  string `json:"got"`
	Want string `json:"want"`
}

// Differs makes a difference of texts from anywhere.
func Differs(what What, got, want string) Difference {
	return Difference{What: what, Got: Printable(got), Want: Printable(want)}
}

// Miss is one piece of evidence that was looked at and refused.
type Miss struct {
	// Digest names the piece: sha256:… of its content.
	Digest string `json:"digest"`
	// Format is legacy or bundle, At is where it stands.
	Format string `json:"format"`
	At     string `json:"at"`
	// Code is that of the check that it failed; Message is the verifier's.
	Code    string       `json:"code"`
	Message string       `json:"message"`
	Differs []Difference `json:"differs"`

	// Rank is how far it got in the order of the checks, and Near how little it
	// differs there. More is nearer.
	Rank, Near int `json:"-"`
	// Claims is the predicate type that it says it has, which nothing vouches for; of the
	// [Nearest] it is [Printable].
	Claims string `json:"-"`
}

// Nearest puts the nearest miss first and keeps the [Most] nearest. Of equally near
// ones the first stays first.
func Nearest(misses []Miss) []Miss {
	out := slices.Clone(misses)
	slices.SortStableFunc(out, func(a, b Miss) int {
		return cmp.Or(cmp.Compare(b.Rank, a.Rank), cmp.Compare(b.Near, a.Near))
	})
	out = out[:min(len(out), Most)]
	for i := range out {
		for _, text := range []*string{&out[i].At, &out[i].Digest, &out[i].Message, &out[i].Claims} {
			*text = Printable(*text)
		}
		out[i].Differs = slices.Clone(out[i].Differs[:min(len(out[i].Differs), mostDifferences)])
		if out[i].Differs == nil {
			out[i].Differs = []Difference{}
		}
	}
	return out
}

// Printable is a text of one line without anything that moves a cursor, turns the
// direction of writing or is not seen: such characters are escaped, as is what is
// not UTF-8. It is cut at a kilobyte.
func Printable(text string) string {
	var out strings.Builder
	for i, r := range text {
		if out.Len() >= longest {
			out.WriteString("…")
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&out, `\x%02x`, text[i])
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&out, `\U%08x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return strings.Clone(out.String()) // without the room that the builder has left
}

// Few lists some of the names of what is trusted.
func Few(names []string) string {
	const most = 3
	if len(names) == 0 {
		return "none: the trust root has none"
	}
	out := make([]string, 0, most)
	for _, name := range names[:min(len(names), most)] {
		if len(name) > 100 {
			name = strings.ToValidUTF8(name[:100], "") + "…"
		}
		out = append(out, name)
	}
	text := strings.Join(out, ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}
