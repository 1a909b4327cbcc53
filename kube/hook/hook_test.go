package hook_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/kube/hook"
	"github.com/assay-dev/assay/rego/cip"
)

const (
	valid   = `{images: [{glob: "**"}], authorities: [{static: {action: pass}}]}`
	invalid = `{images: [{glob: "**"}], authorities: [{}]}`
	neither = "expected exactly one, got neither: spec.authorities[0].key, spec.authorities[0].keyless, spec.authorities[0].static"
)

// TestRefusals has what may not be stored, and what is said: the texts of
// policy-controller, and ours where it says nothing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	spec := func(format string, args ...any) string { return policy(fmt.Sprintf(format, args...)) }
	for _, tt := range []struct{ name, object, want string }{
		{"nothing (VAL-1)", policy("{}"), "validation failed: missing field(s): spec.authorities, spec.images"},
		{"no spec at all", "{apiVersion: policy.sigstore.dev/v1alpha1, kind: ClusterImagePolicy, metadata: {name: p}}",
			"validation failed: missing field(s): spec.authorities, spec.images"},
		{"a glob that is none (VAL-3)", spec(`{images: [{glob: "$FOO*"}], authorities: [{static: {action: pass}}]}`),
			"validation failed: invalid value: $FOO*: spec.images[0].glob\nglob is invalid: invalid glob \"$FOO*\""},
		{"no kind of authority (VAL-4)", policy(invalid), "validation failed: " + neither},
		{"a Secret of another namespace (VAL-8)", spec(`{images: [{glob: "**"}], authorities: [{key: {secretRef: {name: s, namespace: shop}}}]}`),
			"validation failed: invalid value: shop: spec.authorities[0].key.secretref.namespace\n" +
				"secretref.namespace is invalid. If set, it should use the same namespace where the policy-controller was deployed"},
		{"identities that are absent (VAL-12)", spec(`{images: [{glob: "**"}], authorities: [{keyless: {}}]}`),
			"validation failed: missing field(s): spec.authorities[0].keyless.identities"},
		{"a mode that is none (VAL-19)", spec(`{images: [{glob: "**"}], authorities: [{static: {action: pass}}], mode: garbage}`),
			"validation failed: invalid value: garbage: spec.mode\nunsupported mode"},
		{"a field that is none (CRD-10)", spec(`{images: [{glob: "**"}], authorities: [{static: {action: pass}}], tlog: {}}`),
			`decoding request failed: cannot decode incoming new object: json: unknown field "tlog": spec.tlog`},
		{"a kind of root that is none (TR-7)", `{apiVersion: policy.sigstore.dev/v1alpha1, kind: TrustRoot, metadata: {name: r}, spec: {}}`,
			"validation failed: expected exactly one, got neither: spec.remote, spec.repository, spec.sigstoreKeys"},
		{"no base64", `{apiVersion: policy.sigstore.dev/v1alpha1, kind: TrustRoot, metadata: {name: r}, spec: {remote: {root: "*", mirror: "https://a.b"}}}`,
			"decoding request failed: cannot decode incoming new object: illegal base64 data at input byte 0: spec.remote.root"},
		{"another kind than the request's", `{apiVersion: v1, kind: Secret, metadata: {name: ClusterImagePolicy}}`,
			`decoding request failed: kind: got "Secret", want ClusterImagePolicy`},
		{"a group that is none of ours", `{apiVersion: policy.example.com/v1, kind: ClusterImagePolicy, metadata: {name: p}}`,
			"decoding request failed: unknown type: policy.example.com/v1, Kind=ClusterImagePolicy"},
		{"no object", "null", "decoding request failed: object: got none, want one"},
		{"a text", `"ClusterImagePolicy"`, "decoding request failed: object: json: cannot unmarshal string into Go value of type hook.object"},
		{"Rego that does not parse", spec(`{images: [{glob: "**"}], authorities: [{static: {action: pass}}], policy: {type: rego, data: "package sigstore\n\nisCompliant {"}}`),
			"validation failed: spec.policy: 1 error occurred: cip/p/spec/policy.rego:3: rego_parse_error: "},
		{"Rego that does not compile", spec(`{images: [{glob: "**"}], authorities: [{static: {action: pass}}], policy: {type: rego, data: "package sigstore\n\nisCompliant { nothing(1) }"}}`),
			"validation failed: spec.policy: 1 error occurred: cip/p/spec/policy.rego:3: rego_type_error: undefined function nothing"},
		{"Rego of an attestation", spec(`{images: [{glob: "**"}], authorities: [{keyless: {identities: [{issuer: i, subject: s}]}, attestations: [
  {name: a, predicateType: "https://a.b/c", policy: {type: rego, data: "package other\nisCompliant = true"}}]}]}`),
			"validation failed: spec.authorities[0].attestations[0].policy: "},
		{"CUE that does not parse", spec(`{images: [{glob: "**"}], authorities: [{static: {action: pass}}], policy: {type: cue, data: "a: {"}}`),
			"validation failed: spec.policy: failed to compile the cue policy with error: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := judge().Validate(t.Context(), request(t, "CREATE", tt.object, "null"))
			if got.Allowed || !strings.HasPrefix(got.Message(), tt.want) {
				t.Errorf("got %t, %q, want a refusal that begins with %q", got.Allowed, got.Message(), tt.want)
			}
			if got := judge().Default(request(t, "CREATE", tt.object, "null")); len(got.Patch) > 0 && !strings.Contains(tt.want, "spec.policy") && !strings.Contains(tt.want, "attestations[0].policy") {
				t.Errorf("got a patch of what is refused: %+v", got.Patch)
			}
		})
	}
}

