package e2e_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// metric waits until a replica has a metric, a line that matches. Unlike a review, whoever
// reaches the port may ask for them.
func metric(ts *testscript.TestScript, s *story, args []string) { asked(ts, s, "/metrics", args) }

// ready waits until a replica says so of its readiness, whether it is ready or not.
func ready(ts *testscript.TestScript, s *story, args []string) { asked(ts, s, "/readyz?verbose", args) }

// asked waits for an answer of a replica with a line that matches.
func asked(ts *testscript.TestScript, s *story, path string, args []string) {
	r := s.named(ts, args[0])
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate has the name of the Service
	}}
	defer client.CloseIdleConnections()
	var text []byte
	for late := time.Now().Add(patience); !pattern.Match(text); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(late) {
			ts.Fatalf("got no %s at %s within %s:\n%s", args[1], path, patience, text)
		}
		response, err := client.Get("https://" + r.address + path)
		ts.Check(err)
		text, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
		ts.Check(err)
	}
}
