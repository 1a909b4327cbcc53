// Package slsa reads SLSA provenance v0.2 and v1 as one shape: who built what from
// which source. It reads what the predicate says and fills nothing in: provenance
// is as true as the signature that carries it.
//
// The older v0.1 and the drafts of v1 are refused with the code unsupported.
package slsa

import (
	"bytes"
	"errors"

	"github.com/assay-dev/assay/predicate/bounded"
)

// The predicate types that are read, compared exactly.
const (
	TypeV02 = "https://slsa.dev/provenance/v0.2"
	TypeV1  = "https://slsa.dev/provenance/v1"
)

// Provenance is a predicate. Text and lists are always there, and empty where the
// predicate says nothing.
type Provenance struct {
	// Version is that of the predicate, 0.2 or 1.
	Version      string  `json:"version"`
	Builder      Builder `json:"builder"`
	BuildType    string  `json:"build_type"`
	InvocationID string  `json:"invocation_id"`
	Source       Source  `json:"source"`
	// Materials are those of v0.2, and the resolved dependencies of v1.
	Materials  []Material `json:"materials"`
	Parameters Parameters `json:"parameters"`
	// StartedOn and FinishedOn are RFC 3339, and absent where the predicate does
	// not say.
	StartedOn  string `json:"started_on,omitempty"`
	FinishedOn string `json:"finished_on,omitempty"`
	// Subjects are those of the statement; empty where only a predicate was read.
	Subjects []Material `json:"subjects"`
}

// Builder is who built.
type Builder struct {
	ID string `json:"id"`
	// Version is the version of each component of the builder: v1 only.
	Version map[string]string `json:"version"`
}

// Source is what was built. In v0.2 it is invocation.configSource. In v1 it depends
// on the build type: GitHub's workflows and Google's triggered builds are known, and
// for every other it is empty.
type Source struct {
	// URI is as written: in v0.2 often git+https://…@refs/….
	URI string `json:"uri"`
	// Repository is the URI without git+, and without what follows the @ behind the
	// path.
	Repository string `json:"repository"`
	// Ref is what follows that @, or the ref that v1 has by itself.
	Ref string `json:"ref"`
	// Digest is of the source itself, from the material with the same URI where
	// the source has none.
	Digest map[string]string `json:"digest"`
	// Workflow is the entry point: the path of the workflow in the repository.
	Workflow string `json:"workflow"`
}

// Material is something that went into the build.
type Material struct {
	Name   string            `json:"name"`
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// Parameters are free-form JSON: an object, or null where there are none.
type Parameters struct {
	// External is externalParameters of v1, invocation.parameters of v0.2.
	External bounded.Raw `json:"external"`
	// Internal is internalParameters of v1, invocation.environment of v0.2.
	Internal bounded.Raw `json:"internal"`
}

// FromStatement reads the provenance of an in-toto statement, v0.1 or v1, by its
// predicate type. The error is a *bounded.Error.
func FromStatement(statement []byte) (Provenance, error) {
	if err := bounded.Check(statement); err != nil {
		return Provenance{}, err
	}
	read, err := bounded.ReadStatement(statement)
	if err != nil {
		return Provenance{}, err
	}
	provenance, err := fromChecked(read.Predicate, read.PredicateType)
	var refusal *bounded.Error
	if errors.As(err, &refusal) && refusal.Path != typePath {
		err = bounded.Within("predicate", err)
	}
	if err != nil {
		return Provenance{}, err
	}
	for _, subject := range read.Subject {
		provenance.Subjects = append(provenance.Subjects, Material{Name: subject.Name, URI: subject.URI, Digest: digests(subject.Digest)})
	}
	return provenance, nil
}

// FromPredicate reads a predicate of the given type. The error is a *bounded.Error.
func FromPredicate(predicate []byte, predicateType string) (Provenance, error) {
	if err := bounded.Check(predicate); err != nil {
		return Provenance{}, err
	}
	return fromChecked(predicate, predicateType)
}

const typePath = "predicateType"

func fromChecked(predicate []byte, predicateType string) (Provenance, error) {
	if bounded.Raw(bytes.TrimSpace(predicate)).Absent() { // which would decode as an empty one
		return Provenance{}, bounded.Refuse(bounded.Malformed, "", "got null, want an object")
	}
	var provenance Provenance
	var err error
	switch predicateType {
	case TypeV02:
		provenance, err = readV02(predicate)
	case TypeV1:
		provenance, err = readV1(predicate)
	default:
		err = bounded.Refuse(bounded.Unsupported, typePath, "got %s, want %s or %s", bounded.Quoted(predicateType), TypeV02, TypeV1)
	}
	if err != nil {
		return Provenance{}, err
	}
	provenance.Subjects = []Material{}
	return provenance, nil
}
