package cip_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

const publicKey = `-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaEOVJCFtduYr3xqTxeRWSW32CY/s\n` +
	`TBNZj4oIUPl8JvhVPJ1TKDPlNcuT4YphSt6t3yOmMvkdQbCj8broX6vijw==\n-----END PUBLIC KEY-----`

// withSpec returns a policy named p whose spec is YAML in flow style.
func withSpec(spec string) []byte {
	return []byte("{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: p}, spec: " + spec + "}")
}

func withAuthority(authority string) []byte {
	return withSpec("{images: [{glob: '**'}], authorities: [" + authority + "]}")
}

// invalid returns the validation errors of Parse, empty when there are none.
func invalid(t *testing.T, data []byte) string {
	t.Helper()
	docs, err := cip.Parse(data)
	if err == nil {
		return ""
	}
	if docs != nil {
		t.Errorf("got documents %v beside an error, want none", docs)
	}
	var failure *cip.DocumentError
	if !errors.As(err, &failure) {
		t.Fatalf("got error %v, want a DocumentError", err)
	}
	if len(failure.Decode) > 0 {
		t.Fatalf("got decoding errors %v, want none", failure.Decode)
	}
	return failure.Invalid.Error()
}

type refusal struct{ name, yaml, want string }

// check expands the "…" of a row to the path of its authority.
func check(t *testing.T, rows []refusal, parse func(string) []byte) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			want := strings.ReplaceAll(row.want, "…", "spec.authorities[0]")
			if diff := cmp.Diff(want, invalid(t, parse(row.yaml))); diff != "" {
				t.Errorf("validation of %s (-want +got):\n%s", row.yaml, diff)
			}
		})
	}
}

func TestValidateSpec(t *testing.T) {
	t.Parallel()
	const pass = "authorities: [{static: {action: pass}}]"
	check(t, []refusal{
		{"VAL-1: nothing", "{}", "missing field(s): spec.authorities, spec.images"},
		{"null spec", "null", "missing field(s): spec.authorities, spec.images"},
		{"VAL-1: null lists", "{images: null, authorities: null}", "missing field(s): spec.authorities, spec.images"},
		{"CRD-3, VAL-1: empty images", "{images: [], " + pass + "}", "missing field(s): spec.images"},
		{"VAL-1: empty glob", "{images: [{}]}", "missing field(s): spec.authorities, spec.images[0].glob"},
		{"null image", "{images: [null], " + pass + "}", "missing field(s): spec.images[0].glob"},
		{"VAL-2: bad glob pattern", "{images: [{glob: '['}]}",
			"invalid value: [: spec.images[0].glob\nglob is invalid: syntax error in pattern\nmissing field(s): spec.authorities"},
		{"VAL-3: bad glob characters", "{images: [{glob: $FOO*}]}",
			"invalid value: $FOO*: spec.images[0].glob\nglob is invalid: invalid glob \"$FOO*\"\nmissing field(s): spec.authorities"},
		{"VAL-1, CFG-2: empty authorities", "{images: [{glob: a}], authorities: []}", "missing field(s): spec.authorities"},
		{"CRD-6: mode enforce", "{images: [{glob: a}], mode: enforce, " + pass + "}", ""},
		{"CRD-6: mode warn", "{images: [{glob: a}], mode: warn, " + pass + "}", ""},
		{"VAL-19: bad mode", "{images: [{glob: a}], mode: garbage, " + pass + "}", "invalid value: garbage: spec.mode\nunsupported mode"},
		{"digest glob", "{images: [{glob: 'ghcr.io/foo@sha256:5504f2a95018e3d8a52d80d9e1a128c6'}], " + pass + "}", ""},
		{"everything at once", "{images: [{}, {glob: '['}], mode: x, authorities: [{}, {static: {}}], match: [{resource: apple}]}",
			"expected exactly one, got neither: ….key, ….keyless, ….static\n" +
				"invalid value: [: spec.images[1].glob\nglob is invalid: syntax error in pattern\n" +
				"invalid value: apple: spec.match[0].resource\nunsupported resource name\n" +
				"invalid value: x: spec.mode\nunsupported mode\n" +
				"missing field(s): spec.authorities[1].static.action, spec.images[0].glob"},
	}, withSpec)
}

