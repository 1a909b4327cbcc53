package admission

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// podReview is a review as an API server sends it.
const podReview = `{
  "kind": "AdmissionReview",
  "apiVersion": "admission.k8s.io/v1",
  "request": {
    "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
    "kind": {"group": "", "version": "v1", "kind": "Pod"},
    "resource": {"group": "", "version": "v1", "resource": "pods"},
    "subResource": "ephemeralcontainers",
    "name": "web",
    "namespace": "shop",
    "operation": "UPDATE",
    "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
    "object": {"kind": "Pod", "spec": {"containers": [{"image": "ghcr.io/a/b:v1", "env": [{"name": "Q", "value": "\"}{\\"}]}]}},
    "oldObject": null,
    "dryRun": true,
    "options": null
  }
}`

// minimal is the least that is readable, with what goes into its request.
func minimal(members string) string {
	return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u"` + members + `}}`
}

func TestDecodeReadsTheEnvelope(t *testing.T) {
	t.Parallel()
	got, err := Decode([]byte(podReview))
	if err != nil {
		t.Fatal(err)
	}
	want := Review{
		APIVersion:  "admission.k8s.io/v1",
		UID:         "705ab4f5-6393-11e8-b7cc-42010a800002",
		Kind:        metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
		SubResource: "ephemeralcontainers",
		Namespace:   "shop",
		Name:        "web",
		Operation:   "UPDATE",
		DryRun:      true,
		Values:      33,
		Raw:         []byte(podReview),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("review (-want +got):\n%s", diff)
	}
}

