package edge

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// status answers with itself, and 0 not at all.
type status int

func (s status) RoundTrip(*http.Request) (*http.Response, error) {
	if s == 0 {
		return nil, errors.New("refused")
	}
	return &http.Response{StatusCode: int(s), Body: http.NoBody}, nil
}

// TestHeard: every answer is told by a code of the closed list, whatever a stranger
// answers with.
func TestHeard(t *testing.T) {
	t.Parallel()
	var got []Code
	for _, answer := range []status{200, 307, 401, 403, 404, 418, 429, 500, 999, 0} {
		resp, err := Heard(answer, func(code Code) { got = append(got, code) }).
			RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://registry.example/v2/", nil))
		if err == nil {
			_ = resp.Body.Close()
		}
	}
	want := []Code{"", "", Unauthorized, Unauthorized, NotFound, Malformed, RateLimited, Unreachable, Unreachable, Unreachable}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if _, same := Heard(status(200), nil).(status); !same {
		t.Error("got another transport where nobody listens")
	}
}
