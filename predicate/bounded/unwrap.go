package bounded

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// The types of in-toto statements that are read.
const (
	statementV01 = "https://in-toto.io/Statement/v0.1"
	statementV1  = "https://in-toto.io/Statement/v1"
)

// maxWraps is how often a document is taken out of something: a statement around
// cosign's {"Data": "…"} are three times.
const maxWraps = 4

// Custom are the types that cosign gives predicates it does not know, by version.
func Custom() []string {
	return []string{"https://cosign.sigstore.dev/attestation/v1", "cosign.sigstore.dev/attestation/v1"}
}

// Unwrap checks a document and takes it out of what cosign and in-toto put around
// it: a JSON string, {"Data": …, "Timestamp": …}, a statement with one of the
// predicate types. What it returns is checked.
func Unwrap(data []byte, predicateTypes []string) ([]byte, error) {
	for range maxWraps {
		if err := Check(data); err != nil {
			return nil, err
		}
		data = bytes.TrimSpace(data)
		inner, err := inside(data, predicateTypes)
		if err != nil || inner == nil {
			return data, err
		}
		data = inner
	}
	return nil, Refuse(Malformed, "", "got a document wrapped more than %d times, want at most that", maxWraps-1)
}

// inside returns what a checked document is put around, nil for the document itself.
func inside(data []byte, predicateTypes []string) ([]byte, error) {
	switch data[0] {
	case '"':
		var text string
		if err := Decode(data, &text); err != nil {
			return nil, err
		}
		return []byte(text), nil
	case '{':
		var fields map[string]Raw
		if err := Decode(data, &fields); err != nil {
			return nil, err
		}
		if _, ok := fields["_type"]; ok {
			statement, err := ReadStatement(data)
			if err == nil && !slices.Contains(predicateTypes, statement.PredicateType) {
				return nil, wrongType(statement.PredicateType, predicateTypes)
			}
			return statement.Predicate, err
		}
		data, ok := fields["Data"]
		delete(fields, "Data")
		delete(fields, "Timestamp")
		if !ok || len(fields) > 0 {
			return nil, nil
		}
		return data, nil
	}
	return nil, Refuse(Malformed, "", "got no object, want a document")
}

func wrongType(got string, want []string) error {
	return Refuse(Unsupported, "predicateType", "got %s, want %s", Quoted(got), oneOf(want))
}

// Statement is an in-toto statement.
type Statement struct {
	Type          string `json:"_type"`
	PredicateType string `json:"predicateType"`
	Predicate     Raw    `json:"predicate"`
	Subject       []struct {
		Name   string            `json:"name"`
		URI    string            `json:"uri"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
}

// ReadStatement reads an in-toto statement of a document that [Check] accepts.
func ReadStatement(data []byte) (Statement, error) {
	var statement Statement
	if err := Decode(data, &statement); err != nil {
		return Statement{}, err
	}
	if statement.Type != statementV01 && statement.Type != statementV1 {
		return Statement{}, Refuse(Unsupported, "_type", "got %s, want %s", Quoted(statement.Type), oneOf([]string{statementV01, statementV1}))
	}
	if statement.Predicate == nil {
		return Statement{}, Refuse(Malformed, "predicate", "got none, want one")
	}
	return statement, nil
}

// oneOf lists what is wanted.
func oneOf(want []string) string {
	out := ""
	for i, text := range want {
		switch {
		case i == 0:
		case i == len(want)-1:
			out += " or "
		default:
			out += ", "
		}
		out += text
	}
	return out
}

// maxQuoted is how much of a text stands in a message.
const maxQuoted = 128

// Quoted is a text of a stranger as it stands in a message: quoted, and cut where
// it is long.
func Quoted(text string) string { return strconv.Quote(Cut(text)) }

// Cut is a text that is not longer than a message should be.
func Cut(text string) string {
	if len(text) > maxQuoted {
		return strings.ToValidUTF8(text[:maxQuoted], "") + "…"
	}
	return text
}
