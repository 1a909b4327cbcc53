// Package statement reads what was signed about an image: in-toto statements and
// simple signing payloads. There is one reading of each: what two parsers could read
// in two ways is refused.
package statement

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// PayloadType is the only payload type of an attestation's envelope.
const PayloadType = "application/vnd.in-toto+json"

// Statement is the part of an in-toto statement that is decided on; Raw is the
// whole of it, for policies.
type Statement struct {
	PredicateType string
	Subjects      []map[string]string // the digests of each, by algorithm
	Raw           json.RawMessage
}

// Parse reads the payload of an envelope. There is one reading of it:
// the keys that decide stand only once and are written exactly so, or the
// statement is refused, so that no other parser can see another one in the same
// bytes.
func Parse(payload []byte) (*Statement, error) {
	keys, err := object(payload, "statement", "_type", "predicateType", "subject", "predicate")
	if err != nil {
		return nil, err
	}
	out := &Statement{Raw: payload}
	var kind string
	if err := into(keys["_type"], &kind); err != nil {
		return nil, fmt.Errorf("statement _type: %w", err)
	}
	if kind != "https://in-toto.io/Statement/v1" && kind != "https://in-toto.io/Statement/v0.1" {
		return nil, fmt.Errorf("statement _type: got %q, want https://in-toto.io/Statement/v1 or v0.1", shorten(kind))
	}
	if err := into(keys["predicateType"], &out.PredicateType); err != nil {
		return nil, fmt.Errorf("statement predicateType: %w", err)
	}
	if out.PredicateType == "" {
		return nil, errors.New("statement predicateType: got none")
	}
	var subjects []json.RawMessage
	if err := into(keys["subject"], &subjects); err != nil {
		return nil, fmt.Errorf("statement subject: %w", err)
	}
	for _, subject := range subjects {
		digests, err := subjectDigests(subject)
		if err != nil {
			return nil, err
		}
		out.Subjects = append(out.Subjects, digests)
	}
	return out, nil
}

func subjectDigests(subject []byte) (map[string]string, error) {
	keys, err := object(subject, "statement subject", "name", "digest")
	if err != nil {
		return nil, err
	}
	if _, ok := keys["digest"]; !ok {
		return nil, nil
	}
	algorithms, err := object(keys["digest"], "statement subject digest")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for algorithm, value := range algorithms {
		var hex string
		if err := into(value, &hex); err != nil {
			return nil, fmt.Errorf("statement subject digest: %w", err)
		}
		out[algorithm] = hex
	}
	return out, nil
}

// Names reports whether the statement is about the digest. An empty digest, or
// one of another algorithm, names nothing.
func (s *Statement) Names(digest v1.Hash) bool {
	for _, subject := range s.Subjects {
		if hex := subject[digest.Algorithm]; hex != "" && hex == digest.Hex {
			return true
		}
	}
	return false
}

// ClaimedDigest reads which image a simple signing payload is about, with the
// same one reading.
func ClaimedDigest(payload []byte) (digest string, _ error) {
	value := json.RawMessage(payload)
	for _, name := range []string{"critical", "image", "docker-manifest-digest"} {
		keys, err := object(value, "payload", name)
		if err != nil {
			return "", err
		}
		value = keys[name]
	}
	if err := into(value, &digest); err != nil {
		return "", fmt.Errorf("payload docker-manifest-digest: %w", err)
	}
	return digest, nil
}

// object reads a JSON object, and refuses one in which a key stands twice or
// differs from one of the names by its case only: encoding/json takes the last
// of all such keys for a field, other parsers take another.
func object(data []byte, what string, names ...string) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	} else if token != json.Delim('{') {
		return nil, fmt.Errorf("%s: got %.20v, want an object", what, token)
	}
	out := map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		key, _ := token.(string)
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("%s: key %q stands twice", what, shorten(key))
		}
		for _, name := range names {
			if key != name && strings.EqualFold(key, name) {
				return nil, fmt.Errorf("%s: got key %q, want %q", what, shorten(key), name)
			}
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		out[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: got more after the end of the object", what)
	}
	return out, nil
}

// into decodes the value of a key that must be there.
func into(value json.RawMessage, out any) error {
	if len(value) == 0 {
		return errors.New("got none")
	}
	return json.Unmarshal(value, out)
}

// FromEnvelope reads the statement in an envelope, whose signature is for the caller to
// verify.
func FromEnvelope(envelope *dsse.Envelope) (*Statement, error) {
	if envelope.PayloadType != PayloadType {
		return nil, fmt.Errorf("invalid payloadType %s on envelope. Expected %s", shorten(envelope.PayloadType), PayloadType)
	}
	// The same decoding as the verification of the envelope: what was signed is what is read.
	payload, err := envelope.DecodeB64Payload()
	if err != nil {
		return nil, fmt.Errorf("envelope payload: %w", err)
	}
	return Parse(payload)
}

// shorten keeps a hostile value from filling a log.
func shorten(text string) string {
	const longest = 60
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
