package exchange

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/assay-dev/assay/builtins/oci"
)

// Record is an exchange as it is written: bytes stand in it by their digest.
type Record struct {
	Call
	Answer json.RawMessage `json:"answer,omitempty"`
	Error  *Refusal        `json:"error,omitempty"`
}

// Refusal is why there is no answer.
type Refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// list and layer are oci.List and oci.Layer as they are written.
type list struct {
	Digest string   `json:"digest"`
	Where  []string `json:"where,omitempty"`
	Layers []layer  `json:"layers,omitempty"`
}

type layer struct {
	MediaType   string            `json:"mediaType,omitempty"`
	Digest      string            `json:"digest,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Content     *string           `json:"content,omitempty"`
	Error       *Refusal          `json:"error,omitempty"`
}

// Written is the exchange to be written. keep takes bytes and gives their digest.
func (e Exchange) Written(keep func([]byte) string) (Record, error) {
	out := Record{Call: e.Call, Error: written(e.Err)}
	if e.Err != nil {
		return out, nil
	}
	var value any
	switch answer := e.Answer.(type) {
	case []byte:
		value = keep(answer)
	case oci.List:
		value = listOf(answer, keep)
	default:
		value = answer
	}
	var err error
	if out.Answer, err = json.Marshal(value); err != nil {
		return out, fmt.Errorf("exchange %s: %w", e.Call, err)
	}
	return out, nil
}

func written(err *oci.Error) *Refusal {
	if err == nil {
		return nil
	}
	return &Refusal{string(err.Code), err.Message}
}

func listOf(answer oci.List, keep func([]byte) string) list {
	out := list{Digest: answer.Digest, Where: answer.Where}
	for _, l := range answer.Layers {
		one := layer{MediaType: l.MediaType, Digest: l.Digest, Annotations: l.Annotations, Error: written(l.Err)}
		if l.Err == nil {
			digest := keep(l.Content)
			one.Content = &digest
		}
		out.Layers = append(out.Layers, one)
	}
	return out
}

// read is the reverse of [Exchange.Written] for a type of answers.
func read[V any](r Record, blobs func(digest string) ([]byte, error)) (out V, err error) {
	if r.Error != nil {
		return out, refused(r.Error)
	}
	switch into := any(&out).(type) {
	case *[]byte:
		*into, err = blob(r.Answer, blobs)
		if _, named, found := strings.Cut(r.Ref, "@"); err == nil && found {
			err = sameDigest(named, *into)
		}
	case *oci.List:
		*into, err = readList(r.Answer, blobs)
	default:
		err = strictly(r.Answer, into)
	}
	return out, err
}

func refused(r *Refusal) *oci.Error { return &oci.Error{Code: oci.Code(r.Code), Message: r.Message} }

func blob(digest json.RawMessage, blobs func(string) ([]byte, error)) ([]byte, error) {
	var name string
	if err := strictly(digest, &name); err != nil {
		return nil, err
	}
	return blobs(name)
}

func readList(answer json.RawMessage, blobs func(string) ([]byte, error)) (out oci.List, err error) {
	var in list
	if err := strictly(answer, &in); err != nil {
		return out, err
	}
	out = oci.List{Digest: in.Digest, Where: in.Where}
	for _, l := range in.Layers {
		one := oci.Layer{MediaType: l.MediaType, Digest: l.Digest, Annotations: l.Annotations}
		switch {
		case l.Error != nil:
			one.Err = refused(l.Error)
		case l.Content == nil:
			return out, fmt.Errorf("layer %s: got neither content nor an error", l.Digest)
		default:
			if one.Content, err = blobs(*l.Content); err == nil {
				err = sameDigest(l.Digest, one.Content)
			}
			if err != nil {
				return out, err
			}
		}
		out.Layers = append(out.Layers, one)
	}
	return out, nil
}

// sameDigest holds content to the digest that it was asked by: a record cannot put
// other bytes in the place of those.
func sameDigest(want string, content []byte) error {
	sum := sha256.Sum256(content)
	if got := "sha256:" + hex.EncodeToString(sum[:]); want != got {
		return fmt.Errorf("content: got digest %s, want %s", got, want)
	}
	return nil
}

func strictly(text json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// size estimates the bytes of an answer.
func size(answer any) (n int64) {
	switch answer := answer.(type) {
	case string:
		return int64(len(answer))
	case []byte:
		return int64(len(answer))
	case json.RawMessage:
		return int64(len(answer))
	case map[string]json.RawMessage:
		for _, text := range answer {
			n += int64(len(text)) + 64
		}
	case oci.List:
		for _, l := range answer.Layers {
			n += int64(len(l.Content)) + 512
			for name, value := range l.Annotations {
				n += int64(len(name)+len(value)) + 64
			}
		}
	default:
		if text, err := json.Marshal(answer); err == nil {
			return int64(len(text))
		}
	}
	return n
}
