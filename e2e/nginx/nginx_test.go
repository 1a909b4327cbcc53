package nginx_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/e2e/nginx"
)

// reader is a client, with a certificate or without, that does not wait long.
func reader(t *testing.T, s *nginx.Server, certificate bool) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(s.Roots)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	config.RootCAs.AppendCertsFromPEM(pem)
	if certificate {
		pair, err := tls.LoadX509KeyPair(s.Client, s.ClientKey)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: config},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func get(t *testing.T, client *http.Client, url string, header map[string]string) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range header {
		request.Header.Set(key, value)
	}
	response, err := client.Do(request)
	if err == nil {
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	return response, err
}

func TestItServesFilesWithETags(t *testing.T) {
	t.Parallel()
	s := nginx.Start(t, nginx.Options{})
	client := reader(t, s, false)
	var tags []string
	for _, want := range []string{"first", "other"} { // of the same size, in the same second
		s.Publish("file", []byte(want))
		response, err := get(t, client, s.URL+"/file", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if err != nil || string(got) != want {
			t.Errorf("got %q and %v, want %q", got, err, want)
		}
		tags = append(tags, response.Header.Get("ETag"))
	}
	if tags[0] == "" || tags[0] == tags[1] {
		t.Errorf("got ETags %q, want two that differ", tags)
	}
	response, err := get(t, client, s.URL+"/file", map[string]string{"If-None-Match": tags[1]})
	if err != nil || response.StatusCode != http.StatusNotModified {
		t.Errorf("got %v and %v, want 304 for its own ETag", response, err)
	}
	unchanged := regexp.MustCompile(`(?m)^GET ` + regexp.QuoteMeta(s.URL) + `/file 304$`)
	for deadline := time.Now().Add(time.Minute); s.Asked(unchanged) != 1; { // the log comes after the answer
		if time.Now().After(deadline) {
			t.Fatalf("log: got %d requests that were answered 304, want 1", s.Asked(unchanged))
		}
		<-time.After(time.Millisecond)
	}
}

func TestWhoMayRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		options     nginx.Options
		certificate bool
		token       string
		want        int
	}{
		"a token that is right":   {nginx.Options{Token: "s3cret"}, false, "s3cret", http.StatusOK},
		"a token that is wrong":   {nginx.Options{Token: "s3cret"}, false, "guess", http.StatusUnauthorized},
		"no token":                {nginx.Options{Token: "s3cret"}, false, "", http.StatusUnauthorized},
		"a certificate":           {nginx.Options{Certificates: true}, true, "", http.StatusOK},
		"no certificate":          {nginx.Options{Certificates: true}, false, "", http.StatusBadRequest},
		"a certificate, no token": {nginx.Options{Certificates: true, Token: "s3cret"}, true, "", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := nginx.Start(t, tt.options)
			s.Publish("file", []byte("content"))
			header := map[string]string{}
			if tt.token != "" {
				header["Authorization"] = "Bearer " + tt.token
			}
			response, err := get(t, reader(t, s, tt.certificate), s.URL+"/file", header)
			if err != nil || response.StatusCode != tt.want {
				t.Errorf("got %v and %v, want %d", response, err, tt.want)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s := nginx.Start(t, nginx.Options{})
	s.Publish("file", []byte(strings.Repeat("content", 1000)))
	client := reader(t, s, false)
	s.Fail(nginx.Broken)
	if response, err := get(t, client, s.URL+"/file", nil); err != nil || response.StatusCode != http.StatusInternalServerError {
		t.Errorf("broken: got %v and %v, want 500", response, err)
	}
	s.Fail(nginx.Redirecting)
	response, err := get(t, client, s.URL+"/file", nil)
	if err != nil || response.Header.Get("Location") != s.Elsewhere+"/file" {
		t.Errorf("redirecting: got %v and %v, want a redirect to %s", response, err, s.Elsewhere)
	}
	if response, err := get(t, client, s.Elsewhere+"/file", nil); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("elsewhere: got %v and %v, want the file", response, err)
	}
	s.Fail(nginx.Looping)
	if response, err := get(t, client, s.URL+"/file", nil); err != nil || response.Header.Get("Location") != s.URL+"/file" {
		t.Errorf("looping: got %v and %v, want a redirect to itself", response, err)
	}
	s.Fail(nginx.Downgrading)
	if response, err := get(t, client, s.URL+"/file", nil); err != nil || response.Header.Get("Location") != "http"+s.URL[len("https"):]+"/file" {
		t.Errorf("downgrading: got %v and %v, want a redirect to http", response, err)
	}
	s.Fail(nginx.Flapping)
	for seen := map[int]bool{}; !seen[http.StatusOK] || !seen[http.StatusInternalServerError]; {
		response, err := get(t, client, s.URL+"/file", nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[response.StatusCode] = true
	}
	s.Fail(nginx.Stalled)
	client.Timeout = 100 * time.Millisecond
	response, err = get(t, client, s.URL+"/file", nil)
	if err == nil {
		_, err = io.ReadAll(response.Body)
	}
	if timeout := (interface{ Timeout() bool })(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("stalled: got %v, want no end of the file", err)
	}
	client.Timeout = 0
	s.Down()
	if _, err := get(t, client, s.URL+"/file", nil); err == nil {
		t.Error("down: got an answer")
	}
	s.Fail(nginx.None)
	if response, err := get(t, client, s.URL+"/file", nil); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("up: got %v and %v, want the file", response, err)
	}
}

func TestItKeepsWhatIsPosted(t *testing.T) {
	t.Parallel()
	s := nginx.Start(t, nginx.Options{Token: "s3cret", Certificates: true})
	client := reader(t, s, true)
	post := func(token, body string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/logs", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	if got := post("s3cret", "first"); got != http.StatusNoContent {
		t.Errorf("got %d, want 204", got)
	}
	if got := post("guess", "stranger"); got != http.StatusUnauthorized {
		t.Errorf("a wrong token: got %d, want 401", got)
	}
	s.Fail(nginx.Broken)
	if got := post("s3cret", "lost"); got != http.StatusInternalServerError {
		t.Errorf("broken: got %d, want 500", got)
	}
	s.Fail(nginx.None)
	if got := post("s3cret", "second"); got != http.StatusNoContent {
		t.Errorf("well again: got %d, want 204", got)
	}
	var got []string
	for _, body := range s.Kept("logs") {
		got = append(got, string(body))
	}
	slices.Sort(got)
	if want := []string{"first", "second"}; !slices.Equal(got, want) || len(s.Kept("status")) > 0 {
		t.Errorf("got %q, want %q", got, want)
	}
}
