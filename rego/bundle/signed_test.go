package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/plugins/discovery"
	"github.com/open-policy-agent/opa/v1/plugins/logs"
	"github.com/open-policy-agent/opa/v1/plugins/status"
	"github.com/open-policy-agent/opa/v1/server"

	"github.com/assay-dev/assay/rego/bundle"
)

// lines is a log that others read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestSignaturesOfURLsAreNowhere has bundles and decision logs behind signed URLs, which fail in
// each way that names its URL. What OPA's status plugin sees, each of its sinks has.
func TestSignaturesOfURLsAreNowhere(t *testing.T) {
	t.Parallel()
	const secret = "TOPSECRET"
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	}
	var unreadable bytes.Buffer
	zip := gzip.NewWriter(&unreadable)
	tape := tar.NewWriter(zip)
	const wrong = "package policies.one\n{{{"
	if err := tape.WriteHeader(&tar.Header{Name: "/policies/one.rego", Mode: 0o600, Size: int64(len(wrong))}); err != nil {
		t.Fatal(err)
	}
	if _, err := tape.Write([]byte(wrong)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tape.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc // nil is a server that is down
		want   string           // in the status
	}{
		{"a server that is down", nil, "connection refused"},
		{"one that says no", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "Forbidden"},
		{"one that hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		{"what is no bundle", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }, "main.tar.gz"},
		{"a bundle with Rego that cannot be read", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(unreadable.Bytes())
		}, "rego_parse_error"},
		{"a redirect elsewhere", redirect("http://127.0.0.1:1/other?sig=" + secret), "redirected to"},
		{"a redirect to itself", redirect("/again?sig=" + secret), "redirected"},
		{"a redirect to what is no URL", redirect("http://127.0.0.1:x/?sig=" + secret), "redirected"},
		{"a redirect to another scheme", redirect("ftp://127.0.0.1/?sig=" + secret), "redirected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, log := newService(t), &lines{}
			sent := make(chan []byte, 100)
			s.answer(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasPrefix(r.URL.Path, "/status"):
					var body bytes.Buffer
					_, _ = body.ReadFrom(r.Body)
					sent <- body.Bytes()
				default:
					tt.answer(w, r)
				}
			})
			at := s.URL
			if tt.answer == nil {
				down := newService(t)
				at = down.URL
				down.Close()
			}
			signed := func(of string) string { return of + "?sv=1&sig=" + secret }
			config := fmt.Sprintf("services: {s: {url: %q}, sink: {url: %q}}\n", at, s.URL) +
				"bundles: {main: {service: s, resource: '" + signed("main.tar.gz") + "', trigger: manual}}\n" +
				"discovery: {service: s, resource: '" + signed("discovery.tar.gz") + "', trigger: manual}\n" +
				"decision_logs: {service: s, resource: '" + signed("logs") + "', reporting: {trigger: manual}}\n" +
				"status: {service: sink, console: true, trigger: manual}\n"
			m := open(t, config, &side{}, func(o *bundle.Options) {
				o.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			texts := []string{}
			note := func(err error) { texts = append(texts, fmt.Sprint(err)) }
			note(m.Trigger(t.Context()))
			note(discovery.Lookup(m.OPA()).Trigger(t.Context()))
			uploads := logs.Lookup(m.OPA())
			if err := uploads.Log(t.Context(), &server.Info{Path: "x"}); err != nil {
				t.Fatal(err)
			}
			note(uploads.Trigger(t.Context()))
			plugin := status.Lookup(m.OPA())
			snapshot, err := json.Marshal(plugin.Snapshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := plugin.Trigger(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(snapshot, []byte(tt.want)) {
				t.Errorf("got status %s, want %s in it", snapshot, tt.want)
			}
			if !strings.Contains(log.String(), "openpolicyagent.org/status") {
				t.Error("got no status in the log, want one")
			}
			for place, text := range map[string]string{
				"what triggers say": strings.Join(texts, "\n"), "the status": string(snapshot), "what is sent": string(<-sent), "the log": log.String(),
			} {
				for line := range strings.Lines(text) {
					if strings.Contains(line, secret) {
						t.Errorf("the signature is in %s: %s", place, line)
					}
				}
			}
		})
	}
}
