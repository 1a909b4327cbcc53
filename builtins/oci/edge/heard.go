package edge

import "net/http"

// heard tells of every answer.
type heard struct {
	inner http.RoundTripper
	tell  func(Code)
}

// Heard is a transport that tells the code of every answer, the empty one for what is no
// refusal. Nil is told nothing.
func Heard(inner http.RoundTripper, tell func(Code)) http.RoundTripper {
	if tell == nil {
		return inner
	}
	return heard{inner, tell}
}

// RoundTrip implements http.RoundTripper.
func (h heard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := h.inner.RoundTrip(req)
	switch {
	case err != nil:
		h.tell(Refusal("", err).Code)
	case resp.StatusCode >= http.StatusBadRequest:
		h.tell(RefuseStatus("", resp.StatusCode).Code)
	default:
		h.tell("")
	}
	return resp, err
}
