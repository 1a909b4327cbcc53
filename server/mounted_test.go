package server

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// echoing answers what it was posted.
func echoing() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = w.Write(text)
	})
}

func ask(t *testing.T, client *http.Client, method, url, authorization, body string) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(read)
}

func TestWhoMayAskWhatIsMounted(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	var failure error
	config.Token = func() (string, error) { return "secret", failure }
	config.Mounted = []Mounted{
		{Method: http.MethodPost, Path: "/closed/*", Handler: echoing()},
		{Method: http.MethodGet, Path: "/open", Handler: echoing(), Open: true},
	}
	s := start(t, config)
	for _, tt := range []struct {
		name, method, path, authorization, body string
		want                                    int
	}{
		{"whoever it is, what is open", "GET", "/open", "", "", 200},
		{"nobody without a token", "POST", "/closed/x", "", "b", 401},
		{"nobody with a part of it", "POST", "/closed/x", "Bearer secre", "b", 401},
		{"nobody with more than it", "POST", "/closed/x", "Bearer secrets", "b", 401},
		{"nobody with another scheme", "POST", "/closed/x", "Basic secret", "b", 401},
		{"who has it", "POST", "/closed/x", "Bearer secret", "b", 200},
		{"who writes the scheme in another way", "POST", "/closed/x", "bearer secret", "b", 200},
		{"no other method", "PUT", "/closed/x", "Bearer secret", "b", 405},
		{"no more than there is room for", "POST", "/closed/x", "Bearer secret", strings.Repeat("x", mountedBody+1), 413},
	} {
		if got, text := ask(t, http.DefaultClient, tt.method, s.url+tt.path, tt.authorization, tt.body); got != tt.want {
			t.Errorf("%s: got %d %.100s, want %d", tt.name, got, text, tt.want)
		}
	}
	failure = errors.New("the file is gone")
	if got, _ := ask(t, http.DefaultClient, "POST", s.url+"/closed/x", "Bearer secret", ""); got != 503 {
		t.Errorf("a token that cannot be read: got %d, want 503", got)
	}
}

func TestMountedForCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, _ := tlsConfig(t, ca)
	config.TLS.ClientCAFile = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(config.TLS.ClientCAFile, ca.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	config.Mounted = []Mounted{{Method: http.MethodPost, Path: "/closed", Handler: echoing()}}
	s := start(t, config)
	if got, _ := ask(t, ca.client(t), "POST", s.url+"/closed", "Bearer x", ""); got != 401 {
		t.Errorf("without a certificate: got %d, want 401", got)
	}
	if got, _ := ask(t, ca.client(t, ca.issue(t, 7, "127.0.0.1")), "POST", s.url+"/closed", "", ""); got != 200 {
		t.Errorf("with a certificate: got %d, want 200", got)
	}
}

func TestMountedForNobodyInParticular(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.Mounted = []Mounted{{Method: http.MethodPost, Path: "/closed", Handler: echoing()}}
	if _, err := New(config); err == nil || !strings.Contains(err.Error(), "want a token, or a client CA") {
		t.Errorf("got %v, want a refusal", err)
	}
}

// TestMountedReadsNothingThatIsPacked: handlers unpack hundreds of MiB of what is small when
// it is counted.
func TestMountedReadsNothingThatIsPacked(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.Mounted = []Mounted{{Method: http.MethodPost, Path: "/x", Handler: echoing(), Open: true}}
	s := start(t, config)
	for _, encodings := range [][]string{{"gzip"}, {"x-gzip"}, {"identity"}, {"", "gzip"}} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/x", strings.NewReader("b"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header["Content-Encoding"] = encodings
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusUnsupportedMediaType {
			t.Errorf("%q: got %d, want 415", encodings, answer.StatusCode)
		}
	}
}

// TestMountedHasFewSlots of its own, and what is open others than what is not.
func TestMountedHasFewSlots(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.Token = func() (string, error) { return "secret", nil }
	entered, leave := make(chan struct{}), make(chan struct{})
	config.Mounted = []Mounted{
		{Method: http.MethodPost, Path: "/closed", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			entered <- struct{}{}
			<-leave
		})},
		{Method: http.MethodGet, Path: "/open", Handler: echoing(), Open: true},
	}
	s := start(t, config)
	most := min(16, 4*runtime.GOMAXPROCS(0))
	var asking sync.WaitGroup
	for range most {
		asking.Go(func() {
			request, _ := http.NewRequest(http.MethodPost, s.url+"/closed", nil)
			request.Header.Set("Authorization", "Bearer secret")
			if answer, err := http.DefaultClient.Do(request); err == nil {
				_ = answer.Body.Close()
			}
		})
		<-entered
	}
	if got, _ := ask(t, http.DefaultClient, "GET", s.url+"/open", "", ""); got != 200 {
		t.Errorf("what is open: got %d, want 200", got)
	}
	more := make(chan int, 1)
	go func() {
		got, _ := ask(t, http.DefaultClient, "POST", s.url+"/closed", "Bearer secret", "")
		more <- got
	}()
	select {
	case got := <-more:
		if got != 503 {
			t.Errorf("one more: got %d, want 503", got)
		}
	case <-entered:
		t.Error("one more than there are slots is let in")
	}
	close(leave)
	asking.Wait()
}

func TestMountedThatIsOverloadedOrSlow(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.MaxInFlight, config.Timeout = 1, time.Second
	entered := make(chan struct{})
	config.Mounted = []Mounted{{Method: http.MethodGet, Path: "/slow", Open: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done() // its deadline
		w.WriteHeader(http.StatusGatewayTimeout)
	})}}
	s := start(t, config)
	first := make(chan int, 1)
	go func() {
		answer, err := http.Get(s.url + "/slow")
		if err != nil {
			first <- 0
			return
		}
		_ = answer.Body.Close()
		first <- answer.StatusCode
	}()
	<-entered
	if got, _ := ask(t, http.DefaultClient, "GET", s.url+"/slow", "", ""); got != 503 {
		t.Errorf("the second: got %d, want 503", got)
	}
	if got := <-first; got != 504 {
		t.Errorf("the first: got %d, want 504", got)
	}
}