// TestWithoutACompilerNoPolicyIsStored holds the zero value to refusing.
func TestWithoutACompilerNoPolicyIsStored(t *testing.T) {
	t.Parallel()
	got := hook.Judge{}.Validate(t.Context(), request(t, "CREATE", policy(valid), "null"))
	if want := "validation failed: the policy was not compiled: got no compiler"; got.Allowed || got.Message() != want {
		t.Errorf("got %t, %q, want %q", got.Allowed, got.Message(), want)
	}
}

// late is a compiler that has nothing to say, because it had no time.
type late struct{ cancel context.CancelFunc }

func (l late) Check(context.Context, cip.Policy) (problems, warnings []string) {
	l.cancel()
	return nil, nil
}

func TestWhatIsNotCompiledInTimeIsRefused(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	got := hook.Judge{Compiler: late{cancel}}.Validate(ctx, request(t, "CREATE", policy(valid), "null"))
	if got.Allowed || !strings.Contains(got.Message(), "not compiled in time") {
		t.Errorf("got %t, %q, want a refusal", got.Allowed, got.Message())
	}
}

// TestOperations has what becomes of objects that are stored, valid or not.
func TestOperations(t *testing.T) {
	t.Parallel()
	labelled := strings.Replace(policy(invalid), "{name: p}", "{name: p, labels: {a: b}}", 1)
	finalized := strings.Replace(policy(invalid), "{name: p}", "{name: p, finalizers: [clusterimagepolicies.policy.sigstore.dev]}", 1)
	released := strings.Replace(policy(invalid), "{name: p}", `{name: p, deletionTimestamp: "2026-01-01T00:00:00Z"}`, 1)
	const stays = "the spec stays as it is stored, and is not valid: validation failed: "
	for _, tt := range []struct {
		name, operation, object, old string
		want                         bool
		warning                      string
	}{
		{"a valid policy is created", "CREATE", policy(valid), "null", true, ""},
		{"an invalid one is deleted", "DELETE", "null", policy(invalid), true, ""},
		{"an invalid one gets labels", "UPDATE", labelled, policy(invalid), true, stays + neither},
		{"an invalid one loses a finalizer", "UPDATE", policy(invalid), finalized, true, stays + neither},
		{"one that is being deleted loses its last finalizer", "UPDATE", released, finalized, true, ""},
		{"one that is being deleted is changed to an invalid one", "UPDATE", released, policy(valid), false, ""},
		{"an invalid one becomes valid", "UPDATE", policy(valid), policy(invalid), true, ""},
		{"a valid one becomes invalid", "UPDATE", policy(invalid), policy(valid), false, ""},
		{"an update that does not show what is stored", "UPDATE", policy(invalid), "null", false, ""},
		{"an update of another kind", "UPDATE", policy(invalid), strings.Replace(policy(invalid), "ClusterImagePolicy", "Other", 1), false, ""},
		{"an operation that there is not", "CONNECT", policy(valid), "null", false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := judge().Validate(t.Context(), request(t, tt.operation, tt.object, tt.old))
			if got.Allowed != tt.want || strings.Join(got.Warnings, "\n") != tt.warning {
				t.Errorf("got %t, %q, %q, want %t with %q", got.Allowed, got.Message(), got.Warnings, tt.want, tt.warning)
			}
		})
	}
}

func TestSubResources(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		subResource string
		want        bool
	}{{"status", true}, {"scale", false}, {"Status", false}} {
		r, err := hook.Read(review(t, "ClusterImagePolicy", "UPDATE", tt.subResource, policy(invalid), policy(valid)))
		if err != nil {
			t.Fatal(err)
		}
		if got := judge().Validate(t.Context(), r); got.Allowed != tt.want {
			t.Errorf("%s: got %t, %q, want %t", tt.subResource, got.Allowed, got.Message(), tt.want)
		}
	}
}

