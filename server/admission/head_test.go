package admission

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeadNamesAReview(t *testing.T) {
	t.Parallel()
	whole, err := Decode([]byte(podReview))
	if err != nil {
		t.Fatal(err)
	}
	whole.Raw, whole.Values = nil, 0
	object := strings.Index(podReview, `"object"`)
	for name, cut := range map[string]int{
		"all of it":                        len(podReview),
		"up to the object":                 object,
		"up to the middle of the object":   object + 60,
		"up to the middle of its name":     object + 4,
		"up to the middle of a string":     strings.Index(podReview, "ghcr.io") + 3,
		"up to the middle of what follows": strings.Index(podReview, `"groups"`) + 12,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := Head([]byte(podReview[:cut]))
			want := whole
			want.DryRun = cut == len(podReview) // it stands behind the object
			if diff := cmp.Diff(want, got); diff != "" || !ok {
				t.Errorf("got %v, head (-want +got):\n%s", ok, diff)
			}
		})
	}
}

func TestHeadRefuses(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]string{
		"nothing":                    "",
		"white space":                strings.Repeat(" ", 100),
		"a string":                   `"AdmissionReview"`,
		"a list":                     "[" + minimal("") + "]",
		"another kind":               strings.Replace(minimal(""), "AdmissionReview", "Pod", 1),
		"a kind that is no string":   strings.Replace(minimal(""), `"AdmissionReview"`, "7", 1),
		"a version of tomorrow":      strings.Replace(minimal(""), "/v1", "/v2", 1),
		"no request":                 `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`,
		"a request that is a list":   `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":[{"uid":"u"}]}`,
		"no uid":                     strings.Replace(minimal(""), `"uid":"u"`, `"name":"u"`, 1),
		"a uid that is a number":     strings.Replace(minimal(""), `"u"`, "42", 1),
		"a uid that is cut":          `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"705ab4f5`,
		"a uid behind what is cut":   `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"object":{"a":"`,
		"a uid of the object":        `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"object":{"uid":"u"}}}`,
		"a kind behind what is cut":  `{"apiVersion":"admission.k8s.io/v1","request":{"uid":"u","object":{"a":"`,
		"bytes that are not JSON":    "\x00\x01\x02",
		"a member without its value": `{"kind"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := Head([]byte(start)); ok {
				t.Errorf("got %+v, want none", got)
			}
		})
	}
}

// What an API server may send and we do not read is told apart from what none would send.
func TestExcessIsToldApart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want bool
	}{
		"values that are nested too deep": {minimal(`,"object":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)), true},
		"too many values":                 {minimal(`,"object":[` + strings.Repeat("0,", MaxValues) + `0]`), true},
		"two objects":                     {minimal(`,"object":{},"object":{}`), false},
		"no JSON":                         {"{", false},
		"another kind":                    {`{"kind":"Pod"}`, false},
	} {
		_, err := Decode([]byte(test.body))
		var excess *Excess
		if got := errors.As(err, &excess); got != test.want {
			t.Errorf("%s: got %v (%v), want %v", name, got, err, test.want)
		}
	}
}

func TestFailureIsAStatus(t *testing.T) {
	t.Parallel()
	got, err := Failure(413, "too large")
	want := `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too large","code":413}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// FuzzHead holds what the beginning of a review says to what the whole does.
func FuzzHead(f *testing.F) {
	for _, seed := range []string{podReview, minimal(""), minimal(`,"object":{"a":[{"b":"}\"{"}]}`), `{"request":{"uid":`, "[", ""} {
		f.Add([]byte(seed), len(seed)/2)
	}
	f.Fuzz(func(t *testing.T, body []byte, cut int) {
		head, ok := Head(body[:max(0, min(cut, len(body)))])
		if !ok {
			return
		}
		answer, err := Respond(head, Validation, Verdict{})
		if err != nil || !json.Valid(answer) {
			t.Fatalf("got %s, %v", answer, err)
		}
		if review, err := Decode(body); err == nil && (review.UID != head.UID || review.APIVersion != head.APIVersion) {
			t.Fatalf("got %+v of the beginning, want %+v", head, review)
		}
	})
}
