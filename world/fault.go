package world

import (
	"fmt"

	"github.com/assay-dev/assay/world/sigstore"
)

// Fault is the one thing that is wrong with a piece of evidence. All else about
// it is right, so that a verifier which overlooks the fault accepts it.
type Fault string

// The faults.
const (
	// Expired evidence was logged fifty minutes after its certificate ran out.
	Expired Fault = "expired"
	// MissingSCT evidence has a certificate that is in no certificate log.
	MissingSCT Fault = "missing-sct"
	// WrongCTLog evidence has a certificate of which only a stranger's log knows.
	WrongCTLog Fault = "wrong-ct-log"
	// NoEntry evidence was never logged.
	NoEntry Fault = "no-log"
	// WrongLog evidence was logged by a stranger.
	WrongLog Fault = "wrong-log"
	// SETTampered evidence has one wrong bit in the signed entry timestamp.
	SETTampered Fault = "set-tampered"
	// OtherRoot evidence has a certificate of a stranger's authority.
	OtherRoot Fault = "other-root"
	// PayloadTampered evidence got one byte more after it was signed and logged;
	// of a message signature it is the digest that is of one byte more.
	PayloadTampered Fault = "payload-tampered"
	// SignatureTampered evidence has one wrong bit in the signature, and is logged so.
	SignatureTampered Fault = "signature-tampered"
	// OtherImage evidence is sound and about the digest of another image.
	OtherImage Fault = "other-image"
	// OtherEntry evidence shows the log entry of another signature of the same key.
	OtherEntry Fault = "other-entry"
	// CertificateMissing evidence has lost its certificate.
	CertificateMissing Fault = "certificate-missing"
	// WrongPayloadType evidence is an envelope that does not say in-toto.
	WrongPayloadType Fault = "wrong-payload-type"
	// BlankCertificate evidence has a certificate annotation of one space,
	// which crashes a careless verifier.
	BlankCertificate Fault = "blank-certificate"
	// EntryNotAString evidence has an object where the log entry's body should
	// be a string, which crashes a careless verifier.
	EntryNotAString Fault = "bundle-not-a-string"
	// UnknownTimestamp evidence was timestamped by a stranger.
	UnknownTimestamp Fault = "timestamp-unknown"
)

// Faults are all faults.
func Faults() []Fault {
	return []Fault{
		Expired, MissingSCT, WrongCTLog, NoEntry, WrongLog, SETTampered, OtherRoot, PayloadTampered,
		SignatureTampered, OtherImage, OtherEntry, CertificateMissing, WrongPayloadType,
		BlankCertificate, EntryNotAString, UnknownTimestamp,
	}
}

// apply changes the recipe so that exactly the fault comes out. It refuses a
// fault that the evidence has no place for: a missing SCT on a key's signature
// would be a story that tests nothing.
func (f Fault) apply(r *recipe, strangers *sigstore.Sigstore) error {
	switch f {
	case "":
		return nil
	case Expired:
		return r.onlyKeyless(f, func() { r.age = expiredAge })
	case MissingSCT:
		return r.onlyKeyless(f, func() { r.ctLog = nil })
	case WrongCTLog:
		return r.onlyKeyless(f, func() { r.ctLog = strangers.CTLog })
	case OtherRoot:
		return r.onlyKeyless(f, func() { r.ca = strangers.CA })
	case CertificateMissing:
		return r.onlyKeyless(f, func() { r.withoutCertificate = true })
	case BlankCertificate:
		return r.only(f, r.ca != nil && r.format == Legacy, "a keyless signer and the legacy format",
			func() { r.blankCertificate = true })
	case NoEntry:
		return r.only(f, r.log != nil, "a log", func() { r.log = nil })
	case WrongLog:
		return r.only(f, r.log != nil, "a log", func() { r.log = logOf(strangers, r.logName) })
	case OtherEntry:
		return r.only(f, r.log != nil, "a log", func() { r.otherEntry = true })
	case SETTampered:
		return r.only(f, r.promises(), "log: rekor", func() { r.tamperPromise = true })
	case EntryNotAString:
		return r.only(f, r.promises() && r.format == Legacy, "log: rekor and the legacy format",
			func() { r.entryNotAString = true })
	case WrongPayloadType:
		return r.only(f, r.claim.payloadType != "", "an envelope: an attestation, or a bundle without content: message",
			func() { r.claim.payloadType = "application/vnd.example+json" })
	case UnknownTimestamp:
		return r.only(f, r.tsa != nil, "timestamp: true", func() { r.tsa = strangers.TSA })
	case OtherImage:
		another := []byte("another image")
		r.claim.image = descriptor{Digest: digestOf(another), content: another}
		return nil
	case PayloadTampered:
		r.tamperPayload = true
		return nil
	case SignatureTampered:
		r.tamperSignature = true
		return nil
	default:
		return fmt.Errorf("got %q, want one of %q", string(f), Faults())
	}
}

func (r *recipe) onlyKeyless(f Fault, change func()) error {
	return r.only(f, r.ca != nil, "a keyless signer", change)
}

func (r *recipe) only(f Fault, fits bool, needs string, change func()) error {
	if !fits {
		return fmt.Errorf("%s needs %s", f, needs)
	}
	change()
	return nil
}
