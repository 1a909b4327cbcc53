package declare

// Code is the closed list of what can go wrong, as policies see it.
type Code string

// The codes. Each builtin documents which of them it answers.
const (
	NotFound         Code = "not_found"
	Unauthorized     Code = "unauthorized"
	RateLimited      Code = "rate_limited"
	Timeout          Code = "timeout"
	Unreachable      Code = "unreachable"
	ForbiddenHost    Code = "forbidden_host"
	Malformed        Code = "malformed"
	DigestMismatch   Code = "digest_mismatch"
	NoSignatures     Code = "no_signatures"
	IdentityMismatch Code = "identity_mismatch"
	UntrustedRoot    Code = "untrusted_root"
	Expired          Code = "expired"
	TLog             Code = "tlog"
	Timestamp        Code = "timestamp"
	Unsupported      Code = "unsupported"
	TooLarge         Code = "too_large"
	NotCompliant     Code = "not_compliant"
	Unresolved       Code = "unresolved"
)

// Problem is why a builtin has no better answer.
type Problem struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Refuse makes a problem.
func Refuse(code Code, message string) *Problem { return &Problem{Code: code, Message: message} }

// Kept reports whether an answer with this problem may serve again: that
// something is not there holds for a moment, everything else is asked anew.
func (p *Problem) Kept() bool { return p.Code == NotFound || p.Code == NoSignatures }