func TestDecodeAccepts(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a review with a uid and nothing else":         minimal(""),
		"v1beta1":                                      strings.Replace(minimal(""), "/v1", "/v1beta1", 1),
		"an object that is null":                       minimal(`,"object":null`),
		"an object of another type, the engine's work": minimal(`,"object":[1]`),
		"RES-9: members that the API may add":          minimal(`,"tomorrow":{"x":1}`),
		"fields that are null":                         minimal(`,"name":null,"kind":null,"dryRun":null`),
		"white space around the document":              " \n\t" + minimal("") + "\r\n ",
		"a name that is written with escapes":          strings.Replace(minimal(""), `"uid"`, `"\u0075id"`, 1),
		"one name twice within the object":             minimal(`,"object":{"a":1,"a":2}`),
		"an object nested as deep as the bound": minimal(`,"object":` +
			strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1)),
		"as many values as the bound": minimal(`,"object":[` + strings.Repeat("0,", MaxValues-6) + `0]`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Decode([]byte(body)); err != nil {
				t.Errorf("got %v, want a review", err)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	for name, test := range map[string]struct{ body, want string }{
		"an empty body": {"", "review: got an empty body, want an AdmissionReview"},
		"text that is not JSON": {
			"hello", "review: got invalid JSON at byte 1, want one JSON document"},
		"JSON that is cut off": {
			`{"kind":`, "review: got invalid JSON at byte 8, want one JSON document"},
		"a second document": {
			minimal("") + "{}", "review: got invalid JSON at byte 84, want one JSON document"},
		"a byte order mark": {
			"\ufeff{}", "review: got invalid JSON at byte 1, want one JSON document"},
		"bytes that are not UTF-8": {
			minimal(`,"name":"` + "\xff" + `"`), "review: got bytes that are not UTF-8, want JSON"},
		"an array":  {`[]`, "review: got an array, want an object"},
		"a string":  {`"review"`, "review: got a string, want an object"},
		"a boolean": {`true`, "review: got a boolean, want an object"},
		"a number":  {`1`, "review: got a number, want an object"},
		"null":      {`null`, "review: got null, want an object"},
		"no kind":   {`{}`, `kind: got "", want AdmissionReview`},
		"another kind": {
			strings.Replace(minimal(""), "AdmissionReview", "Pod", 1), `kind: got "Pod", want AdmissionReview`},
		"a kind that is not a string": {
			`{"kind":7}`, "kind: got a number, want a string"},
		"no version": {
			`{"kind":"AdmissionReview"}`,
			`apiVersion: got "", want admission.k8s.io/v1 or admission.k8s.io/v1beta1`},
		"a version of tomorrow": {
			strings.Replace(minimal(""), "/v1", "/v2", 1),
			`apiVersion: got "admission.k8s.io/v2", want admission.k8s.io/v1 or admission.k8s.io/v1beta1`},
		"a version that is not a string": {
			`{"kind":"AdmissionReview","apiVersion":{}}`, "apiVersion: got an object, want a string"},
		"no request": {
			`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`,
			"request: got none, want an object"},
		"a request that is null": {
			`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}`,
			"request: got null, want an object"},
		"no uid": {
			strings.Replace(minimal(""), `"uid":"u"`, `"operation":"CREATE"`, 1),
			"request.uid: got none, want the uid that the answer repeats"},
		"an empty uid": {
			strings.Replace(minimal(""), `"u"`, `""`, 1),
			"request.uid: got none, want the uid that the answer repeats"},
		"a uid that is a number": {
			strings.Replace(minimal(""), `"u"`, `42`, 1), "request.uid: got a number, want a string"},
		"a kind of the object that is a string": {
			minimal(`,"kind":"Pod"`), "request.kind: got a string, want an object"},
		"a version of the object that is an array": {
			minimal(`,"kind":{"version":[]}`), "request.kind.version: got an array, want a string"},
		"a dryRun that is a string": {
			minimal(`,"dryRun":"yes"`), "request.dryRun: got a string, want a boolean"},
		"a name that is a boolean": {
			minimal(`,"name":true`), "request.name: got a boolean, want a string"},
		"two requests": {
			strings.Replace(minimal(""), `"request"`, `"request":{"uid":"v"},"request"`, 1),
			`review: got "request" twice, want each member once`},
		"two objects": {
			minimal(`,"object":{},"object":{}`), `request: got "object" twice, want each member once`},
		"two objects, one written with escapes": {
			minimal(`,"object":{},"ob\u006aect":{}`), `request: got "object" twice, want each member once`},
		"a member in another case": {
			strings.Replace(minimal(""), `"request"`, `"Request"`, 1),
			`review: got member "Request", want "request"`},
		"an object in another case": {
			minimal(`,"OBJECT":{}`), `request: got member "OBJECT", want "object"`},
		"a member spelled with a sign that folds": {
			minimal(",\"\u212aind\":{}"), "request: got member \"\u212aind\", want \"kind\""},
		"a million values": {
			minimal(`,"object":[` + strings.Repeat("0,", 999_999) + `0]`),
			"review: got 1000005 values or more, want at most 300000"},
		"objects with nothing in them": {
			minimal(`,"object":[` + strings.Repeat("{},", 999_999) + `{}]`),
			"review: got 2000005 values or more, want at most 300000"},
		"too many values in several members": {
			`{"a":[` + strings.Repeat("0,", 149_999) + `0],"b":[` + strings.Repeat("0,", 149_999) + `0]}`,
			"review: got 300002 values or more, want at most 300000"},
		"an object nested too deep": {
			minimal(`,"object":` + deep), "review: got values nested deeper than 512"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			review, err := Decode([]byte(test.body))
			if err == nil {
				t.Fatalf("got %+v, want the error %q", review, test.want)
			}
			if got := err.Error(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDecodeNeverShowsTheObject(t *testing.T) {
	t.Parallel()
	body := minimal(`,"name":["s3cret"],"object":{"spec":{"containers":[{"env":[{"value":"s3cret"}]}]}}`)
	for cut := range len(body) {
		if _, err := Decode([]byte(body[:cut])); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Fatalf("first %d bytes: got %v, want an error without the secret", cut, err)
		}
	}
	if _, err := Decode([]byte(body)); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Fatalf("got %v, want an error without the secret", err)
	}
}
