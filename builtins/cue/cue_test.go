package cue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/cue"
)

// evaluator has time, unless the options say how much: the machine may be busy.
func evaluator(t testing.TB, options cue.Options) *cue.Evaluator {
	t.Helper()
	if options.Timeout == 0 {
		options.Timeout = time.Minute
	}
	e, err := cue.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The documents that a policy of an attestation and a policy of a whole
// ClusterImagePolicy are asked about.
const (
	custom = `{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://cosign.sigstore.dev/attestation/v1",
		"subject": [{"name": "registry.example/app", "digest": {"sha256": "7b763b38f0bc29441c6a10e8e8ac4c8e63c7fae89ccf3270a015371c297719a7"}}],
		"predicate": {"Data": "built by acme", "Timestamp": "2026-06-01T12:00:00Z"}}`
	vuln = `{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://cosign.sigstore.dev/attestation/vuln/v1",
		"subject": [{"name": "registry.example/app", "digest": {"sha256": "7b763b38f0bc29441c6a10e8e8ac4c8e63c7fae89ccf3270a015371c297719a7"}}],
		"predicate": {"invocation": {"parameters": null, "uri": "ci.example/runs/1", "event_id": "", "builder.id": ""},
			"scanner": {"uri": "scanner.example/trivy", "version": "", "db": {"uri": "", "version": ""}, "result": null},
			"metadata": {"scanStartedOn": "2026-06-01T12:00:00Z", "scanFinishedOn": "2026-06-01T12:10:00Z"}}}`
	authorities = `{"authorityMatches": {
		"key": {"signatures": [{"id": "1"}], "attestations": null},
		"keylessatt": {"signatures": null, "attestations": {
			"custom-keyless": [{"id": "2", "subject": "release@acme.example", "issuer": "https://issuer.example"}]}},
		"keylesssignature": {"signatures": [{"id": "3", "subject": "release@acme.example", "issuer": "https://issuer.example"}]}}}`
	// counting wants a number of authorities, of signatures, and of attestations.
	counting = `import "list"
import "struct"
authorityMatches: {
	key: signatures: list.MinItems(1)
	keylesssignature: signatures: list.MinItems(1)
	keylessatt: attestations: struct.MaxFields(1)
	keylessatt: attestations: "custom-keyless": list.MinItems(1)
}`
)

// TestValidate holds the verdicts and texts to cosign's.
func TestValidate(t *testing.T) {
	t.Parallel()
	const evaluated = "failed to evaluate the policy with error: "
	for _, tt := range []struct {
		name, policy, document string
		code                   cue.Code
		message                string
	}{
		{"CUE-1: a missing field complies", `predicate: builder: id: =~"^https://acme[.]example/"`, custom, "", ""},
		{"CUE-1: an authority that did not match complies", `authorityMatches: other: signatures: [...]`, authorities, "", ""},
		{"CUE-1: a required field that is missing complies", `predicate: builder!: string`, custom, "", ""},
		{"CUE-1: an empty policy is complied with", ``, custom, "", ""},
		{"CUE-1: a closed policy refuses what it does not name", `close({predicate: Data: string})`, `{"predicate": {"Data": "x"}, "_type": "x"}`,
			cue.NotCompliant, evaluated + `"_type": field not allowed`},
		{"CUE-2: a policy that is not CUE", `predicate: {`, custom,
			cue.Malformed, "failed to compile the cue policy with error: expected '}', found 'EOF'"},
		{"CUE-2: a policy that refers to nothing", `predicate: Data: nothing`, custom,
			cue.Malformed, `failed to compile the cue policy with error: predicate.Data: reference "nothing" not found`},
		{"CUE-2: a policy that contradicts itself", `predicate: Data: 1 & 2`, custom,
			cue.Malformed, "failed to compile the cue policy with error: predicate.Data: conflicting values 2 and 1"},
		{"CUE-2: a document that CUE does not read", `predicate: Data: string`, `{"a": 1, "a": 2}`,
			cue.Malformed, "failed to compile the attestation data with error: a: conflicting values 2 and 1"},
		{"CUE-2: a conflict has its path", `config: [string]: config: User: "65532"`, `{"config": {"linux/amd64": {"config": {"User": "55554"}}}}`,
			cue.NotCompliant, evaluated + `config."linux/amd64".config.User: conflicting values "65532" and "55554"`},
		{"CUE-2: the first of several conflicts", `spec: {hostNetwork: false, hostPID: false}`, `{"spec": {"hostNetwork": true, "hostPID": true}}`,
			cue.NotCompliant, evaluated + "spec.hostNetwork: conflicting values true and false (and 1 more errors)"},
		{"CUE-3: a package clause is optional", "package acme\n" + `predicate: Data: "built by acme"`, custom, "", ""},
		{"CUE-3: time", "import \"time\"\n" + `predicate: Timestamp: time.Time & =~"^2026"`, custom, "", ""},
		{"CUE-3: struct", "import \"struct\"\n" + `predicate: struct.MaxFields(1)`, custom, cue.NotCompliant,
			evaluated + `predicate: invalid value {Data:"built by acme",Timestamp:"2026-06-01T12:00:00Z"} (does not satisfy struct.MaxFields(1)): len(fields) > MaxFields(1) (2 > 1)`},
		{"CUE-3: strings", "import \"strings\"\n" + `predicate: Data: strings.MaxRunes(40) & strings.Contains("acme")`, custom, "", ""},
		{"CUE-3: encoding/json", "import \"encoding/json\"\n" + `predicate: Data: string
data: json.Unmarshal(#"{"a": 1}"#)
data: a: 1`, custom, "", ""},
		{"row 71: the type of an attestation is another", `predicateType: "https://cosign.sigstore.dev/attestation/vuln/v1"`, custom, cue.NotCompliant,
			evaluated + `predicateType: conflicting values "https://cosign.sigstore.dev/attestation/v1" and "https://cosign.sigstore.dev/attestation/vuln/v1"`},
		{"row 71: type and data of an attestation comply", `predicateType: "https://cosign.sigstore.dev/attestation/v1"
predicate: Data: "built by acme"`, custom, "", ""},
		{"row 71: the data of an attestation is other", `predicateType: "https://cosign.sigstore.dev/attestation/v1"
predicate: Data: "built by nobody"`, custom, cue.NotCompliant,
			evaluated + `predicate.Data: conflicting values "built by acme" and "built by nobody"`},
		{"row 71: a scan of another run", `predicateType: "https://cosign.sigstore.dev/attestation/vuln/v1"
predicate: invocation: uri: "ci.example/runs/2"`, vuln, cue.NotCompliant,
			evaluated + `predicate.invocation.uri: conflicting values "ci.example/runs/1" and "ci.example/runs/2"`},
		{"row 71: a scan of the run", `predicateType: "https://cosign.sigstore.dev/attestation/vuln/v1"
predicate: invocation: uri: "ci.example/runs/1"`, vuln, "", ""},
		{"row 71: so many authorities match", counting, authorities, "", ""},
		{"row 71: too few attestations of an authority", `authorityMatches: {
	keylessatt: attestations: _
	if len(authorityMatches.keylessatt.attestations) < 2 {
		keylessattMinAttestations: 2
		keylessattMinAttestations: "Error"
	}
}`, authorities, cue.NotCompliant,
			evaluated + `authorityMatches.keylessattMinAttestations: conflicting values 2 and "Error" (mismatched types int and string)`},
		{"row 71: no attestations of an authority", `authorityMatches: keylesssignature: attestations: [_, ...]`,
			`{"authorityMatches": {"keylesssignature": {"attestations": null}}}`, cue.NotCompliant,
			evaluated + `authorityMatches.keylesssignature.attestations: conflicting values [_,...] and null (mismatched types list and null)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := evaluator(t, cue.Options{}).Validate(t.Context(), tt.policy, []byte(tt.document), false)
			var want *cue.Refusal
			if tt.code != "" {
				want = &cue.Refusal{Code: tt.code, Message: tt.message}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

// TestValidateConcrete: what complied for lack of a value does not.
func TestValidateConcrete(t *testing.T) {
	t.Parallel()
	const evaluated = "failed to evaluate the policy with error: "
	for _, tt := range []struct{ name, policy, document, message string }{
		{"CUE-1: a value that is there", `predicate: Data: string`, custom, ""},
		{"CUE-1: a value that is missing", `predicate: builder: id: string`, custom, evaluated + "predicate.builder.id: incomplete value string"},
		{"CUE-1: a pattern that is missing", `predicate: builder: id: =~"^https://acme[.]example/"`, custom,
			evaluated + `predicate.builder.id: incomplete value =~"^https://acme[.]example/"`},
		{"CUE-1: a required field that is missing", `predicate: builder!: string`, custom, evaluated + "predicate.builder: field is required but not present"},
		{"CUE-1: an optional field may be missing", `predicate: builder?: string`, custom, ""},
		{"CUE-1: definitions need no value", "#Data: string\npredicate: Data: #Data", custom, ""},
		{"CUE-1: a default is a value", `predicate: builder: *"acme" | string`, custom, ""},
		{"CUE-1: elements of a list that is open", `subject: [...{name: string}]`, custom, ""},
		{"CUE-2: a conflict", `predicate: Data: "x"`, custom, evaluated + `predicate.Data: conflicting values "built by acme" and "x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var want *cue.Refusal
			if tt.message != "" {
				want = &cue.Refusal{Code: cue.NotCompliant, Message: tt.message}
			}
			if diff := cmp.Diff(want, evaluator(t, cue.Options{}).Validate(t.Context(), tt.policy, []byte(tt.document), true)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsTooLargeIsNotEvaluated(t *testing.T) {
	t.Parallel()
	e := evaluator(t, cue.Options{})
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		name, policy, document string
		code                   cue.Code
		message                string
	}{
		{"a policy", strings.Repeat(" ", 256<<10+1), `{}`, cue.TooLarge, "the cue policy: got 262145 bytes, want at most 262144"},
		{"a policy just so", strings.Repeat(" ", 256<<10), `{}`, "", ""},
		{"a document", ``, `"` + strings.Repeat("x", 4<<20-1) + `"`, cue.TooLarge, "the document: got 4194305 bytes, want at most 4194304"},
		{"a document just so", ``, `{"a":"` + strings.Repeat("x", 4<<20-8) + `"}`, "", ""},
		{"a deep document", `_`, nested(1001), cue.TooLarge, "the document: got 1001 values within each other, want at most 1000"},
		{"a long array", `_`, "[1" + strings.Repeat(",1", 20000) + "]", cue.TooLarge, "the document: got 20001 members of an array or object, want at most 20000"},
		{"a long object", `_`, `{"a":1` + strings.Repeat(`,"a":1`, 20000) + "}", cue.TooLarge, "the document: got 20001 members of an array or object, want at most 20000"},
		{"many values", `_`, "[[]" + strings.Repeat(",[1,1,1,1,1,1,1,1,1]", 10000) + "]", cue.TooLarge, "the document: got 100003 values, want at most 100000"},
		{"a document deep just so", `_`, nested(1000), "", ""},
		{"brackets in a text are not depth", `_`, `"` + strings.Repeat(`[\"\\`, 2000) + `"`, "", ""},
		{"no document", ``, ``, cue.Malformed, "the document: want JSON"},
		{"a document in CUE", ``, `a: 1`, cue.Malformed, "the document: want JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := e.Validate(t.Context(), tt.policy, []byte(tt.document), false)
			var want *cue.Refusal
			if tt.code != "" {
				want = &cue.Refusal{Code: tt.code, Message: tt.message}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLongTextsAreCut: CUE repeats the values that conflict.
func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	got := evaluator(t, cue.Options{}).Validate(t.Context(), `a: "x"`, []byte(`{"a": "`+strings.Repeat("é", 1<<20)+`"}`), false)
	if got == nil || len(got.Message) > 4<<10+len("…") || !strings.HasSuffix(got.Message, "é…") {
		t.Errorf("got %.200v, want a text of 4 KiB", got)
	}
}

func TestLimitsAreChecked(t *testing.T) {
	t.Parallel()
	for _, options := range []cue.Options{{Timeout: -1}, {Parallel: -1}, {Abandoned: -1}, {Verdicts: -1}} {
		if _, err := cue.New(options); err == nil {
			t.Errorf("%+v: got an evaluator, want an error", options)
		}
	}
}
