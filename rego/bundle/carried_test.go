package bundle_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/plugins/discovery"

	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/configured"
)

// TestRegistriesWithCredentialsOfServices: they are sent as OPA sends them.
func TestRegistriesWithCredentialsOfServices(t *testing.T) {
	t.Parallel()
	r, served := newRegistry(t), &side{}
	r.push(t, tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	r.answer(func(w http.ResponseWriter, request *http.Request) {
		if user, password, _ := request.BasicAuth(); user != "reader" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.as(w, request)
	})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("reader:wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := open(t, ofRegistry(r.URL, ", credentials: {bearer: {scheme: Basic, token_path: '"+token+"'}}"), served, nil)
	if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a wrong password: got %v, want status 401", err)
	}
	if err := os.WriteFile(token, []byte("reader:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Trigger(t.Context()); err != nil || m.Statuses()["a"].Revision != "1" {
		t.Errorf("got %v, %+v, want revision 1", err, m.Statuses()["a"])
	}
}

// TestBundlesOfOneRegistryComeOneAfterTheOther: what OPA prepares requests with is of the service.
func TestBundlesOfOneRegistryComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	r, served := newRegistry(t), &side{}
	var config strings.Builder
	config.WriteString("services: {s: {url: '" + r.URL + "', type: oci, credentials: {bearer: {scheme: Basic, token: 'a:b'}}}}\nbundles:\n")
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		r.push(t, tarball(t, "1", []string{name}, map[string]string{"/" + name + "/data.json": `{"x": 1}`}))
		r.pushManifest(name, r.bodies["/v2/p/manifests/prod"])
		config.WriteString("  " + name + ": {service: s, resource: 'r/p:" + name + "'}\n")
	}
	m := open(t, config.String(), served, nil)
	for deadline := time.Now().Add(time.Minute); m.Waiting(served.deciding()) != ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, want all bundles", m.Statuses())
		}
	}
}

// TestWhatIsCarriedIsOPAsBeside: what OPA verifies, persists and takes for the same is as with a
// server, and nothing of a registry is on the disk but the bundle.
func TestWhatIsCarriedIsOPAsBeside(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	unsigned := tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego})
	for through := range doors(t) {
		t.Run(through, func(t *testing.T) {
			t.Parallel()
			at, served := doors(t)[through], &side{}
			kept := filepath.Join(directory, strings.ReplaceAll(through, " ", ""))
			config := strings.ReplaceAll(at.config, "trigger: manual", "trigger: manual, persist: true, signing: {keyid: k}") +
				"keys: {k: {algorithm: HS256, key: secret}}\npersistence_directory: " + kept + "\n"
			m := open(t, config, served, nil)
			at.put(t, unsigned)
			if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), "signatures") {
				t.Errorf("unsigned: got %v, want a refusal", err)
			}
			at.put(t, signedWith(t, "other", unsigned))
			if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), "verify") {
				t.Errorf("signed by another: got %v, want a refusal", err)
			}
			at.put(t, signedWith(t, "secret", unsigned))
			for range 2 {
				if err := m.Trigger(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if len(served.published) != 1 || served.last().Bundles[0].Tag == "" {
				t.Errorf("got %d sets, want one, with its tag: the second time nothing came", len(served.published))
			}
			at.put(t, []byte("gone"))
			again := &side{}
			restarted := open(t, config, again, nil)
			if got := again.last(); len(got.Bundles) != 1 || got.Bundles[0].Revision != "1" || !got.Bundles[0].Restored {
				t.Errorf("after a restart: got %v, want revision 1, restored", got.Bundles)
			}
			if got := restarted.Waiting(again.deciding()); got != "" {
				t.Errorf("after a restart: got %q, want nothing to wait for", got)
			}
			if entries, err := os.ReadDir(kept); err != nil || len(entries) != 1 || entries[0].Name() != "bundles" {
				t.Errorf("got %v, %v, want the bundles that are kept, and nothing else", entries, err)
			}
		})
	}
}

