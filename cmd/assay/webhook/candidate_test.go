package webhook

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
)

// TestACandidateIsTriedBesideWhatServes: on the same decisions, together with the policies of
// files, and it decides nothing.
func TestACandidateIsTriedBesideWhatServes(t *testing.T) {
	t.Parallel()
	static := func(name, glob, action string) string {
		return `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "` + name + `"}, "spec": {
			"images": [{"glob": "` + glob + `"}], "authorities": [{"static": {"action": "` + action + `"}}]}}`
	}
	packed := func(revision, action string) []byte {
		return bundleOf(t, `{"revision": "`+revision+`", "roots": ["resources/ClusterImagePolicy/main"]}`, map[string]string{
			"resources/ClusterImagePolicy/main/data.json": static("main", "a.io/**", action),
		})
	}
	files := newBucket(t, map[string][]byte{"main": packed("1", "fail"), "next": packed("2", "pass")})
	dir, token := t.TempDir(), filepath.Join(t.TempDir(), "token")
	writeFiles(t, dir, map[string]string{"file.yaml": static("file", "b.io/**", "fail")})
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := strings.ReplaceAll(manual(t, files.URL, "main"), "trigger: manual, persist: true", "polling: {min_delay_seconds: 1, max_delay_seconds: 1}")
	f := withBundles(t, config, func(flags *wiring.Flags, from *bundled.Flags) {
		flags.Policies, from.Token, from.Canary = []string{dir}, token, map[string]string{"main": "next"}
		from.Try.Share, from.Try.Sample = 1, 1
	})
	f.becomes("the bundle", f.about("a.io/x"+digest), "failed policy: main")
	report := func() canary.Report { return f.candidate("secret") }
	f.becomes("the candidate", func() string { return report().Revision }, "2")
	f.becomes("a decision that the candidate changes", func() string {
		f.says("a.io/x" + digest)
		f.says("b.io/x" + digest)
		got := report()
		if got.Decisions[canary.NewlyAllowed] > 0 && got.Decisions[canary.Same] > 0 {
			return "both outcomes"
		}
		return ""
	}, "both outcomes")
	if got := report(); got.Decisions[canary.Unknown] != 0 || got.Decisions[canary.NewlyDenied] != 0 {
		t.Errorf("got %v, want decisions that are the same or newly allowed", got.Decisions)
	}
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "failed policy: main") {
		t.Errorf("got %q, want what serves to decide", got)
	}
	if got := get(t, f.url, "/canary"); !strings.Contains(got, "want Authorization") {
		t.Errorf("without a token: got %.100q, want a refusal", got)
	}
	if got := get(t, f.url, "/metrics"); !strings.Contains(got, `assay_canary_decisions_total{outcome="newly_allowed"} `) {
		t.Error("metrics: got no decisions of the candidate")
	}
}

// candidate is the report of a webhook about its candidate.
func (f *fleetMember) candidate(token string) (out canary.Report) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.url+"/canary", http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		f.t.Fatalf("%s: %v", text, err)
	}
	return out
}

