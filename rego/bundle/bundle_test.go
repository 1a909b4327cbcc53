package bundle_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/bundle"
)

func decode(text string, into any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

const policyRego = "package policies.one\n\nimport rego.v1\n\ndeny contains \"no\" if input.request.uid == \"x\"\n"

const cipJSON = `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"},
	"spec": {"images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail"}}]}}`

func TestWhatBundlesHoldTogether(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	s.put("/a.tar.gz", tarball(t, "7", []string{"policies/one", "numbers"}, map[string]string{
		"/policies/one.rego": policyRego, "/numbers/data.json": `{"big": 12345678901234567890}`,
	}))
	s.put("/b.tar.gz", tarball(t, "8", []string{"resources/ClusterImagePolicy/p"}, map[string]string{
		"/resources/ClusterImagePolicy/p/data.json": cipJSON,
	}))
	m := open(t, manually(s.URL, "a", "b"), served, nil)
	if got, want := m.Waiting(served.deciding()), "bundle a is not active yet"; got != want {
		t.Errorf("before: got %q, want %q", got, want)
	}
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := served.last()
	var names []string
	for _, b := range got.Bundles {
		names = append(names, b.Name+" "+b.Revision+" "+strings.Join(b.Roots, ","))
	}
	if diff := cmp.Diff([]string{"a 7 policies/one,numbers", "b 8 resources/ClusterImagePolicy/p"}, names); diff != "" {
		t.Errorf("bundles (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"a/policies/one.rego": policyRego}, got.Modules); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"numbers": map[string]any{"big": json.Number("12345678901234567890")}}, got.Data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if len(got.Resources) != 1 || got.Resources[0].Path != "resources/ClusterImagePolicy/p" || got.Resources[0].Bundle != "b" {
		t.Errorf("resources: got %v, want the policy of bundle b", got.Resources)
	}
	if got := m.Waiting(served.deciding()); got != "" {
		t.Errorf("after: got %q, want nothing to wait for", got)
	}
	if got := m.Statuses()["b"].Revision; got != "8" {
		t.Errorf("revision of b: got %q, want 8", got)
	}
}

// TestWhatIsRefusedLeavesWhatServes: nothing of it is in the store, and the status has the
// cause until there is something better.
func TestWhatIsRefusedLeavesWhatServes(t *testing.T) {
	t.Parallel()
	good := func(t *testing.T) []byte {
		return tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego})
	}
	for name, tt := range map[string]struct {
		next   []byte
		refuse error
		answer http.HandlerFunc
		want   string
	}{
		"whoever serves refuses it": {next: tarball(t, "2", []string{"other"}, map[string]string{"/other/data.json": `{}`}), refuse: errRefused, want: errRefused.Error()},
		"its root is everything":    {next: tarball(t, "2", []string{""}, map[string]string{"/other/data.json": `{}`}), want: `root`},
		"its root is assay's":       {next: tarball(t, "2", []string{"assay/x"}, map[string]string{"/assay/x/data.json": `{}`}), want: `assay`},
		"its root is system":        {next: tarball(t, "2", []string{"system/log"}, map[string]string{"/system/log/data.json": `{}`}), want: `system`},
		"its root is of policies":   {next: tarball(t, "2", []string{"cip"}, map[string]string{"/cip/data.json": `{}`}), want: `cip`},
		"a resource is none": {next: tarball(t, "2", []string{"resources/ClusterImagePolicy/p"}, map[string]string{
			"/resources/ClusterImagePolicy/p/data.json": `{"a": {"b": 1}}`,
		}), want: "resources/ClusterImagePolicy/p"},
		"the server fails": {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, want: "Internal Server Error"},
		"it leads elsewhere": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.2:1/a.tar.gz", http.StatusFound)
		}, want: "redirected"},
		"it sends no archive": {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, want: "gzip"},
		"it sends too much": {answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 2<<20))
		}, want: "more than 1048576 bytes"},
		"it ends in the middle": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "x")
		}, want: "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, served := newService(t), &side{}
			s.put("/a.tar.gz", good(t))
			m := open(t, manually(s.URL, "a"), served, func(o *bundle.Options) { o.Limits.Compressed, o.Limits.Expanded, o.Limits.Files = 1<<20, 1<<22, 100 })
			if err := m.Trigger(t.Context()); err != nil {
				t.Fatal(err)
			}
			served.refuses(tt.refuse)
			if tt.answer != nil {
				s.answer(tt.answer)
			} else {
				s.put("/a.tar.gz", tt.next)
			}
			err := m.Trigger(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			status := m.Statuses()["a"]
			if status.Revision != "1" || !strings.Contains(status.Error, tt.want) {
				t.Errorf("status: got %+v, want revision 1 and %q", status, tt.want)
			}
			if got := served.last(); len(served.published) != 1 || got.Bundles[0].Revision != "1" {
				t.Errorf("got %d sets, want the first alone", len(served.published))
			}
			// What is good again serves again.
			served.refuses(nil)
			s.answer(nil)
			s.put("/a.tar.gz", tarball(t, "3", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
			if err := m.Trigger(t.Context()); err != nil {
				t.Fatal(err)
			}
			if status := m.Statuses()["a"]; status.Revision != "3" || status.Error != "" {
				t.Errorf("status: got %+v, want revision 3 and no error", status)
			}
		})
	}
}

