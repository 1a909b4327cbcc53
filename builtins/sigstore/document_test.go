package sigstore_test

import (
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/sigstore"
)

// ATT-5: by a short name a policy sees the fields of the predicate that cosign's type
// has, those that are absent too; by a URI it sees all of the predicate. Of the
// statement around it the same four fields are seen either way.
func TestDocument(t *testing.T) {
	t.Parallel()
	const (
		head = `{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://example.com/p",` +
			`"subject":[{"name":"app","digest":{"sha256":"aa"}}],"predicate":`
		given = `{"name":"n","buildType":"t","builder":{"id":"b","more":1},"invocation":{"uri":"u","parameters":{"a":1}},` +
			`"scanner":{"uri":"s","more":1},"metadata":{"scanStartedOn":"2026-01-01T00:00:00Z"},"more":{"b":1.50,"a":"<é>"}}`
		whole = `{"buildType":"t","builder":{"id":"b","more":1},"invocation":{"parameters":{"a":1},"uri":"u"},` +
			`"metadata":{"scanStartedOn":"2026-01-01T00:00:00Z"},"more":{"a":"\u003cé\u003e","b":1.5},"name":"n",` +
			`"scanner":{"more":1,"uri":"s"}}`
		link = `{"_type":"","name":"n","materials":null,"products":null,"byproducts":null,"command":null,"environment":null}`
		slsa = `{"builder":{"id":"b"},"buildType":"t","invocation":{"configSource":{},"parameters":{"a":1}},` +
			`"metadata":{"completeness":{"parameters":false,"environment":false,"materials":false},"reproducible":false}}`
		vuln = `{"invocation":{"parameters":{"a":1},"uri":"u","event_id":"","builder.id":""},` +
			`"scanner":{"uri":"s","version":"","db":{"uri":"","version":""},"result":null},` +
			`"metadata":{"scanStartedOn":"2026-01-01T00:00:00Z","scanFinishedOn":"0001-01-01T00:00:00Z"}}`
	)
	for asked, want := range map[string]string{
		"link": link, "slsaprovenance": slsa, "spdx": whole, "spdxjson": whole, "cyclonedx": whole, "vuln": vuln,
		"slsaprovenance02": whole, "slsaprovenance1": whole, "custom": whole, "openvex": whole, "https://example.com/p": whole,
	} {
		t.Run(asked, func(t *testing.T) {
			t.Parallel()
			statement := strings.Replace(head, `}],"predicate"`, `,"uri":"more"}],"more":1,"predicate"`, 1) + given + "}"
			got, err := sigstore.Document([]byte(statement), asked)
			if err != nil {
				t.Fatal(err)
			}
			if want := head + want + "}"; string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// ATT-5: a statement that is not of the type says which type.
func TestDocumentOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ asked, statement, want string }{
		{"link", `{"predicate":"text"}`, "LinkStatement"},
		{"slsaprovenance", `{"predicate":"text"}`, "ProvenanceStatementSLSA02"},
		{"vuln", `{"predicate":"text"}`, "CosignVulnStatement"},
		{"spdx", `{"subject":"text"}`, "SPDXStatement"},
		{"cyclonedx", `{"subject":"text"}`, "CycloneDXStatement"},
		{"https://example.com/p", `{"subject":"text"}`, "Statement"},
	} {
		t.Run(tt.asked, func(t *testing.T) {
			t.Parallel()
			got, err := sigstore.Document([]byte(tt.statement), tt.asked)
			if want := "unmarshaling " + tt.want + ": json: "; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %s, %v, want %q", got, err, want)
			}
		})
	}
}
