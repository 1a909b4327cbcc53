// Package redact takes the queries out of URLs: in those of stores stand signatures, by which
// whoever reads a log or a status could read the store. OPA's status is seen by whoever its config
// file says, so that they have to be gone before OPA's plugins see an error.
package redact

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/open-policy-agent/opa/v1/plugins/logs"
)

var (
	// OPA joins the URL of a service as a path, too: "https:/host".
	query = regexp.MustCompile(`(https?:/[^\s"?]*)\?[^\s"]*`)
	// Nobody has a host in invalid: what is brought to OPA is asked for there.
	brought = regexp.MustCompile(`(request failed: )?Get "http://[a-z.]+\.invalid/[^"]*": `)
)

// Text is a text whose URLs have no queries. What is brought to OPA has no URL at all.
func Text(text string) string {
	if !strings.Contains(text, ":/") {
		return text
	}
	return query.ReplaceAllString(brought.ReplaceAllString(text, ""), "$1")
}

// Fields are those of a line of the log without them. What is in an entry of the decision log is for
// masks to say, as in all its sinks.
func Fields(fields map[string]any) map[string]any {
	if fields["type"] == logs.DecisionLogType {
		return fields
	}
	out := make(map[string]any, len(fields))
	for name, of := range fields {
		out[name] = Value(of)
	}
	return out
}

// Value is a value of JSON, or an error, without the queries of URLs in its texts.
func Value(value any) any {
	switch value := value.(type) {
	case string:
		return Text(value)
	case error:
		return Text(value.Error())
	case []any:
		out := make([]any, len(value))
		for i, of := range value {
			out[i] = Value(of)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(value))
		for name, of := range value {
			out[name] = Value(of)
		}
		return out
	default:
		return value
	}
}

// Transport is one in whose errors are no queries, and in those of the [http.Client] that has it
// neither.
type Transport struct{ Next http.RoundTripper }

// RoundTrip implements [http.RoundTripper]. The client writes the URL of the request before an
// error, so that the request loses its query. What has it until then is a request with a URL
// of its own, in which others may still read.
func (t Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	own, at := request.WithContext(request.Context()), *request.URL
	own.URL = &at
	response, err := t.Next.RoundTrip(own)
	if err == nil {
		if err = leads(response); err == nil {
			return response, nil
		}
		_ = response.Body.Close()
	}
	request.URL.RawQuery, request.URL.ForceQuery = "", false
	if text := Text(err.Error()); text != err.Error() {
		err = &told{text, err}
	}
	return nil, err
}

// told is an error in other words.
type told struct {
	text string
	err  error
}

func (t *told) Error() string { return t.text }

func (t *told) Unwrap() error { return t.err }

// mostRedirects is fewer than [http.Client] follows.
const mostRedirects = 8

// leads refuses a redirect that [http.Client] would refuse, with the place that it leads to.
func leads(response *http.Response) error {
	if response.StatusCode < 300 || response.StatusCode >= 400 {
		return nil
	}
	if _, err := url.Parse(response.Header.Get("Location")); err != nil {
		return errors.New("redirected to what is no URL")
	}
	n := 0
	for from := response.Request; from != nil && from.Response != nil; from = from.Response.Request {
		n++
	}
	if n >= mostRedirects {
		return fmt.Errorf("redirected more than %d times", mostRedirects)
	}
	return nil
}
