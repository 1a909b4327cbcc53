package sigstore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/assay-dev/assay/builtins/sigstore/miss"
)

// Code names why evidence was refused. The codes are part of the closed list
// that package builtins documents.
type Code string

// The codes of this package, from the farthest away to the nearest miss: of
// several refusals the one with the highest rank is reported.
const (
	NoSignatures     Code = "no_signatures"
	TooLarge         Code = "too_large"
	Unsupported      Code = "unsupported"
	Malformed        Code = "malformed"
	DigestMismatch   Code = "digest_mismatch"
	TLog             Code = "tlog"
	Timestamp        Code = "timestamp"
	UntrustedRoot    Code = "untrusted_root"
	Expired          Code = "expired"
	IdentityMismatch Code = "identity_mismatch"
	// NotFound says that there are verified attestations, none of the type asked for.
	NotFound Code = "not_found"
)

// rank orders the codes. Those of a registry, which kept evidence from being
// looked at, come last of all: what could not be had may have been the good one.
func (c Code) rank() int {
	codes := []Code{
		NoSignatures, TooLarge, Unsupported, Malformed, DigestMismatch, TLog, Timestamp,
		UntrustedRoot, Expired, IdentityMismatch, NotFound,
	}
	if i := slices.Index(codes, c); i >= 0 {
		return i
	}
	return len(codes)
}

// The longest texts, in bytes: libraries repeat what they could not read, and
// whoever may push to a repository would fill logs and answers with it.
const (
	longestMessage = 1 << 10
	longestSummary = 4 << 10
)

// Refusal is the outcome of evidence that does not satisfy a [Check]. It is an
// answer, not a failure of the program.
type Refusal struct {
	Code    Code
	Message string
	// Misses are the pieces of evidence that were looked at, the nearest first; none
	// where there were none, or where none was looked at.
	Misses []miss.Miss
}

// Reason is the code of a refusal, and of none the empty one.
func (r *Refusal) Reason() Code {
	if r == nil {
		return ""
	}
	return r.Code
}

// Error makes a Refusal usable where an error is expected.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Message }

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: cut(fmt.Sprintf(format, args...), longestMessage)}
}

func cut(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}

// nearest sums up why none of several signatures passed: the code of the
// nearest miss, and every distinct message in order.
func (c *Check) nearest(prefix string, all []refused) *Refusal {
	out := &Refusal{Code: Malformed, Misses: c.missed(all)}
	seen := map[string]bool{}
	var messages []string
	for i, one := range all {
		r := one.refusal
		if i == 0 || r.Code.rank() > out.Code.rank() {
			out.Code = r.Code
		}
		if !seen[r.Message] {
			seen[r.Message] = true
			messages = append(messages, r.Message)
		}
	}
	// policy-controller joins the causes of several signatures this way (2.3).
	out.Message = cut(prefix+": "+strings.Join(messages, "\n "), longestSummary)
	return out
}
