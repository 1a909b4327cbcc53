package cip_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

const minimal = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: p
spec:
  images:
  - glob: "**"
  authorities:
  - static:
      action: pass
`

func TestParseDefaults(t *testing.T) {
	t.Parallel()
	docs, err := cip.Parse([]byte(`{apiVersion: policy.sigstore.dev/v1alpha1, kind: ClusterImagePolicy,
metadata: {name: p, annotations: {a: b}}, spec: {images: [{glob: a*}], authorities: [
{keyless: {identities: [{issuer: i, subjectRegExp: s}], insecureIgnoreSCT: true}},
{name: mine, key: {kms: "gcpkms://k", hashAlgorithm: SHA256}, ctlog: {}},
{keyless: {ca-cert: {kms: "gcpkms://k"}, identities: [{issuer: i, subject: s}]}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	want := []cip.Policy{{
		Name: "p", Version: "v1alpha1", Annotations: map[string]string{"a": "b"},
		Spec: cip.Spec{
			Images: []cip.ImagePattern{{Glob: "a*"}},
			Mode:   cip.ModeEnforce,
			Authorities: []cip.Authority{
				{Name: "authority-0", Keyless: &cip.KeylessRef{
					URL: "https://fulcio.sigstore.dev", InsecureIgnoreSCT: &yes,
					Identities: []cip.Identity{{Issuer: "i", SubjectRegExp: "s"}},
				}},
				{Name: "mine", Key: &cip.KeyRef{KMS: "gcpkms://k", HashAlgorithm: "sha256"}, CTLog: &cip.TLog{}},
				{Name: "authority-2", Keyless: &cip.KeylessRef{
					CACert: &cip.KeyRef{KMS: "gcpkms://k"}, Identities: []cip.Identity{{Issuer: "i", Subject: "s"}},
				}},
			},
		},
	}}
	if diff := cmp.Diff(want, docs.Policies); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
}

// An authority crosses into Rego as JSON with the names of the CIP.
func TestAuthorityJSONRoundTrip(t *testing.T) {
	t.Parallel()
	const authority = `{"name":"a","keyless":{"url":"https://f","identities":[{"issuer":"i","subjectRegExp":"s"}],` +
		`"trustRootRef":"t","insecureIgnoreSCT":false},"source":[{"oci":"r.example.com","signaturePullSecrets":[{"name":"s"}],"tagPrefix":"x"}],` +
		`"ctlog":{"url":"https://r","trustRootRef":"t"},"attestations":[{"name":"n","predicateType":"https://p",` +
		`"policy":{"type":"rego","data":"d"}}],"rfc3161timestamp":{"trustRootRef":"t"},"signatureFormat":"any"}`
	docs, err := cip.Parse(withAuthority(authority))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(docs.Policies[0].Spec.Authorities[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(authority, string(got)); diff != "" {
		t.Errorf("authority (-want +got):\n%s", diff)
	}
}

func TestParseDocuments(t *testing.T) {
	t.Parallel()
	second := strings.Replace(minimal, "name: p", "name: q", 1)
	crlf := strings.ReplaceAll(minimal+"---\n"+second, "\n", "\r\n")
	object := `{"apiVersion":"policy.sigstore.dev/v1beta1","kind":"ClusterImagePolicy","metadata":{"name":"%s"},` +
		`"spec":{"images":[{"glob":"**"}],"authorities":[{"static":{"action":"fail","message":"\ud83d\ude00"}}]}}`
	for _, c := range []struct {
		name, yaml, want string
		warnings         []string
	}{
		{"one", minimal, "p", nil},
		{"leading separator", "---\n" + minimal, "p", nil},
		{"comment before separator", "# comment\n---\n" + minimal, "p", nil},
		{"two", minimal + "---\n" + second, "p q", nil},
		{"separator with trailing spaces", minimal + "---   \n" + second, "p q", nil},
		{"separator with comment", minimal + "--- # next\n" + second, "p q", nil},
		{"document end marker", minimal + "...\n---\n" + second, "p q", nil},
		{"CRLF", crlf, "p q", nil},
		{"lone CR", strings.ReplaceAll(minimal+"---\n"+second, "\n", "\r"), "p q", nil},
		{"byte order mark", "\ufeff" + minimal, "p", nil},
		{"empty documents between", "---\n---\n" + minimal + "---\n# nothing\n---\n" + second + "---\n", "p q", nil},
		{"separator text inside a block", strings.Replace(minimal, "action: pass", "action: fail\n      message: |\n        ---\n        x", 1), "p", nil},
		{"JSON", fmt.Sprintf(object, "p"), "p", nil},
		{"JSON with tabs", "\t" + strings.ReplaceAll(fmt.Sprintf(object, "p"), ",", ",\n\t"), "p", nil},
		{"JSON one after another", fmt.Sprintf(object, "p") + "\n" + fmt.Sprintf(object, "q"), "p q", nil},
		{"YAML flow style", string(withAuthority("{static: {action: pass}}")), "p", nil},
		{"anchors", strings.Replace(minimal, "  authorities:", "  - glob: &g a/*\n  - glob: *g\n  authorities:", 1), "p", nil},
		{"read back from a cluster", strings.Replace(minimal, "name: p", "name: p\n  generation: 2\n  uid: x\n  managedFields: [{a: 1.5}]", 1) +
			"status: {conditions: [{type: Ready}]}\n", "p", nil},
		{"the same twice", minimal + "---\n" + minimal, "p", []string{`duplicate policy named "p", skipping`}},
		{"Secret and ConfigMap", "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: Yg==}}\n---\n" + minimal +
			"---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}", "p", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			docs, err := cip.Parse([]byte(c.yaml))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, policy := range docs.Policies {
				names = append(names, policy.Name)
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("got policies %s, want %s", got, c.want)
			}
			if diff := cmp.Diff(c.warnings, docs.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	edit := func(old, new string) string { return strings.Replace(minimal, old, new, 1) }
	const here = "document 0: ClusterImagePolicy p: "
	for _, c := range []struct{ name, yaml, want string }{
		{"empty file", "", "got no document, want a ClusterImagePolicy or a TrustRoot"},
		{"comments only", "# nothing\n---\n# here\n", "got no document, want a ClusterImagePolicy or a TrustRoot"},
		{"not UTF-8", minimal + "# \xff", "got bytes that are not UTF-8"},
		{"NUL", minimal + "# \x00", "document 0: decoding object[0]: yaml: control characters are not allowed"},
		{"escaped NUL", edit(`"**"`, `"a\0"`), "document 0: decoding object[0]: line 7: holds a NUL character"},
		{"too large", minimal + strings.Repeat("# comment\n", 1<<19), "got more than 4194304 bytes of policies"},
		{"scalar", "hello", "document 0: decoding object[0]: got a string, want an object"},
		{"list", "- a", "document 0: decoding object[0]: got a list, want an object"},
		{"JSON array", "[{}]", "document 0: decoding object[0]: got a list, want an object"},
		{"kind List", "{apiVersion: v1, kind: List, metadata: {name: l}, items: []}", "document 0: List l: unknown type: /v1, Kind=List: write each of its items as a document of its own"},
		{"what kubectl get writes of several", "{apiVersion: v1, kind: List, metadata: {resourceVersion: \"\"}, items: [{}]}",
			"document 0: unknown type: /v1, Kind=List: write each of its items as a document of its own"},
		{"a list of policies", "{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicyList, items: []}",
			"document 0: unknown type: policy.sigstore.dev/v1beta1, Kind=ClusterImagePolicyList: write each of its items as a document of its own"},
		{"unknown type", minimal + "---\n{apiVersion: unknown.dev/v1, kind: OtherPolicy, metadata: {name: o}}",
			"document 1: OtherPolicy o: unknown type: unknown.dev/v1, Kind=OtherPolicy"},
		{"unknown version", edit("v1beta1", "v1"), here + "unknown type: policy.sigstore.dev/v1, Kind=ClusterImagePolicy"},
		{"TrustRoot v1beta1", "{apiVersion: policy.sigstore.dev/v1beta1, kind: TrustRoot, metadata: {name: t}}",
			"document 0: TrustRoot t: unknown type: policy.sigstore.dev/v1beta1, Kind=TrustRoot"},
		{"no header", minimal + "---\n{spec: {}}", "document 1: validation failed: missing field(s): [1].apiVersion, [1].kind, [1].metadata.name"},
		{"no name", edit("name: p", "labels: {}"), "document 0: validation failed: missing field(s): [0].metadata.name"},
		{"bad name", edit("name: p", `name: "A b"`), "document 0: validation failed: invalid value: \"A b\": [0].metadata.name\n" +
			"a lowercase RFC 1123 subdomain of at most 253 characters is expected"},
		{"unknown field", edit("spec:", "bad: 1\nspec:"), here + `unable to unmarshal: json: unknown field "bad": bad`},
		{"unknown metadata", edit("name: p", "name: p\n  nam: p"), here + `unable to unmarshal: json: unknown field "nam": metadata.nam`},
		{"letter case of a field", edit("spec:", "spec:\n  Mode: warn"), here + `unable to unmarshal: json: unknown field "Mode": spec.Mode`},
		{"unknown field in a list", edit("static:", "signatureformat: bundle\n    static:"),
			here + `unable to unmarshal: json: unknown field "signatureformat": spec.authorities[0].signatureformat`},
		{"misspelt field", edit("glob:", "globb:"), here + `unable to unmarshal: json: unknown field "globb": spec.images[0].globb` +
			"\nvalidation failed: missing field(s): spec.images[0].glob"},
		{"wrong types", edit("spec:", "spec:\n  mode: 1\n  policy: []\n  match: {}"), here + "unable to unmarshal: got a list, want an object: spec.policy\n" +
			"got a number, want a string: spec.mode\ngot an object, want a list: spec.match\n" +
			"validation failed: invalid value: : spec.policy.type\nonly [cue,rego] are supported at the moment\n" +
			"missing field(s): spec.policy.configMapRef, spec.policy.data, spec.policy.remote"},
		{"annotation of a wrong type", edit("name: p", "name: p\n  annotations: {a: true, b: null}"),
			here + "unable to unmarshal: got a boolean, want a string: metadata.annotations.a"},
		{"yes is no boolean", edit("static:", "keyless: {identities: [{issuer: i, subject: s}], insecureIgnoreSCT: yes}\n  - static:"),
			here + "unable to unmarshal: got a string, want a boolean: spec.authorities[0].keyless.insecureIgnoreSCT"},
		{"empty URL", edit("static:", `ctlog: {url: ""}`+"\n    static:"), here + "unable to unmarshal: got an empty string, want a URL: spec.authorities[0].ctlog.url" +
			"\nvalidation failed: expected exactly one, got both: spec.authorities[0].ctlog, spec.authorities[0].static"},
		{"duplicate key", edit("spec:", "spec:\n  mode: warn\n  mode: enforce"), `document 0: decoding object[0]: line 7: key "mode" already set in map`},
		{"duplicate key in JSON", `{"a":1,"a":2}`, `document 0: decoding object[0]: offset 10: key "a" already set in map`},
		{"duplicate name", minimal + "---\n" + edit("pass", "fail"), `document 1: ClusterImagePolicy p: duplicate policy named "p", and the two differ`},
		{"several bad documents", edit("pass", "x") + "---\n" + strings.Replace(edit("pass", "y"), "name: p", "name: q", 1),
			here + "validation failed: invalid value: x: spec.authorities[0].static.action\nunsupported action\n" +
				"document 1: ClusterImagePolicy q: validation failed: invalid value: y: spec.authorities[0].static.action\nunsupported action"},
		{"key that is no string", edit("spec:", "1: a\nspec:"), "document 0: decoding object[0]: line 5: got a number as a key, want a string"},
		{"merge key", edit("spec:", "a: &a {}\nspec:\n  <<: *a"),
			"document 0: decoding object[0]: line 7: merge keys (<<) are not supported, write the fields out"},
		{"tagged scalar", edit("spec:", "a: !!binary AAAA\nspec:"), "document 0: decoding object[0]: line 5: got a value of type !!binary, want no type"},
		{"tagged object", edit("spec:", "spec: !x"), "document 0: decoding object[0]: line 5: got an object of type !x, want no type"},
		{"tagged list", edit("images:", "images: !x"), "document 0: decoding object[0]: line 6: got a list of type !x, want no type"},
		{"scalar of its own type", edit("pass", "!hunter2 a"),
			"document 0: decoding object[0]: line 10: got a value with a type, want none (a value that starts with ! has to be quoted)"},
		{"unknown anchor", edit("pass", "*hunter2"),
			"document 0: decoding object[0]: yaml: unknown anchor referenced (a value that starts with * has to be quoted, as in glob: \"*\")"},
		{"tagged boolean", edit("spec:", "a: !!bool maybe\nspec:"), `document 0: decoding object[0]: line 5: got "maybe", want true or false`},
		{"alias of itself", "&a [*a]", "document 0: decoding object[0]: line 1: is nested deeper than 100 levels"},
		{"deep YAML", strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "#", "document 0: decoding object[0]: line 1: is nested deeper than 100 levels"},
		{"deep JSON", strings.Repeat("[", 1000) + strings.Repeat("]", 1000), "document 0: decoding object[0]: offset 102: is nested deeper than 100 levels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			docs, err := cip.Parse([]byte(c.yaml))
			if docs != nil {
				t.Errorf("got documents %v, want none", docs)
			}
			if diff := cmp.Diff(c.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseExplainsUnquotedStar(t *testing.T) {
	t.Parallel()
	for _, glob := range []string{"*", "**", "*/*", "*.example.com/x", "*foo"} {
		_, err := cip.Parse([]byte(strings.Replace(minimal, `"**"`, glob, 1)))
		if err == nil || !strings.HasSuffix(err.Error(), `(a value that starts with * has to be quoted, as in glob: "*")`) {
			t.Errorf("glob %s: got error %v, want one that explains quoting", glob, err)
		}
	}
}

// Each level doubles or repeats the one before; followed, they would not end.
func TestParseRefusesAliasBombs(t *testing.T) {
	t.Parallel()
	var nested strings.Builder
	nested.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := 1; nested.Len() < 1<<20; i++ {
		last := fmt.Sprintf("*a%d,", i-1)
		fmt.Fprintf(&nested, "a%d: &a%d [%s]\n", i, i, strings.Repeat(last, 9))
	}
	long := "a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.Repeat("*a,", 1000) + "]\n"
	var shared strings.Builder // each document is within the bound, all together are not
	for range 400 {
		shared.WriteString("a: &a " + strings.Repeat("x", 5000) + "\nb: [" + strings.Repeat("*a,", 100) + "]\n---\n")
	}
	for name, bomb := range map[string]string{"nested": nested.String(), "long": long, "documents": shared.String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := cip.Parse([]byte(bomb))
			if err == nil || !strings.Contains(err.Error(), "expands to more than 16777216 bytes") {
				t.Errorf("got error %v, want one about the expansion", err)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v, want a bounded time", took)
			}
		})
	}
}

func TestDocumentErrorNamesTheDocument(t *testing.T) {
	t.Parallel()
	_, err := cip.Parse([]byte(minimal + "---\n" + strings.Replace(strings.Replace(minimal, "pass", "x", 1), "name: p", "name: q", 1)))
	var failure *cip.DocumentError
	if !errors.As(err, &failure) {
		t.Fatalf("got error %v, want a DocumentError", err)
	}
	want := &cip.DocumentError{Index: 1, Kind: "ClusterImagePolicy", Name: "q", Invalid: cip.FieldErrors{{
		Message: "invalid value: x", Paths: []string{"spec.authorities[0].static.action"}, Details: "unsupported action",
	}}}
	if diff := cmp.Diff(want, failure); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

// FuzzParse holds what is accepted to what the types promise.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		minimal, minimal + "---\n" + minimal, "", "- a", "&a [*a]", `{"a":1,"a":2}`, "glob: *",
		string(withAuthority(`{key: {data: "` + publicKey + `"}, attestations: [{name: a, predicateType: vuln}]}`)),
		string(withAuthority("{keyless: {identities: [{issuerRegExp: i, subject: s}]}, source: [{oci: a.b/c}], ctlog: {url: 'https://x'}}")),
		secret("{type: t, data: {a: Yg==}, stringData: {b: c}, immutable: true}"), configMap("{data: {a: b}, binaryData: {c: ZA==}}"),
		string(withTrustRoot("{sigstoreKeys: {tLogs: [" + log(keyPEM()) + "], certificateAuthorities: [" + authority(nil) + "]}}")),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := cip.Parse(data)
		if (docs == nil) == (err == nil) {
			t.Fatalf("got documents %v and error %v, want one of them", docs, err)
		}
		if err != nil {
			return
		}
		for _, policy := range docs.Policies {
			checkPolicy(t, policy)
		}
		for _, secret := range docs.Secrets {
			if secret.Name == "" || secret.Type == "" || secret.Data == nil {
				t.Fatalf("got %v, want it complete", secret)
			}
		}
	})
}

// checkPolicy parses the policy again from its own JSON and wants the same.
func checkPolicy(t *testing.T, policy cip.Policy) {
	t.Helper()
	if policy.Name == "" || len(policy.Spec.Images) == 0 || len(policy.Spec.Authorities) == 0 || policy.Spec.Mode == "" {
		t.Fatalf("got policy %v, want it complete", policy)
	}
	for _, image := range policy.Spec.Images {
		if _, err := cip.ParseGlob(image.Glob); err != nil {
			t.Fatal(err)
		}
	}
	spec, err := json.Marshal(policy.Spec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := cip.Parse([]byte(`{"apiVersion":"policy.sigstore.dev/v1beta1","kind":"ClusterImagePolicy","metadata":{"name":"p"},"spec":` + string(spec) + "}"))
	if err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	got, err := json.Marshal(again.Policies[0].Spec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(spec), string(got)); diff != "" {
		t.Fatalf("policy parsed from its own JSON (-want +got):\n%s", diff)
	}
}

func BenchmarkParse(b *testing.B) {
	data := []byte(strings.Replace(minimal, "static:\n      action: pass", `name: github
    keyless:
      url: https://fulcio.sigstore.dev
      identities:
      - issuer: https://token.actions.githubusercontent.com
        subjectRegExp: https://github.com/org/repo/.*
    ctlog:
      url: https://rekor.sigstore.dev
    attestations:
    - name: provenance
      predicateType: https://slsa.dev/provenance/v1`, 1))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := cip.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGlobMatch(b *testing.B) {
	glob, err := cip.ParseGlob("ghcr.io/org/**")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := glob.Match("ghcr.io/org/app" + digest); err != nil {
			b.Fatal(err)
		}
	}
}