// TestWhatIsNoService: OPA would take one that an earlier configuration had.
func TestWhatIsNoService(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ config, want string }{
		"of a bundle":          {"services: {s: {url: http://s}}\nbundles: {a: {service: other, resource: x}}\n", `bundles.a.service: got "other", want one of services`},
		"of discovery":         {"services: {s: {url: http://s}}\ndiscovery: {service: other, resource: x}\n", `discovery.service: got "other", want one of services`},
		"discovery of nothing": {"services: {s: {url: http://s}}\ndiscovery: {service: s}\n", "missing required discovery.resource"},
		"no reference":         {"services: {s: {url: http://s, type: oci}}\nbundles: {a: {resource: x}}\n", `bundles.a: resource: got "x", want registry/repository:tag`},
		"persisted where":      {"services: {s: {url: http://s}}\nbundles: {../a: {resource: x, persist: true}}\n", "want a name that a directory may have"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := bundle.Open(bundle.Options{Config: []byte(tt.config), Prepare: (&side{}).prepare, Removed: (&side{}).removed})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestDiscoveryFromARegistry, which may not say who is asked for discovery, nor undo what the
// program makes of the bundles of its own configuration.
func TestDiscoveryFromARegistry(t *testing.T) {
	t.Parallel()
	r, served := newRegistry(t), &side{}
	first, discovered := newRegistry(t), newRegistry(t)
	first.push(t, tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	discovered.push(t, tarball(t, "1", []string{"b"}, map[string]string{"/b/data.json": `{"x": 1}`}))
	r.push(t, tarball(t, "1", []string{""}, map[string]string{"/found/data.json": `{
		"services": {"more": {"url": "` + discovered.URL + `", "type": "oci"}, "first": {"url": "http://127.0.0.1:1"}},
		"bundles": {"b": {"service": "more", "resource": "r/p:prod", "trigger": "manual"}, "a": {"resource": "r/other:prod"}},
		"persistence_directory": "/nowhere"}`}))
	var seen [][]configured.Source
	m := open(t, "services: {found: {url: '"+r.URL+"', type: oci}, first: {url: '"+first.URL+"', type: oci}}\n"+
		"discovery: {service: found, resource: 'r/p:prod', decision: found, trigger: manual}\n"+
		"bundles: {a: {service: first, resource: 'r/p:prod', trigger: manual}}\n", served, func(o *bundle.Options) {
		o.Sources = func(all []configured.Source) (map[string]bundle.Feed, func(), error) {
			seen = append(seen, all)
			return nil, nil, nil
		}
	})
	if err := discovery.Lookup(m.OPA()).Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := served.deciding(); len(got) != 2 {
		t.Errorf("got %v, want both bundles", got)
	}
	if got := seen[len(seen)-1]; len(got) != 2 || got[0].Name != "a" || got[0].Resource != "r/p:prod" || !got[0].OCI || !got[1].OCI {
		t.Errorf("got %+v, want the bundle of the file as it has it, and that which was discovered", got)
	}
	r.push(t, tarball(t, "2", []string{""}, map[string]string{"/found/data.json": `{"services": {"found": {"allow_insecure_tls": true}}}`}))
	discover(t, m)
	if got := m.Statuses()["discovery bundle"]; got.Revision != "1" || !strings.Contains(got.Error, "services.found: got another one") {
		t.Errorf("another service of discovery: got %+v, want revision 1 and the cause", got)
	}
	r.pushManifest("prod", []byte("<html>"))
	_ = discovery.Lookup(m.OPA()).Trigger(t.Context()) // what becomes of it, the status says
	if got := m.Statuses()["discovery bundle"]; got.Revision != "1" || !strings.Contains(got.Error, "want a manifest") {
		t.Errorf("got %+v, want revision 1 and the cause", got)
	}
}

// TestDiscoveryDoesNotUndoFeeds: OPA puts what the file says over what was discovered after anybody
// could see it. A bundle that somebody vouches for would come from its source again.
func TestDiscoveryDoesNotUndoFeeds(t *testing.T) {
	t.Parallel()
	s, served, fed := newService(t), &side{}, &feed{changed: make(chan struct{})}
	s.put("/a.tar.gz", tarball(t, "9", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	s.put("/found.tar.gz", tarball(t, "1", []string{""}, map[string]string{"/found/data.json": `{"labels": {"x": "y"}}`}))
	fed.set(tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}), "sha256:1")
	m := open(t, "services: {s: {url: '"+s.URL+"'}}\ndiscovery: {service: s, resource: found.tar.gz, decision: found, trigger: manual}\n"+
		"bundles: {a: {service: s, resource: a.tar.gz, trigger: manual}}\n", served, func(o *bundle.Options) {
		o.Sources = func(all []configured.Source) (map[string]bundle.Feed, func(), error) {
			feeds := map[string]bundle.Feed{}
			for _, of := range all {
				if of.Name == "a" {
					feeds["a"] = fed
				}
			}
			return feeds, nil, nil
		}
	})
	discover(t, m)
	if got := string(m.OPA().GetConfig().Bundles); !strings.Contains(got, "assay-feeds") || strings.Contains(got, "a.tar.gz") {
		t.Errorf("got %s, want the bundle of the feed", got)
	}
}
