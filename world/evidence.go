package world

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/assay-dev/assay/world/sigstore"
)

const (
	intotoPayloadType = "application/vnd.in-toto+json"
	// signPredicateType marks the statement that is cosign 3's image signature.
	signPredicateType = "https://sigstore.dev/cosign/sign/v1"
)

const (
	// issuedBefore is how long before the clock a certificate is issued.
	issuedBefore = 5 * time.Second
	// expiredAge leaves fifty minutes between a certificate's end and the clock.
	expiredAge = sigstore.LeafLifetime + 50*time.Minute
)

// claim is what a signer says about an image.
type claim struct {
	repository string // with the registry
	image      descriptor
	content    Content
	// Of a statement; without a payload type there is no envelope.
	payloadType   string
	statementType string
	predicateType string
	predicate     json.RawMessage
}

// object is JSON; encoding/json writes its keys in order.
type object = map[string]any

// payload is the bytes to be signed, or to be put into an envelope: the image
// itself, cosign's simple signing, or a statement.
func (c claim) payload() ([]byte, error) {
	switch {
	case c.content == Message:
		return c.image.content, nil
	case c.payloadType == "":
		return json.Marshal(object{
			"critical": object{
				"identity": object{"docker-reference": c.repository},
				"image":    object{"docker-manifest-digest": c.image.Digest},
				"type":     "cosign container image signature",
			},
			"optional": nil,
		})
	default:
		return json.Marshal(object{
			"_type":         c.statementType,
			"subject":       []object{{"name": c.repository, "digest": object{"sha256": c.image.Digest[len("sha256:"):]}}},
			"predicateType": c.predicateType,
			"predicate":     c.predicate,
		})
	}
}

// evidence is a signed claim on its way into a registry.
type evidence struct {
	*sigstore.Evidence
	claim  claim
	format Format
	copies int

	blankCertificate bool
	entryNotAString  bool
}

// transparencyLog is what both generations of Rekor have in common.
type transparencyLog interface {
	Enter(e *sigstore.Evidence, kind sigstore.Kind, at time.Time) error
}

var (
	_ transparencyLog = (*sigstore.Rekor)(nil)
	_ transparencyLog = (*sigstore.Rekor2)(nil)
)

// recipe is how one piece of evidence is made. [Fault.apply] changes it.
type recipe struct {
	claim  claim
	format Format
	entry  Entry
	copies int

	key      *sigstore.Signer // nil for a keyless signer
	identity sigstore.Identity
	ca       *sigstore.CA    // nil for a key signer
	ctLog    *sigstore.CTLog // nil: no SCT
	age      time.Duration   // from the certificate to the clock
	logName  Log
	log      transparencyLog // nil: no entry
	tsa      *sigstore.TSA   // nil: no timestamp

	withoutCertificate bool
	blankCertificate   bool
	entryNotAString    bool
	otherEntry         bool
	tamperPromise      bool
	tamperPayload      bool
	tamperSignature    bool
}

// promises says whether the log gives signed entry timestamps.
func (r *recipe) promises() bool { return r.log != nil && r.logName != Rekor2 }

// mint follows the recipe: certificate, signature, log entry, timestamp.
func (r *recipe) mint(clock time.Time) (evidence, error) {
	e := evidence{
		claim: r.claim, format: r.format, copies: r.copies,
		blankCertificate: r.blankCertificate, entryNotAString: r.entryNotAString,
	}
	signer, err := r.signer(clock)
	if err != nil {
		return e, err
	}
	payload, err := r.claim.payload()
	if err != nil {
		return e, fmt.Errorf("encode payload: %w", err)
	}
	if e.Evidence, err = signer.Sign(r.claim.payloadType, payload); err != nil {
		return e, err
	}
	if r.tamperSignature {
		e.Signature = flipLastBit(e.Signature)
	}
	if err := r.enter(&e, signer, clock); err != nil {
		return e, err
	}
	if err := r.stamp(&e, clock); err != nil {
		return e, err
	}
	if r.tamperPayload {
		e.Payload = append(e.Payload[:len(e.Payload):len(e.Payload)], '\n')
	}
	if r.withoutCertificate {
		e.Verifier = sigstore.Verifier{}
	}
	return e, nil
}

// signer is the one with the key, or a keyless one with a new certificate.
func (r *recipe) signer(clock time.Time) (*sigstore.Signer, error) {
	if r.key != nil {
		return r.key, nil
	}
	return r.ca.Issue(r.identity, clock.Add(-r.age), r.ctLog)
}

func (r *recipe) enter(e *evidence, signer *sigstore.Signer, clock time.Time) error {
	if r.log == nil {
		return nil
	}
	logged := e.Evidence
	if r.otherEntry {
		var err error
		if logged, err = signer.Sign(e.PayloadType, append([]byte(" "), e.Payload...)); err != nil {
			return err
		}
	}
	if err := r.log.Enter(logged, sigstore.Kind(r.entry), clock); err != nil {
		return err
	}
	e.Entry = logged.Entry
	if r.tamperPromise {
		e.Entry.InclusionPromise.SignedEntryTimestamp = flipLastBit(e.Entry.InclusionPromise.SignedEntryTimestamp)
	}
	return nil
}

// stamp timestamps the signature; of a legacy attestation the whole envelope,
// because cosign has no other place where its signature would stand.
func (r *recipe) stamp(e *evidence, clock time.Time) (err error) {
	if r.tsa == nil {
		return nil
	}
	data := e.Signature
	if e.PayloadType != "" && r.format == Legacy {
		data = e.Envelope()
	}
	e.Timestamp, err = r.tsa.Stamp(data, clock)
	return err
}

func flipLastBit(data []byte) []byte {
	flipped := append([]byte(nil), data...)
	flipped[len(flipped)-1] ^= 1
	return flipped
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
