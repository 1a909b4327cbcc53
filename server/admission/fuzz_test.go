package admission

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzDecode holds what Decode accepts against encoding/json, which reads the
// same bytes the slow way, and asks for an answer to it.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		podReview, minimal(""), minimal(`,"object":{"a":[{"b":"}\"{"}]}`), minimal(`,"uid":"v"`),
		minimal(`,"\u006eame":"n"`), `{"kind":"AdmissionReview"}`, `[]`, `null`, `{}`, `{"":{}}`, "", "\ufeff{}",
		strings.Replace(minimal(""), "/v1", "/v1beta1", 1), minimal("") + "{}", strings.Repeat("[", 2*MaxDepth),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		review, err := Decode(body)
		if err != nil {
			return
		}
		var slow map[string]any
		if err := json.Unmarshal(body, &slow); err != nil {
			t.Fatalf("accepted what is not JSON: %v", err)
		}
		request, _ := slow["request"].(map[string]any)
		if request["uid"] != review.UID || slow["apiVersion"] != review.APIVersion {
			t.Fatalf("got %+v, want the uid and version of %v", review, slow)
		}
		answer, err := Respond(review, Validation, Verdict{})
		if err != nil {
			t.Fatal(err)
		}
		var back struct{ Response struct{ UID string } }
		if err := json.Unmarshal(answer, &back); err != nil || back.Response.UID != review.UID {
			t.Fatalf("got uid %q in the answer (%v), want %q", back.Response.UID, err, review.UID)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for name, size := range map[string]int{"1KB": 1 << 10, "100KB": 100 << 10} {
		b.Run(name, func(b *testing.B) {
			container := `{"name":"c","image":"ghcr.io/acme/app@sha256:0123456789abcdef","env":[{"name":"A","value":"b"}]},`
			count := max(1, (size-len(podReview))/len(container))
			body := []byte(minimal(`,"kind":{"version":"v1","kind":"Pod"},"namespace":"shop","operation":"CREATE",` +
				`"object":{"spec":{"containers":[` + strings.TrimSuffix(strings.Repeat(container, count), ",") + `]}}`))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
