// Package capsule is the file that one decision is recorded in: everything that it was
// made from, so that it can be made again, with no network, by whoever has the file.
//
// A capsule is a tar archive without compression. Its first member, capsule.json, says
// the version of the format and lists all other members with their size and SHA-256;
// the digest of a capsule is that of capsule.json. What registries answered lies in
// blobs/sha256/ under its own digest. Equal capsules are equal bytes.
//
// What is in it: the review, the policies as they judged (no Secrets: public keys
// stand in their place), the settings, the trust roots, what registries answered, the
// time, and the decision. Values of environment variables and of Secrets are masked,
// see [Mask]. What is never in it: a credential of a registry, or anything that was
// made from one.
//
// [Read] believes nothing: every member is bounded, stands once, in its place, and
// hashes to what capsule.json says. A capsule is not signed. Whoever can write one can
// write any review and policy into it; evidence in it is verified anew whenever a
// decision is made from it.
//
// This package knows files and bytes. It makes no decision and opens no connection.
package capsule

import (
	"encoding/json"
	"time"

	"github.com/assay-dev/assay/builtins/exchange"
)

// Format is the version of the format that is written, and the only one that is read.
const Format = "assay.capsule/1"

// Capsule is one recorded decision.
type Capsule struct {
	Settings Settings
	Review   json.RawMessage
	Policies []Document
	Trust    Trust
	Records  exchange.Records
	Outcome  Outcome
	// Blobs are bytes by their digest, sha256:….
	Blobs map[string][]byte
}

// Settings are what a decision depends on besides policies, evidence and trust.
type Settings struct {
	// Program is the version of the program that decided.
	Program string `json:"program"`
	// Time is the time of the decision.
	Time time.Time `json:"time"`
	// Call is validate or mutate.
	Call string `json:"call"`
	// Config is what policies read as data.assay.config.
	Config json.RawMessage `json:"config"`
	// Namespaces is what policies read of data.assay.namespaces, where a cluster has them.
	Namespaces json.RawMessage `json:"namespaces,omitempty"`
	// AnchoredIdentities is how identity expressions matched.
	AnchoredIdentities bool `json:"anchored_identities"`
	// PolicySet is the hash of the policies.
	PolicySet string `json:"policy_set"`
	// Masked are the places whose values are masked.
	Masked []string `json:"masked,omitempty"`
}

// Document is one part of a policy set.
type Document struct {
	// Kind says what it is, and so which of the fields below has it.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Value is a policy or data, Text is Rego.
	Value json.RawMessage `json:"value,omitempty"`
	Text  string          `json:"text,omitempty"`
}

// Trust is the trust material: roots by name, the empty one is the default.
type Trust struct {
	Roots map[string]Root `json:"roots"`
}

// Root is a trust root, or why there is none.
type Root struct {
	// Form says how Content is read.
	Form string `json:"form,omitempty"`
	// Content is the digest of a blob.
	Content string `json:"content,omitempty"`
	Cause   string `json:"cause,omitempty"`
}

// Outcome is what was decided, or why nothing was.
type Outcome struct {
	Decision json.RawMessage `json:"decision,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// Verdict is allowed, denied or undecided.
func (o Outcome) Verdict() string {
	var decision struct{ Allowed bool }
	switch {
	case o.Error != "" || json.Unmarshal(o.Decision, &decision) != nil:
		return "undecided"
	case decision.Allowed:
		return "allowed"
	}
	return "denied"
}

// Keep takes bytes in and gives their digest.
func (c *Capsule) Keep(content []byte) string {
	digest := digestOf(content)
	if c.Blobs == nil {
		c.Blobs = map[string][]byte{}
	}
	c.Blobs[digest] = content
	return digest
}
