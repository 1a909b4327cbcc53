package cip_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

// secret returns a Secret named s whose fields are YAML in flow style.
func secret(fields string) string {
	return "{apiVersion: v1, kind: Secret, metadata: {name: s}, " + strings.TrimPrefix(fields, "{")
}

func configMap(fields string) string {
	return "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, " + strings.TrimPrefix(fields, "{")
}

func TestParseSecrets(t *testing.T) {
	t.Parallel()
	docs, err := cip.Parse([]byte(secret(`{data: {a: YQ==, b: "Yg==\n", none: null, empty: ""}, stringData: {a: A, c: c}, immutable: true}`) + "\n---\n" +
		strings.Replace(secret("{type: kubernetes.io/dockerconfigjson}"), "name: s", "name: s, namespace: team, labels: {a: b}, uid: x", 1) + "\n---\n" +
		strings.Replace(configMap("{data: {k: v}, binaryData: {b: Yg==}}"), "name: c", "name: c, namespace: cosign-system", 1)))
	if err != nil {
		t.Fatal(err)
	}
	want := &cip.Documents{
		Secrets: []cip.Secret{
			{Name: "s", Type: "Opaque", Data: map[string][]byte{"a": []byte("A"), "b": []byte("b"), "c": []byte("c"), "none": nil, "empty": {}}},
			{Name: "s", Namespace: "team", Type: "kubernetes.io/dockerconfigjson", Data: map[string][]byte{}},
		},
		ConfigMaps: []cip.ConfigMap{{Name: "c", Namespace: "cosign-system", Data: map[string]string{"k": "v"}}},
	}
	if diff := cmp.Diff(want, docs); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
	for i, want := range []bool{true, false} {
		if got := docs.Secrets[i].System(); got != want {
			t.Errorf("secret %d may be meant by a secretRef: got %t, want %t", i, got, want)
		}
	}
	if !docs.ConfigMaps[0].System() {
		t.Error("configmap of the system namespace: got false, want true")
	}
}

// TestParseSecretsRefuses: what is wrong is named, and the value never is.
func TestParseSecretsRefuses(t *testing.T) {
	t.Parallel()
	const here = "document 0: Secret s: "
	large := strings.Repeat("h", 1<<20)
	for _, c := range []struct{ name, yaml, want string }{
		{"bytes that are no base64", secret("{data: {k: hunter2!}}"), here + "unable to unmarshal: illegal base64 data at input byte 7: data.k"},
		{"base64 of a URL", secret("{data: {k: aHVudGVy-_==}}"), here + "unable to unmarshal: illegal base64 data at input byte 8: data.k"},
		{"number", secret("{stringData: {k: 12345678}}"), here + "unable to unmarshal: got a number, want a string: stringData.k"},
		{"object", secret("{data: {k: {hunter2: hunter2}}}"), here + "unable to unmarshal: got an object, want a string: data.k"},
		{"data that is a text", secret("{data: hunter2}"), here + "unable to unmarshal: got a string, want an object: data"},
		{"unknown field", secret("{spec: hunter2}"), here + `unable to unmarshal: json: unknown field "spec": spec`},
		{"letter case of a field", secret("{stringdata: {k: hunter2}}"), here + `unable to unmarshal: json: unknown field "stringdata": stringdata`},
		{"immutable that is no boolean", secret("{immutable: hunter2}"), here + "unable to unmarshal: got a string, want a boolean: immutable"},
		{"alias without an anchor", secret("{stringData: {k: *hunter2 }}"), `document 0: decoding object[0]: yaml: unknown anchor referenced (a value that starts with * has to be quoted, as in glob: "*")`},
		{"type of its own", secret("{stringData: {k: !hunter2 a}}"),
			"document 0: decoding object[0]: line 1: got a value with a type, want none (a value that starts with ! has to be quoted)"},
		{"not UTF-8", secret("{stringData: {k: hunter2\xff}}"), "got bytes that are not UTF-8"},
		{"key with a space", secret("{data: {a b: aHVudGVyMg==}}"),
			here + "validation failed: invalid value: \"a b\": data\na key of at most 253 letters, digits, '-', '_' and '.' is expected"},
		{"no name", "{apiVersion: v1, kind: Secret, metadata: {}}", "document 0: validation failed: missing field(s): [0].metadata.name"},
		{"namespace that is none", strings.Replace(secret("{type: t}"), "name: s", `name: s, namespace: "A b"`, 1),
			here + "validation failed: invalid value: \"A b\": metadata.namespace\na lowercase RFC 1123 label is expected"},
		{"1 MiB and a byte", secret("{stringData: {k: " + large + ", l: h}}"), here + "validation failed: got 1048577 bytes, want at most 1048576: data"},
		{"two of one name", secret("{stringData: {k: hunter2}}") + "\n---\n" + secret("{stringData: {k: hunter3}}"),
			`document 1: Secret s: duplicate secret named "s", and the two differ`},
		{"two that one reference could mean", secret("{type: t}") + "\n---\n" + strings.Replace(secret("{type: t}"), "name: s", "name: s, namespace: cosign-system", 1),
			`document 1: Secret s: duplicate secret named "s", and the two differ`},
		{"ConfigMap with a key twice", configMap("{data: {k: v}, binaryData: {k: dg==}}"),
			"document 0: ConfigMap c: validation failed: expected exactly one, got both: binaryData.k, data.k"},
		{"ConfigMap too large", configMap("{data: {k: " + large + ", l: h}}"), "document 0: ConfigMap c: validation failed: got 1048577 bytes, want at most 1048576: data"},
		{"ConfigMap of another version", "{apiVersion: v2, kind: ConfigMap, metadata: {name: c}}", "document 0: ConfigMap c: unknown type: /v2, Kind=ConfigMap"},
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
			if strings.Contains(fmt.Sprint(err), "hunter") {
				t.Error("the error holds a secret value")
			}
		})
	}
}

func TestParseSecretOfOneMebibyte(t *testing.T) {
	t.Parallel()
	docs, err := cip.Parse([]byte(secret("{stringData: {k: " + strings.Repeat("h", 1<<20) + "}}")))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(docs.Secrets[0].Data["k"]); got != 1<<20 {
		t.Errorf("got %d bytes, want %d", got, 1<<20)
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	s := cip.Secret{Name: "s", Data: map[string][]byte{"k": []byte("hunter2")}}
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	text := string(encoded) + fmt.Sprintf("%v %+v %#v %s %v", s, s, s, s, []cip.Secret{s})
	for _, form := range []string{"hunter2", "104", "aHVudGVyMg", "68756e74"} {
		if strings.Contains(text, form) {
			t.Errorf("got %s, want no value in it", text)
		}
	}
}