func TestValidateKey(t *testing.T) {
	t.Parallel()
	check(t, []refusal{
		{"data", `{key: {data: "` + publicKey + `"}}`, ""},
		{"kms", `{key: {kms: "gcpkms://projects/p"}}`, ""},
		{"secret", `{key: {secretRef: {name: s}}}`, ""},
		{"secret in the system namespace", `{key: {secretRef: {name: s, namespace: cosign-system}}}`, ""},
		{"VAL-5: no source", `{key: {}}`, "expected exactly one, got neither: ….key.data, ….key.kms, ….key.secretref"},
		{"null key", `{key: null}`, "expected exactly one, got neither: ….key, ….keyless, ….static"},
		{"VAL-5: two sources", `{key: {data: "` + publicKey + `", kms: "gcpkms://k"}}`,
			"expected exactly one, got both: ….key.data, ….key.kms, ….key.secretref"},
		{"kms and secret", `{key: {kms: "gcpkms://k", secretRef: {name: s}}}`,
			"expected exactly one, got both: ….key.data, ….key.kms, ….key.secretref"},
		{"VAL-6: bad PEM", `{key: {data: ---somedata---}}`, "invalid value: ---somedata---: ….key.data"},
		{"VAL-6: PEM without a key in it", `{key: {data: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}}`,
			"invalid value: -----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----: ….key.data"},
		{"VAL-6: private key", `{key: {data: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}}`,
			"invalid value: -----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----: ….key.data"},
		{"VAL-7: hash", `{key: {data: "` + publicKey + `", hashAlgorithm: SHA512}}`, ""},
		{"VAL-7: bad hash", `{key: {data: "` + publicKey + `", hashAlgorithm: shaINVALID}}`, "invalid value: shaINVALID: ….key.hashAlgorithm"},
		{"secret without a name", `{key: {secretRef: {}}}`, "missing field(s): ….key.secretref.name"},
		{"VAL-8: secret elsewhere", `{key: {secretRef: {name: s, namespace: invalid}}}`,
			"invalid value: invalid: ….key.secretref.namespace\nsecretref.namespace is invalid. " +
				"If set, it should use the same namespace where the policy-controller was deployed"},
	}, withAuthority)
}