// TestAReportNamesTheBundleThatIsTried: not one that was fetched since and is refused. Whoever
// promotes by its digest would let serve what nobody tried.
func TestAReportNamesTheBundleThatIsTried(t *testing.T) {
	t.Parallel()
	l, dir, token := newLibrary(t), t.TempDir(), filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	ofFile := func(glob string) map[string]string {
		return map[string]string{"file.yaml": strings.Replace(denying(glob, ""), `"name": "p"`, `"name": "file"`, 1)}
	}
	writeFiles(t, dir, ofFile("b.io/**"))
	l.publish(failing(t, "1", "first", "a.io/**", ""), "ci")
	tried := l.publishAs("candidate", failing(t, "2", "second", "a.io/**", ""), "ci")
	f := l.memberWith(t.TempDir(), func(flags *wiring.Flags, from *bundled.Flags) {
		flags.Policies, from.Token, from.Canary = []string{dir}, token, map[string]string{"main": l.host + "/acme/policies:candidate"}
		from.Try.Share, from.Try.Sample = 1, 1
	})
	says := func() string {
		got := f.candidate("secret")
		return got.Revision + " " + got.Digest + " " + got.Set + "."
	}
	f.becomes("the candidate", says, "2 "+tried[strings.Index(tried, "@")+1:])
	compiledWithout := func(before string) func() string {
		return func() string {
			if set := f.candidate("secret").Set; set != "" && set != before {
				return "compiled"
			}
			return ""
		}
	}
	f.becomes("the candidate", compiledWithout(""), "compiled")
	before := f.candidate("secret").Set
	// A file has the policy of this one.
	refused := failing(t, "3", "file", "a.io/**", "")
	l.publishAs("candidate", refused, "ci")
	f.becomes("another, fetched", func() string { return strings.Join(l.paths(), "\n") }, fmt.Sprintf("GET /v2/acme/policies/blobs/sha256:%x", sha256.Sum256(refused)))
	seen := len(l.paths())
	f.becomes("the next look at the tag", func() string { return strings.Join(l.paths()[seen:], "\n") }, "/manifests/candidate")
	writeFiles(t, dir, ofFile("c.io/**"))
	f.reloader.reload(t.Context())
	f.becomes("the candidate beside another file", compiledWithout(before), "compiled")
	if got, want := says(), "2 "+tried[strings.Index(tried, "@")+1:]; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestACandidateThatNobodyCanHave says so wherever one looks for it, and serving goes on.
func TestACandidateThatNobodyCanHave(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := func(from *bundled.Flags, resource string) {
		from.Token, from.Canary = token, map[string]string{"main": resource}
		from.Try.Share, from.Try.Sample = 1, 1
	}
	ofBucket := func(t *testing.T) (*fleetMember, func(body []byte)) {
		files := newBucket(t, map[string][]byte{"main": failing(t, "1", "p", "a.io/**", "")})
		text := strings.ReplaceAll(manual(t, files.URL, "main"), "trigger: manual, persist: true", "polling: {min_delay_seconds: 1, max_delay_seconds: 1}")
		f := withBundles(t, text, func(_ *wiring.Flags, from *bundled.Flags) { config(from, "next") })
		return f, func(body []byte) { files.put("next", body) }
	}
	ofRegistry := func(t *testing.T) (*fleetMember, func(body []byte)) {
		l := newLibrary(t)
		l.publish(failing(t, "1", "p", "a.io/**", ""), "ci")
		f := l.memberWith(t.TempDir(), func(_ *wiring.Flags, from *bundled.Flags) { config(from, l.host+"/acme/policies:candidate") })
		return f, func(body []byte) { l.publishAs("candidate", body, "ci") }
	}
	for name, tt := range map[string]struct {
		open func(*testing.T) (f *fleetMember, put func(body []byte))
		want string // of its absence
	}{
		"of a server":                        {ofBucket, "Not Found"},
		"of a registry, with a trust policy": {ofRegistry, "candidate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, put := tt.open(t)
			says := func(path string) func() string { return func() string { return get(t, f.url, path) } }
			report := func() canary.Report { return f.candidate("secret") }
			f.becomes("the report", func() string { return report().Error }, tt.want)
			if got := report(); got.Name != "" || !got.Since.IsZero() || !strings.Contains(got.Error, "bundle main: ") {
				t.Errorf("got %+v, want no candidate, and why", got)
			}
			f.becomes("readiness", says("/readyz?verbose"), "candidate bundle main: ")
			f.becomes("metrics", says("/metrics"), "assay_canary_failing 1\n")
			f.becomes("what serves", f.about("a.io/x"+digest), "failed policy: p")

			put(failing(t, "2", "p", "b.io/**", ""))
			f.becomes("the candidate", func() string { return report().Revision }, "2")
			f.becomes("metrics", says("/metrics"), "assay_canary_failing 0\n")
			if got := report(); got.Error != "" || got.Source != "" {
				t.Errorf("got %q and %q, want nothing wrong", got.Error, got.Source)
			}
			if got := get(t, f.url, "/readyz?verbose"); strings.Contains(got, "candidate bundle") {
				t.Errorf("readiness: got %q, want nothing of the candidate", got)
			}

			put(failing(t, "3", "p", "b.io/**", `, "colour": "red"`))
			f.becomes("the report of the candidate before", func() string { return report().Source }, "bundle main: ")
			if got := report(); got.Error != "" || got.Revision != "2" {
				t.Errorf("got %q, revision %q, want what is tried to be as it was", got.Error, got.Revision)
			}
			f.becomes("metrics", says("/metrics"), "assay_canary_failing 1\n")
		})
	}
}

// TestNobodyMayReadIt: without anybody who may, nothing is mounted that tells of decisions.
func TestNobodyMayReadIt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*bundled.Flags)
		want   string
	}{
		"a candidate":  {func(f *bundled.Flags) { f.Canary, f.Try.Share, f.Try.Sample = map[string]string{"main": "next"}, 1, 1 }, "/canary"},
		"the Data API": {func(f *bundled.Flags) { f.DataAPI = true }, "/v1/data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "opa.yaml")
			if err := os.WriteFile(file, []byte(manual(t, "http://localhost", "main")), 0o600); err != nil {
				t.Fatal(err)
			}
			flags, from := wiring.Defaults(), bundled.Flags{Config: file}
			flags.TUF.Cache = t.TempDir()
			tt.change(&from)
			err := opened(t, flags, from)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "want a token, or a client CA: --api-token-file or --client-ca") {
				t.Errorf("got %v, want a refusal that names %s and the flags", err, tt.want)
			}
		})
	}
}
