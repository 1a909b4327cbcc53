package slsa_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/predicate/slsa"
)

// fact is one entry of facts.json: what a certificate says of an attestation.
type fact struct {
	PredicateType string     `json:"predicateType"`
	Subject       string     `json:"subject"`
	SAN           [][]string `json:"SAN"`
	Repository    string     `json:"github_workflow_repository (5)"`
	Ref           string     `json:"github_workflow_ref (6)"`
	Commit        string     `json:"github_workflow_sha (3)"`
}

// TestConformanceProvenance reads the provenance of real images and compares it with
// what the certificates of its signers say: the generator of SLSA's own project is
// the signer and the builder, and its source is where the workflow ran.
func TestConformanceProvenance(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: no real provenance to read")
	}
	var facts map[string]struct {
		Entries []fact `json:"entries"`
	}
	text, err := os.ReadFile(filepath.Join(data, "images", "facts.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &facts); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, pattern := range []string{"images/*", "images/generated/*", "images/referrers/*"} {
		layouts, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, layout := range layouts {
			for i, statement := range statements(t, layout) {
				if !strings.Contains(string(statement), `"https://slsa.dev/provenance/`) {
					continue
				}
				tried++
				t.Run(fmt.Sprintf("%s %d", filepath.Base(layout), i), func(t *testing.T) {
					t.Parallel()
					got, err := slsa.FromStatement(statement)
					if err != nil {
						t.Fatal(err)
					}
					for _, f := range facts[filepath.Base(layout)].Entries {
						if strings.HasPrefix(f.PredicateType, "https://slsa.dev/") {
							compare(t, got, f)
						}
					}
				})
			}
		}
	}
	if tried < 13 {
		t.Errorf("got %d statements of provenance, want at least 13", tried)
	}
}

func compare(t *testing.T, got slsa.Provenance, want fact) {
	t.Helper()
	if version := "https://slsa.dev/provenance/v" + got.Version; version != want.PredicateType {
		t.Errorf("got %s, want %s", version, want.PredicateType)
	}
	if len(got.Subjects) != 1 || got.Subjects[0].Name != want.Subject {
		t.Errorf("got %v, want %s", got.Subjects, want.Subject)
	}
	if want.Repository == "" {
		return // a private Sigstore, whose signer is not the builder
	}
	if got.Builder.ID != want.SAN[0][1] {
		t.Errorf("builder: got %s, want %s", got.Builder.ID, want.SAN[0][1])
	}
	if want := "https://github.com/" + want.Repository; got.Source.Repository != want {
		t.Errorf("repository: got %s, want %s", got.Source.Repository, want)
	}
	if got.Source.Ref != want.Ref || got.Source.Digest["sha1"] != want.Commit {
		t.Errorf("got %s at %s, want %s at %s", got.Source.Ref, got.Source.Digest["sha1"], want.Ref, want.Commit)
	}
}

// statements are the payloads of all DSSE envelopes and bundles of a layout.
func statements(t *testing.T, layout string) [][]byte {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, name := range blobs {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var envelope struct {
			Payload string `json:"payload"`
			Inner   struct {
				Payload string `json:"payload"`
			} `json:"dsseEnvelope"`
		}
		if json.Unmarshal(data, &envelope) != nil {
			continue // a layer
		}
		payload, err := base64.StdEncoding.DecodeString(envelope.Payload + envelope.Inner.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if len(payload) > 0 {
			out = append(out, payload)
		}
	}
	return out
}
