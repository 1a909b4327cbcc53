package builtins_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
)

// TestDeclarationsAreInTheCapabilities, which is where tools of OPA find them.
func TestDeclarationsAreInTheCapabilities(t *testing.T) {
	t.Parallel()
	known := map[string]*ast.Builtin{}
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		known[b.Name] = b
	}
	var names []string
	for _, b := range builtins.Declarations() {
		names = append(names, b.Name)
		if known[b.Name] == nil || known[b.Name].Decl.String() != b.Decl.String() {
			t.Errorf("%s: got %v in the capabilities, want %s", b.Name, known[b.Name], b.Decl)
		}
		if b.Description == "" {
			t.Errorf("%s has no description", b.Name)
		}
		if networked := strings.HasPrefix(b.Name, "oci.") && b.Name != "oci.parse" || strings.HasPrefix(b.Name, "cosign.") || strings.HasPrefix(b.Name, "sigstore.") || b.Name == "assay.policy"; b.Nondeterministic != networked {
			t.Errorf("%s: got nondeterministic %t, want %t", b.Name, b.Nondeterministic, networked)
		}
	}
	if diff := cmp.Diff([]string{
		"oci.parse", "oci.resolve", "oci.manifest", "oci.index", "oci.config", "oci.configs", "oci.blob", "oci.referrers", "oci.files", "cosign.verify", "cosign.attestations",
		"cue.validate", "cue.validate_concrete", "sigstore.is_compliant", "assay.policy",
		"slsa.provenance", "sbom.packages", "vuln.findings", "vex.apply", "purl.parse", "purl.is_valid", "x509.extensions",
	}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// TestCallWithoutASession answers, and is not undefined: a rule that denies by
// `not … .ok` must not stay silent under stock tools.
func TestCallWithoutASession(t *testing.T) {
	t.Parallel()
	for _, call := range []string{
		fmt.Sprintf("oci.resolve(%q)", someRef),
		fmt.Sprintf("oci.manifest(%q)", someRef),
		fmt.Sprintf("oci.index(%q)", someRef),
		fmt.Sprintf("oci.config(%q)", someRef),
		fmt.Sprintf("oci.configs(%q)", someRef),
		fmt.Sprintf("oci.blob(%q)", someRef),
		fmt.Sprintf("oci.referrers(%q)", someRef),
		fmt.Sprintf("oci.files(%q, [])", someRef),
		fmt.Sprintf("cosign.verify(%q, %s)", someRef, authority),
		fmt.Sprintf("cosign.attestations(%q, %s, %q)", someRef, authority, "vuln"),
		`cosign.verify("", {})`,
	} {
		got := answer(t, nil, call)
		if code, message := problem(t, got); code != "unsupported" || !strings.Contains(message, "needs the engine") {
			t.Errorf("%s: got %s: %s, want unsupported", call, code, message)
		}
		name, _, _ := strings.Cut(call, "(")
		if err := conforms(declaration(t, name).Decl.Result(), got); err != nil {
			t.Errorf("%s: %v", call, err)
		}
	}
	if got := answer(t, nil, `oci.parse("alpine").name`); got != "index.docker.io/library/alpine:latest" {
		t.Errorf("oci.parse: got %v, want it to need no session", got)
	}
}

// TestMembersCompareWithConstants: OPA's type checker panics where the type of a
// member has a name.
func TestMembersCompareWithConstants(t *testing.T) {
	t.Parallel()
	for _, b := range builtins.Declarations() {
		arguments := make([]string, b.Decl.Arity())
		for i, argument := range b.Decl.FuncArgs().Args {
			kind, _, _ := strings.Cut(argument.String(), "[")
			arguments[i] = map[string]string{"string": `""`, "any": `""`, "number": "0", "array": "[]", "any<array": "[]"}[kind]
			if arguments[i] == "" {
				arguments[i] = "{}"
			}
		}
		members := b.Decl.Result().(*types.Object).StaticProperties()
		for _, member := range members {
			for _, constant := range []string{"null", "true", "1", `"x"`, "[]", "{}"} {
				// Whether the comparison is a type error depends on the member.
				query := fmt.Sprintf("%s(%s).%s == %s", b.Name, strings.Join(arguments, ", "), member.Key, constant)
				if _, err := rego.New(rego.Query(query)).PrepareForEval(t.Context()); err != nil && !strings.Contains(err.Error(), "match error") {
					t.Errorf("%s: %v", query, err)
				}
			}
		}
	}
}

// TestGarbageOperands: whatever Rego can pass is answered with malformed, and
// asks the registry nothing. json.unmarshal hides the types from the compiler.
func TestGarbageOperands(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := factsOf(t, w).Open(oci.Credentials{}, tenant.Workload{})
	garbage := []string{"null", "true", "1", "-1.5e300", "[]", `["x"]`, "{}", `{"a": {"b": 1}}`, `""`, `"\u0000"`, `"not a reference"`, `"UPPER/x"`, `"a@sha256:12"`}
	call := func(format string, operands ...string) string {
		for i, operand := range operands {
			encoded, _ := json.Marshal(operand)
			operands[i] = fmt.Sprintf("json.unmarshal(%s)", encoded)
		}
		return fmt.Sprintf(format, any(operands[0]))
	}
	for _, operand := range garbage {
		for _, format := range []string{
			"oci.parse(%s)", "oci.resolve(%s)", "oci.manifest(%s)", "oci.index(%s)", "oci.config(%s)", "oci.configs(%s)",
			"oci.blob(%s)", "oci.referrers(%s)", `oci.files(%s, ["etc/passwd"])`, "cosign.verify(%s, " + authority + ")", "cosign.attestations(%s, " + authority + `, "vuln")`,
		} {
			expression := call(format, operand)
			if code, message := problem(t, answer(t, s, expression)); code != "malformed" || message == "" {
				t.Errorf("%s: got %s: %s, want malformed", expression, code, message)
			}
		}
	}
	noAuthority := []string{"null", "true", "1", "[]", `"x"`, `{"key": 1}`, `{"keyless": []}`, `{"keyless": {"identities": {}}}`, `{"name": null, "label": 1}`}
	for _, operand := range noAuthority {
		for _, format := range []string{"cosign.verify(%q, %%s)", `cosign.attestations(%q, %%s, "vuln")`} {
			expression := call(fmt.Sprintf(format, someRef), operand)
			if code, message := problem(t, answer(t, s, expression)); code != "malformed" || !strings.HasPrefix(message, "authority: ") {
				t.Errorf("%s: got %s: %s, want malformed, about the authority", expression, code, message)
			}
		}
	}
	for _, operand := range []string{"null", "1", "[]", "{}"} {
		expression := call(fmt.Sprintf("cosign.attestations(%q, %s, %%s)", someRef, authority), operand)
		if code, message := problem(t, answer(t, s, expression)); code != "malformed" || !strings.HasPrefix(message, "predicate_type: ") {
			t.Errorf("%s: got %s: %s, want malformed, about the predicate type", expression, code, message)
		}
	}
	for _, operand := range []string{"null", "1", `"etc/passwd"`, "{}", "[1]", `[["x"]]`, `["../x"]`, `[""]`} {
		expression := call(fmt.Sprintf("oci.files(%q, %%s)", w.Expand("${app@}")), operand)
		if code, message := problem(t, answer(t, s, expression)); code != "malformed" || !strings.HasPrefix(message, "paths") {
			t.Errorf("%s: got %s: %s, want malformed, about the paths", expression, code, message)
		}
	}
	if got := w.Requests(); len(got) > 0 {
		t.Errorf("got requests %v, want none", got)
	}
}

// TestSetsAreNoOperands: a set is no JSON and no object.
func TestSetsAreNoOperands(t *testing.T) {
	t.Parallel()
	s := factsOf(t, openWorld(t)).Open(oci.Credentials{}, tenant.Workload{})
	for _, call := range []string{
		`cosign.verify("` + someRef + `", object.get({1: {"a"}}, json.unmarshal("1"), {"x"}))`,
		`oci.parse(object.get({1: {"a"}}, json.unmarshal("1"), {"x"}))`,
		`cosign.verify("` + someRef + `", {"name": {"a"}})`,
		`cosign.verify("` + someRef + `", {"keyless": {"identities": {{"issuer": "a", "subject": "b"}: 1}}})`,
	} {
		if code, message := problem(t, answer(t, s, call)); code != "malformed" {
			t.Errorf("%s: got %s: %s, want malformed", call, code, message)
		}
	}
}

func TestReferenceByTagIsNotVerified(t *testing.T) {
	t.Parallel()
	s := factsOf(t, openWorld(t)).Open(oci.Credentials{}, tenant.Workload{})
	code, message := problem(t, answer(t, s, `cosign.verify("ghcr.io/acme/app:v1", `+authority+`)`))
	if code != "malformed" || !strings.Contains(message, "want a reference by digest") {
		t.Errorf("got %s: %s, want malformed", code, message)
	}
}

func TestUnknownFieldOfAnAuthorityIsNamed(t *testing.T) {
	t.Parallel()
	s := factsOf(t, openWorld(t)).Open(oci.Credentials{}, tenant.Workload{})
	for _, tt := range []struct{ authority, field string }{
		{`{"keyles": {}}`, "keyles"},
		{`{"keyless": {"identites": []}}`, "identites"},
		{`{"keyless": {"identities": [{"issuer": "a", "subjct": "b"}]}}`, "subjct"},
	} {
		code, message := problem(t, answer(t, s, fmt.Sprintf("cosign.verify(%q, %s)", someRef, tt.authority)))
		if code != "malformed" || !strings.Contains(message, `"`+tt.field+`"`) {
			t.Errorf("%s: got %s: %s, want the name of the field", tt.authority, code, message)
		}
	}
}

// TestFieldThatIsNotHeededIsNamed: an authority that Rego made up is obeyed whole
// or not at all, like that of a policy.
func TestFieldThatIsNotHeededIsNamed(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := factsOf(t, w).Open(oci.Credentials{}, tenant.Workload{})
	const identities = `"identities": [{"issuer": "a", "subject": "b"}]`
	for _, tt := range []struct{ authority, field string }{
		{`{"static": {"action": "pass"}}`, "static"},
		{`{"keyless": {` + identities + `, "ca-cert": {"secretRef": {"name": "x"}}}}`, "keyless.ca-cert.secretRef"},
		{`{"key": {"kms": "awskms:///x"}}`, "key.kms"},
		{`{"key": {"data": "x", "secretRef": {"name": "x"}}}`, "key.secretRef"},
		{`{"keyless": {` + identities + `}, "attestations": [{"name": "a", "predicateType": "vuln", "policy": {"type": "cue", "data": "x"}}]}`, "attestations.policy"},
		{`{}`, "neither key, keyless"},
		{`{"keyless": {}}`, "identities"},
		{`{"keyless": {"identities": [{}]}}`, "keyless.identities[0]"},
		{`{"keyless": {"identities": [{"issuerRegExp": "(", "subject": "x"}]}}`, "keyless.identities[0]"},
		{`{"key": {"data": "no PEM"}}`, "key.data"},
		{`{"keyless": {` + identities + `}, "signatureFormat": "bundel"}`, "signatureFormat"},
	} {
		code, message := problem(t, answer(t, s, fmt.Sprintf("cosign.verify(%q, %s)", someRef, tt.authority)))
		if code != "unsupported" || !strings.Contains(message, tt.field) {
			t.Errorf("%s: got %s: %s, want unsupported and %q", tt.authority, code, message, tt.field)
		}
	}
	if got := w.Requests(); len(got) > 0 {
		t.Errorf("got requests %v, want none", got)
	}
}

func TestFactsNeedARegistryAndRoots(t *testing.T) {
	t.Parallel()
	if _, err := builtins.New(nil, nil, builtins.Options{}); err == nil {
		t.Error("got facts of nothing, want an error")
	}
}
