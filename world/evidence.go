package world

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"time"

	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

const (
	intotoPayloadType = "application/vnd.in-toto+json"
	// signPredicateType marks the statement that is cosign 3's image signature.
	signPredicateType = "https://sigstore.dev/cosign/sign/v1"
)

// claim is what a signer says about an image.
type claim struct {
	repository    string // with the registry
	digest        string
	payloadType   string // empty for cosign's simple signing, which has no envelope
	statementType string
	predicateType string
	predicate     json.RawMessage
}

// payload is the bytes to be signed, or to be put into an envelope.
func (c claim) payload() ([]byte, error) {
	if c.payloadType == "" {
		return json.Marshal(object{
			"critical": object{
				"identity": object{"docker-reference": c.repository},
				"image":    object{"docker-manifest-digest": c.digest},
				"type":     "cosign container image signature",
			},
			"optional": nil,
		})
	}
	return json.Marshal(object{
		"_type":         c.statementType,
		"subject":       []object{{"name": c.repository, "digest": object{"sha256": c.digest[len("sha256:"):]}}},
		"predicateType": c.predicateType,
		"predicate":     c.predicate,
	})
}

// envelope is a DSSE envelope with one signature.
type envelope struct {
	PayloadType string              `json:"payloadType"`
	Payload     []byte              `json:"payload"`
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// encode is the envelope's JSON. It cannot go wrong: there is nothing in it but
// strings and bytes.
func (e envelope) encode() []byte {
	data, _ := json.Marshal(e)
	return data
}

// preAuthenticationEncoding is what an envelope's signature is over: DSSE v1.0.2,
// "PAE(type, body)".
func preAuthenticationEncoding(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// evidence is a signed claim with all that proves who made it and when.
type evidence struct {
	claim     claim
	payload   []byte
	signature []byte
	verifier  verifier
	chain     []*x509.Certificate // of the verifier's certificate, leaf excluded
	entry     *rekorpb.TransparencyLogEntry
	timestamp []byte

	format           Format
	copies           int
	blankCertificate bool
	entryNotAString  bool
}

func (e evidence) envelope() *envelope {
	if e.claim.payloadType == "" {
		return nil
	}
	return &envelope{
		PayloadType: e.claim.payloadType,
		Payload:     e.payload,
		Signatures:  []envelopeSignature{{Sig: e.signature}},
	}
}

// recipe is how one piece of evidence is made. [Fault.apply] changes it.
type recipe struct {
	claim  claim
	format Format
	entry  Entry
	copies int

	signer  Signer
	key     *ecdsa.PrivateKey // of a key signer; a keyless one draws a new key
	fulcio  *fulcio           // nil for a key signer
	ctLog   *ctLog            // nil: no SCT
	age     time.Duration     // from the certificate to the clock
	logName Log
	log     transparencyLog // nil: no entry
	tsa     *tsa            // nil: no timestamp

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
	key, err := r.credentials(&e, clock)
	if err != nil {
		return e, err
	}
	if e.payload, err = r.claim.payload(); err != nil {
		return e, fmt.Errorf("encode payload: %w", err)
	}
	signed := e.signed()
	if e.signature, err = signBytes(key, signed); err != nil {
		return e, err
	}
	if r.tamperSignature {
		e.signature = flipLastBit(e.signature)
	}
	if err := r.logEntry(&e, key, clock); err != nil {
		return e, err
	}
	if err := r.stamp(&e, clock); err != nil {
		return e, err
	}
	if r.tamperPayload {
		e.payload = append(e.payload, '\n')
	}
	if r.withoutCertificate {
		e.verifier, e.chain = verifier{}, nil
	}
	return e, nil
}

// signed is what the signature is over.
func (e evidence) signed() []byte {
	if e.claim.payloadType == "" {
		return e.payload
	}
	return preAuthenticationEncoding(e.claim.payloadType, e.payload)
}

// credentials finds or makes the key, and the certificate of a keyless signer.
func (r *recipe) credentials(e *evidence, clock time.Time) (*ecdsa.PrivateKey, error) {
	key := r.key
	var err error
	if r.fulcio != nil {
		if key, err = newKey(); err != nil {
			return nil, err
		}
		leaf, err := r.fulcio.issue(r.signer, key, clock.Add(-r.age), r.ctLog)
		if err != nil {
			return nil, err
		}
		e.verifier.certificate = leaf.Raw
		e.chain = certificates(r.fulcio.intermediate, r.fulcio.root)
	}
	e.verifier.publicKey, err = x509.MarshalPKIXPublicKey(&key.PublicKey)
	return key, err
}

func (r *recipe) logEntry(e *evidence, key *ecdsa.PrivateKey, clock time.Time) error {
	if r.log == nil {
		return nil
	}
	subject := *e
	if r.otherEntry {
		subject.payload = append([]byte(" "), e.payload...)
		signature, err := signBytes(key, subject.signed())
		if err != nil {
			return err
		}
		subject.signature = signature
	}
	entry, err := r.log.enter(submission{
		signed: subject.signed(), signature: subject.signature, verifier: e.verifier,
		envelope: subject.envelope(), entry: r.entry,
	}, clock)
	if err != nil {
		return err
	}
	if r.tamperPromise {
		entry.InclusionPromise.SignedEntryTimestamp = flipLastBit(entry.InclusionPromise.SignedEntryTimestamp)
	}
	e.entry = entry
	return nil
}

// stamp timestamps the signature; of a legacy attestation the whole envelope,
// because cosign has no other place where its signature would stand.
func (r *recipe) stamp(e *evidence, clock time.Time) (err error) {
	if r.tsa == nil {
		return nil
	}
	data := e.signature
	if envelope := e.envelope(); envelope != nil && r.format == Legacy {
		data = envelope.encode()
	}
	e.timestamp, err = r.tsa.stamp(data, clock)
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

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func certificates(list ...*x509.Certificate) []*x509.Certificate { return list }

// keyHint is how a bundle names a bare key: cosign's, the hash of the key.
func (v verifier) keyHint() string {
	sum := sha256.Sum256(v.publicKey)
	return base64.StdEncoding.EncodeToString(sum[:])
}