// VAL-9, VAL-10: a scheme that is known, and the forms that AWS has.
func TestValidateKMS(t *testing.T) {
	t.Parallel()
	const (
		id     = "1234abcd-12ab-34cd-56ef-1234567890ab"
		arn    = "arn:aws:kms:us-east-2:111122223333:"
		prefix = "malformed KMS format, should be prefixed by any of the supported providers: " +
			"[awskms:// azurekms:// hashivault:// gcpkms://]"
		slashes = "malformed AWS KMS format 'awskms://$ENDPOINT/$KEYID', should be conformant with KMS standard documented here: " +
			"https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id"
		format = "kms key should be in the format awskms://[ENDPOINT]/[ID/ALIAS/ARN] (endpoint optional)"
		noARN  = "failed to parse either key or alias arn: arn: invalid prefix"
	)
	for _, c := range []struct{ kms, want string }{
		{"azurekms://v.vault.azure.net/k", ""},
		{"hashivault://k", ""},
		{"awskms:///" + arn + "key/" + id, ""},
		{"awskms:///" + arn + "key/mrk-1234abcd12ab34cd56ef1234567890ab", ""},
		{"awskms://localhost:4566/" + arn + "key/" + id, ""},
		{"awskms://[::1]:4566/" + arn + "key/" + id, ""},
		{"awskms:///" + arn + "alias/ExampleAlias", ""},
		{"fookms://x", prefix},
		{"openbao://x", ""},
		{"awskms://x", slashes},
		{"awskms:///x", format},
		{"awskms:///key/" + id, format},
		{"awskms://" + arn + "key/" + id, format},
		{"awskms://alias/ExampleAlias/" + id, format},
		{"awskms:///" + arn + "key/x", format},
		{"awskms://localhost:8888/arn:butnotvalid", format},
		{"awskms://localhost:::4566/" + arn + "key/" + id, "malformed endpoint: address localhost:::4566: too many colons in address"},
		{"awskms://localhost/" + arn + "key/" + id, "malformed endpoint: address localhost: missing port in address"},
		{"awskms:///" + id, noARN},
		{"awskms:///alias/ExampleAlias", noARN},
		{"awskms://localhost:4566/" + id, noARN},
	} {
		t.Run(strings.ReplaceAll(c.kms, "/", "_"), func(t *testing.T) {
			t.Parallel()
			got, want := invalid(t, withAuthority(`{key: {kms: "`+c.kms+`"}}`)), ""
			if c.want != "" {
				want = "invalid value: " + c.kms + ": spec.authorities[0].key.kms\n" + c.want
			}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestValidateKeyless(t *testing.T) {
	t.Parallel()
	const one = "identities: [{issuer: i, subject: s}]"
	check(t, []refusal{
		{"defaulted url", "{keyless: {" + one + "}}", ""},
		{"ca-cert", "{keyless: {ca-cert: {secretRef: {name: s}}, " + one + "}}", ""},
		{"VAL-11: url and ca-cert", "{keyless: {url: 'http://myhost', ca-cert: {secretRef: {name: s}}, " + one + "}}",
			"expected exactly one, got both: ….keyless.ca-cert, ….keyless.url"},
		{"a certificate as ca-cert", `{keyless: {ca-cert: {data: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}, ` + one + `}}`,
			"invalid value: -----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----: ….keyless.ca-cert.data"},
		{"empty ca-cert", "{keyless: {ca-cert: {}, " + one + "}}",
			"expected exactly one, got neither: ….keyless.ca-cert.data, ….keyless.ca-cert.kms, ….keyless.ca-cert.secretref"},
		{"VAL-12: no identities", "{keyless: {}}", "missing field(s): ….keyless.identities"},
		{"VAL-12: empty identities", "{keyless: {identities: []}}", "missing field(s): ….keyless.identities"},
		{"VAL-13: no issuer", "{keyless: {identities: [{subject: s}]}}",
			"missing field(s): ….keyless.identities[0].issuer, ….keyless.identities[0].issuerRegExp"},
		{"VAL-13: no subject", "{keyless: {identities: [{issuer: s}]}}",
			"missing field(s): ….keyless.identities[0].subject, ….keyless.identities[0].subjectRegExp"},
		{"VAL-13: two issuers", "{keyless: {identities: [{issuer: i, issuerRegExp: i, subject: s}]}}",
			"expected exactly one, got both: ….keyless.identities[0].issuer, ….keyless.identities[0].issuerRegExp"},
		{"VAL-13: two subjects", "{keyless: {identities: [{issuer: i, subjectRegExp: i, subject: s}]}}",
			"expected exactly one, got both: ….keyless.identities[0].subject, ….keyless.identities[0].subjectRegExp"},
		{"VAL-13: bad expressions", "{keyless: {identities: [{issuerRegExp: '****', subjectRegExp: '('}]}}",
			"invalid value: (: ….keyless.identities[0].subjectRegExp\nregex is invalid: error parsing regexp: missing closing ): `(`\n" +
				"invalid value: ****: ….keyless.identities[0].issuerRegExp\n" +
				"regex is invalid: error parsing regexp: missing argument to repetition operator: `*`"},
	}, withAuthority)
}

// VAL-12: the API server refuses absent identities before policy-controller sees them.
func TestValidateAbsentIdentitiesAsTheSchemaDoes(t *testing.T) {
	t.Parallel()
	_, err := cip.Parse(withAuthority("{keyless: {url: 'https://fulcio.example.com'}}"))
	want := `document 0: ClusterImagePolicy p: spec.authorities[0].keyless.identities: Invalid value: "null": ` +
		`spec.authorities[0].keyless.identities in body must be of type array: "null"` + "\n" +
		`validation failed: missing field(s): spec.authorities[0].keyless.identities`
	if err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

func TestValidateAuthority(t *testing.T) {
	t.Parallel()
	const (
		kinds = "….key, ….keyless, ….static"
		key   = "key: {kms: 'gcpkms://k'}"
	)
	check(t, []refusal{
		{"VAL-4: empty", "{}", "expected exactly one, got neither: " + kinds},
		{"null", "null", "expected exactly one, got neither: " + kinds},
		{"VAL-4: only a timestamp", "{rfc3161timestamp: {trustRootRef: t}}", "expected exactly one, got neither: " + kinds},
		{"CRD-4, VAL-4: key and keyless", "{key: {}, keyless: {identities: []}}", "expected exactly one, got both: " + kinds},
		{"key and static", "{key: {}, static: {}}", "expected exactly one, got both: " + kinds},
		{"CRD-4, VAL-4: all three", "{key: {}, static: {}, keyless: {identities: []}}", "expected exactly one, got both: " + kinds},
		{"VAL-14: static without action", "{static: {}}", "missing field(s): ….static.action"},
		{"VAL-14: static with bad action", "{static: {action: garbage}}", "invalid value: garbage: ….static.action\nunsupported action"},
		{"static pass", "{static: {action: pass}}", ""},
		{"static fail", "{static: {action: fail, message: no}}", ""},
		{"VAL-14: static with everything", "{static: {action: fail}, source: [{}], ctlog: {}, rfc3161timestamp: {}, attestations: [{name: a, predicateType: 'u:v'}]}",
			"expected exactly one, got both: ….attestations, ….ctlog, ….rfc3161timestamp, ….source, ….static"},
		{"VAL-15: source registry", "{" + key + ", source: [{oci: registry.example.com}]}", ""},
		{"source repository", "{" + key + ", source: [{oci: registry.example.com/a/b, tagPrefix: ''}]}", ""},
		{"VAL-15: source without oci", "{" + key + ", source: [{signaturePullSecrets: [{name: s}]}]}", ""},
		{"VAL-15: source pull secret without a name", "{" + key + ", source: [{signaturePullSecrets: [{}]}]}",
			"missing field(s): ….source[0].signaturePullSecrets[0].name"},
		{"VAL-15: source glob", "{" + key + ", source: [{oci: 'registry.example.com/repo/*'}]}",
			"invalid value: registry.example.com/repo/*: ….source[0].oci\n" +
				"repository can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: repo/*"},
		{"VAL-15: source bad registry", "{" + key + ", source: [{oci: 're@gistry/reponame'}]}",
			"invalid value: re@gistry/reponame: ….source[0].oci\nregistries must be valid RFC 3986 URI authorities: re@gistry/reponame"},
		{"VAL-15: two sources", "{" + key + ", source: [{}, {}]}", "invalid value: source: ….source\nonly single source is supported"},
		{"format any", "{" + key + ", signatureFormat: any}", ""},
		{"bad format", "{" + key + ", signatureFormat: bundel}",
			"invalid value: bundel: ….signatureFormat\nonly [legacy,bundle,any] are supported"},
		{"ctlog", "{" + key + ", ctlog: {url: 'https://rekor.example.com', trustRootRef: t}}", ""},
	}, withAuthority)
}

func TestValidateAttestation(t *testing.T) {
	t.Parallel()
	check(t, []refusal{
		{"minimal", "{name: a, predicateType: 'https://spdx.dev/Document'}", ""},
		{"VAL-16: empty", "{}", "missing field(s): ….attestations.name, ….attestations.predicateType"},
		{"VAL-17: policy type", "{name: a, predicateType: 'a:b', policy: {type: not-cue, data: x}}",
			"invalid value: not-cue: ….attestations.policy.type\nonly [cue,rego] are supported at the moment"},
		{"POL-2, VAL-17: policy without source", "{name: a, predicateType: 'a:b', policy: {type: cue}}",
			"missing field(s): ….attestations.policy.configMapRef, ….attestations.policy.data, ….attestations.policy.remote"},
		{"POL-2, VAL-17: policy with two sources", "{name: a, predicateType: 'a:b', policy: {type: cue, data: x, configMapRef: {name: n, key: k}}}",
			"expected exactly one, got both: ….attestations.policy.configMapRef, ….attestations.policy.data, ….attestations.policy.remote"},
		{"VAL-18: includes", "{name: a, predicateType: 'a:b', policy: {type: rego, data: x, fetchConfigFile: false, " +
			"includeSpec: true, includeObjectMeta: true, includeTypeMeta: true}}",
			"must not set the field(s): ….attestations.policy.fetchConfigFile, ….attestations.policy.includeObjectMeta, " +
				"….attestations.policy.includeSpec, ….attestations.policy.includeTypeMeta"},
	}, func(attestation string) []byte {
		return withAuthority("{key: {kms: 'gcpkms://k'}, attestations: [" + attestation + "]}")
	})
}

func TestValidatePolicy(t *testing.T) {
	t.Parallel()
	check(t, []refusal{
		{"CRD-5: data with includes", "{type: cue, data: x, fetchConfigFile: true, includeSpec: true, includeObjectMeta: true, includeTypeMeta: true}", ""},
		{"POL-1, VAL-17: type", "{type: not-cue, data: x}", "invalid value: not-cue: spec.policy.type\nonly [cue,rego] are supported at the moment"},
		{"VAL-17: http", "{type: cue, remote: {url: 'http://example.com', sha256sum: x}}",
			"invalid value: http://example.com: spec.policy.remote.url\nurl valid is invalid. host and https scheme are expected"},
		{"VAL-17: remote without sum", "{type: cue, remote: {url: 'https://example.com'}}", "missing field(s): spec.policy.remote.sha256sum"},
		{"VAL-17: empty remote", "{type: cue, remote: {}}", "missing field(s): spec.policy.remote.sha256sum, spec.policy.remote.url"},
		{"VAL-17: empty configMapRef", "{type: cue, configMapRef: {}}", "missing field(s): spec.policy.configMapRef.key, spec.policy.configMapRef.name"},
	}, func(policy string) []byte {
		return withSpec("{images: [{glob: a}], authorities: [{static: {action: pass}}], policy: " + policy + "}")
	})
}

func TestValidateMatch(t *testing.T) {
	t.Parallel()
	check(t, []refusal{
		{"CRD-7, VAL-20: pods", "{resource: pods, version: v1, selector: {matchLabels: {a: b}}}", ""},
		{"VAL-20: custom resource", "{group: serving.knative.dev, version: v1, resource: services}", ""},
		{"VAL-20: unknown resource", "{group: apps, version: v1, resource: apple}",
			"invalid value: apple: spec.match[0].resource\nunsupported resource name"},
		{"VAL-20: selector alone", "{selector: {matchLabels: {a: b}}}",
			"invalid value: : spec.match[0].selector\nselector requires a resource type to match the labels"},
		{"expressions", "{resource: pods, selector: {matchExpressions: [{key: a, operator: In, values: [b]}, {key: a, operator: Exists}]}}", ""},
		{"MATCH-2: bad expressions", "{resource: pods, selector: {matchExpressions: [{}, {key: a, operator: in}, " +
			"{key: a, operator: NotIn}, {key: a, operator: DoesNotExist, values: [b]}]}}",
			"invalid value: in: spec.match[0].selector.matchExpressions[1].operator\nonly [In,NotIn,Exists,DoesNotExist] are supported\n" +
				"missing field(s): spec.match[0].selector.matchExpressions[0].key, spec.match[0].selector.matchExpressions[0].operator, " +
				"spec.match[0].selector.matchExpressions[2].values\n" +
				"must not set the field(s): spec.match[0].selector.matchExpressions[3].values"},
	}, func(match string) []byte {
		return withSpec("{images: [{glob: a}], authorities: [{static: {action: pass}}], match: [" + match + "]}")
	})
}

func TestValidateWarnings(t *testing.T) {
	t.Parallel()
	const deprecated = "\ndeprecated value, please use RFC 3986 conformant values"
	for _, c := range []struct {
		name, attestations string
		want               []string
	}{
		{"URI", "[{name: a, predicateType: 'https://slsa.dev/provenance/v1'}]", nil},
		{"VAL-16: short name", "[{name: a, predicateType: custom}]",
			[]string{"policy 0: invalid value: custom: spec.authorities[0].attestations.predicateType" + deprecated}},
		{"VAL-16: URI without a scheme", "[{name: a, predicateType: cosign.sigstore.dev/attestation/vuln/v1}]", []string{
			"policy 0: invalid value: cosign.sigstore.dev/attestation/vuln/v1: spec.authorities[0].attestations.predicateType" + deprecated}},
		{"duplicate attestation names", "[{name: a, predicateType: 'a:b'}, {name: a, predicateType: 'a:c'}]", []string{
			"policy 0: invalid value: a: spec.authorities[0].attestations.name\n" +
				"duplicate attestation name, policies see only one attestation of a name"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			docs, err := cip.Parse(withAuthority("{key: {kms: 'gcpkms://k'}, attestations: " + c.attestations + "}"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, docs.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidateDuplicateAuthorityNamesWarn(t *testing.T) {
	t.Parallel()
	docs, err := cip.Parse(withAuthority("{static: {action: pass}}, {name: authority-0, static: {action: pass}}"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"policy 0: invalid value: authority-0: spec.authorities[1].name\n" +
		"duplicate authority name, policies see only one authority of a name"}
	if diff := cmp.Diff(want, docs.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// ATT-2: cosign's short names, and every other type as it is written.
func TestPredicateTypeURI(t *testing.T) {
	t.Parallel()
	for short, want := range map[string]string{
		"custom":                  "https://cosign.sigstore.dev/attestation/v1",
		"slsaprovenance":          "https://slsa.dev/provenance/v0.2",
		"slsaprovenance02":        "https://slsa.dev/provenance/v0.2",
		"slsaprovenance1":         "https://slsa.dev/provenance/v1",
		"spdx":                    "https://spdx.dev/Document",
		"spdxjson":                "https://spdx.dev/Document",
		"cyclonedx":               "https://cyclonedx.org/bom",
		"link":                    "https://in-toto.io/Link/v1",
		"vuln":                    "https://cosign.sigstore.dev/attestation/vuln/v1",
		"openvex":                 "https://openvex.dev/ns",
		"https://example.com/own": "https://example.com/own",
		"":                        "",
	} {
		if got := cip.PredicateTypeURI(short); got != want {
			t.Errorf("PredicateTypeURI(%q): got %q, want %q", short, got, want)
		}
	}
}