func TestOverlappingRootsAreRefusedWithBothNames(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	s.put("/a.tar.gz", tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	s.put("/b.tar.gz", tarball(t, "1", []string{"policies"}, map[string]string{"/policies/x/data.json": `{}`}))
	m := open(t, manually(s.URL, "a", "b"), served, nil)
	err := m.Trigger(t.Context())
	if err == nil || !strings.Contains(err.Error(), "a") || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("got %v, want both names", err)
	}
	if len(served.last().Bundles) != 1 {
		t.Errorf("got %v, want one of them", served.last().Bundles)
	}
	if m.Waiting(served.deciding()) == "" {
		t.Error("got nothing to wait for, want the other bundle")
	}
}

// TestWhatIsInTheStoreDoesNotDecideYet: decisions wait until it is published, however long whoever
// serves takes for that.
func TestWhatIsInTheStoreDoesNotDecideYet(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{publishing: make(chan struct{}), publish: make(chan struct{})}
	s.put("/a.tar.gz", tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	m := open(t, manually(s.URL, "a"), served, nil)
	done := make(chan error, 1)
	go func() { done <- m.Trigger(t.Context()) }()
	<-served.publishing
	if got, want := m.Waiting(served.deciding()), "bundle a is not active yet"; got != want {
		t.Errorf("in the store: got %q, want %q", got, want)
	}
	close(served.publish)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := m.Waiting(served.deciding()); got != "" {
		t.Errorf("published: got %q, want nothing to wait for", got)
	}
}

// TestPersistedBundlesServeAfterARestart: also where the server is gone, and only those that
// were good.
func TestPersistedBundlesServeAfterARestart(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	config := strings.ReplaceAll(manually(s.URL, "a"), "trigger: manual", "trigger: manual, persist: true") + "persistence_directory: " + t.TempDir() + "\n"
	s.put("/a.tar.gz", tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	m := open(t, config, served, nil)
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	served.refuses(errRefused)
	s.put("/a.tar.gz", tarball(t, "2", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	if err := m.Trigger(t.Context()); err == nil {
		t.Fatal("got no error, want the refusal")
	}
	s.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	again := &side{}
	restarted := open(t, config, again, nil)
	if got := again.last(); len(got.Bundles) != 1 || got.Bundles[0].Revision != "1" {
		t.Errorf("got %v, want revision 1", got.Bundles)
	}
	if got := restarted.Waiting(again.deciding()); got != "" {
		t.Errorf("got %q, want nothing to wait for", got)
	}
	if got := again.last().Modules; len(got) != 1 || got["a/policies/one.rego"] == "" {
		t.Errorf("modules: got %v", got)
	}
}

// TestBundlesThatAreTakenOut: discovery is what changes a configuration. OPA ends the program
// where that is refused.
func TestBundlesThatAreTakenOut(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	s.put("/a.tar.gz", tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	s.put("/b.tar.gz", tarball(t, "1", []string{"b"}, map[string]string{"/b/data.json": `{"x": 1}`}))
	found := func(revision, bundles string) []byte {
		return tarball(t, revision, []string{""}, map[string]string{"/found/data.json": `{"bundles": {` + bundles + `}}`})
	}
	both := `"a": {"service": "s", "resource": "a.tar.gz", "trigger": "manual"}, "b": {"service": "s", "resource": "b.tar.gz", "trigger": "manual"}`
	s.put("/found.tar.gz", found("1", both))
	m := open(t, "services: {s: {url: "+s.URL+"}}\ndiscovery: {service: s, resource: found.tar.gz, decision: found, trigger: manual}\n", served, nil)
	if got, want := m.Waiting(served.deciding()), "the discovery bundle is not active yet"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	discover(t, m)
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.Waiting(served.deciding()); got != "" {
		t.Errorf("got %q, want nothing to wait for", got)
	}
	s.put("/found.tar.gz", found("2", `"a": {"service": "s", "resource": "a.tar.gz", "trigger": "manual"}`))
	discover(t, m)
	if len(served.left) != 1 || len(served.left[0].Bundles) != 1 || served.left[0].Data["b"] != nil {
		t.Errorf("got %v, want bundle a alone to be left", served.left)
	}
}
