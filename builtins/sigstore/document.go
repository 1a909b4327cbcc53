package sigstore

import (
	"encoding/json"
	"fmt"

	"github.com/in-toto/in-toto-golang/in_toto"
	"github.com/sigstore/cosign/v2/pkg/cosign/attestation"
)

// anyStatement is the statement whose predicate cosign has no type for.
type anyStatement struct {
	Type          string    `json:"_type"`
	PredicateType string    `json:"predicateType"`
	Subject       []subject `json:"subject"`
	Predicate     any       `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Document is a statement as the policy of an attestation sees it (ATT-5): the
// in-toto statement through cosign's Go types, so that a policy finds the fields
// that policy-controller shows, and no others. asked is the predicate type as the
// policy wrote it: by a short name the predicate has a type as well, by a URI it
// is any JSON.
func Document(statement []byte, asked string) (json.RawMessage, error) {
	var out any
	name := "Statement"
	switch asked {
	case "link":
		out, name = &in_toto.LinkStatement{}, "LinkStatement"
	case "slsaprovenance":
		out, name = &in_toto.ProvenanceStatementSLSA02{}, "ProvenanceStatementSLSA02"
	case "spdx", "spdxjson":
		out, name = &in_toto.SPDXStatement{}, "SPDXStatement"
	case "cyclonedx":
		out, name = &in_toto.CycloneDXStatement{}, "CycloneDXStatement"
	case "vuln":
		out, name = &attestation.CosignVulnStatement{}, "CosignVulnStatement"
	default:
		out = &anyStatement{}
	}
	if err := json.Unmarshal(statement, out); err != nil {
		return nil, fmt.Errorf("unmarshaling %s: %w", name, err)
	}
	return json.Marshal(out)
}