// TestSettings has what an installation decides.
func TestSettings(t *testing.T) {
	t.Parallel()
	empty := policy(`{images: [{glob: "**"}]}`)
	j := judge()
	if got := j.Validate(t.Context(), request(t, "CREATE", empty, "null")); got.Allowed {
		t.Error("got a policy without authorities admitted, want it refused")
	}
	j.Settings = cip.Settings{EmptyAuthorities: true}
	got := j.Validate(t.Context(), request(t, "CREATE", empty, "null"))
	want := []string{"spec.authorities: there are none: no image that the policy matches satisfies it"}
	if diff := cmp.Diff(want, got.Warnings); diff != "" || !got.Allowed {
		t.Errorf("got %t, %q (-want +got):\n%s", got.Allowed, got.Message(), diff)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	spec := policy(`{images: [{glob: "**"}], match: [{version: v1}], authorities: [
  {key: {secretRef: {name: key}}, ctlog: {trustRootRef: root}, rfc3161timestamp: {trustRootRef: root}},
  {keyless: {ca-cert: {secretRef: {name: key}}, trustRootRef: ours, identities: [{issuer: i, subject: s}]},
   attestations: [{name: a, predicateType: custom, policy: {type: rego, configMapRef: {name: texts, key: a}}}]}],
  policy: {type: cue, configMapRef: {name: more, key: b}}}`)
	j := judge()
	j.Settings.Namespace = "assay"
	j.Finder = existing{"trustroots /ours": true, "configmaps assay/texts": true}
	got := j.Validate(t.Context(), request(t, "CREATE", spec, "null"))
	if !got.Allowed {
		t.Fatal(got.Message())
	}
	const deprecated = "invalid value: custom: spec.authorities[1].attestations.predicateType\ndeprecated value, please use RFC 3986 conformant values"
	want := []string{
		deprecated,
		`policy p: spec.match[0]: names no resource: it matches nothing; write one such as "pods"`,
		"spec.authorities[0].key.secretRef: there is no Secret key in namespace assay: what refers to it fails until there is one",
		"spec.authorities[0].ctlog.trustRootRef: there is no TrustRoot root: what refers to it fails until there is one",
		"spec.policy.configMapRef: there is no ConfigMap more in namespace assay: what refers to it fails until there is one",
	}
	if diff := cmp.Diff(want, got.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	j.Finder = existing(nil)
	got = j.Validate(t.Context(), request(t, "CREATE", spec, "null"))
	if diff := cmp.Diff(want[:2], got.Warnings); diff != "" || !got.Allowed {
		t.Errorf("no answer is no warning (-want +got):\n%s", diff)
	}
}

// TestRead has reviews that no API server sends to us.
func TestRead(t *testing.T) {
	t.Parallel()
	other := strings.Replace(string(review(t, "ClusterImagePolicy", "CREATE", "", policy(valid), "null")), "policy.sigstore.dev", "apps", 1)
	for _, tt := range []struct{ name, review, want string }{
		{"nothing", "", "review: unexpected end of JSON input"},
		{"no JSON", "{", "review: unexpected end of JSON input"},
		{"no request", "{}", "request: got none, want one"},
		{"a request in another case", `{"Request": {}}`, "request: got none, want one"},
		{"another kind", string(review(t, "Pod", "CREATE", "", "{}", "null")),
			`kind: got "Pod" of group "policy.sigstore.dev", want ClusterImagePolicy or TrustRoot of policy.sigstore.dev`},
		{"another group", other, `kind: got "ClusterImagePolicy" of group "apps", want`},
		{"too much", strings.Repeat(" ", 8<<20) + "{}", "review: got 8388610 bytes, want at most 8388608"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := hook.Read([]byte(tt.review)); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestWhatIsSaidIsBounded has an object with more wrong in it than people read.
func TestWhatIsSaidIsBounded(t *testing.T) {
	t.Parallel()
	globs := strings.Repeat(`{glob: "$"}, `, 5000) + strings.Repeat("{}, ", 4000)
	var identities strings.Builder
	for i := range 500 {
		fmt.Fprintf(&identities, `{issuerRegExp: "*%d", subject: s}, `, i)
	}
	spec := policy("{images: [" + globs + "], authorities: [{keyless: {identities: [" + identities.String() + "]}}]}")
	got := judge().Validate(t.Context(), request(t, "CREATE", spec, "null"))
	if got.Allowed || len(got.Message()) > 100<<10 || !strings.Contains(got.Message(), " more") {
		t.Errorf("got %t and %d bytes, want a refusal of less than 100 KiB that counts the rest", got.Allowed, len(got.Message()))
	}
	tooMuch := policy(`{images: [{glob: "` + strings.Repeat("a", 5<<20) + `"}]}`)
	if got := judge().Validate(t.Context(), request(t, "CREATE", tooMuch, "null")); got.Allowed || len(got.Message()) > 1000 {
		t.Errorf("got %t, %.200s, want a short refusal", got.Allowed, got.Message())
	}
}
