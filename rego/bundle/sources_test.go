package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	opabundle "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
)

func TestSourcesOfAConfiguration(t *testing.T) {
	t.Parallel()
	const services = "services: {web: {url: 'http://w'}, reg: {url: 'http://r', type: OCI}}\nkeys: {k: {algorithm: HS256, key: secret}}\n"
	for name, tt := range map[string]struct {
		config string
		want   []configured.Source
		err    string
	}{
		"of all kinds": {
			services + "bundles:\n  a: {service: web, resource: a.tar.gz, signing: {keyid: k}, polling: {min_delay_seconds: 5, max_delay_seconds: 7}}\n" +
				"  b: {service: reg, resource: 'r/p:prod'}\n  c: {resource: 'file:///x'}\n",
			[]configured.Source{
				{Name: "a", Service: "web", Resource: "a.tar.gz", Signed: true, KeyID: "k", MinDelay: 5, MaxDelay: 7},
				{Name: "b", Service: "reg", Resource: "r/p:prod", OCI: true},
				{Name: "c", Resource: "file:///x"},
			}, "",
		},
		"files that no signature is for": {
			services + "bundles:\n  a: {service: web, signing: {keyid: k, exclude_files: ['*']}}\n",
			[]configured.Source{{Name: "a", Service: "web", Resource: "bundles/a", Signed: true, KeyID: "k", Loose: "exclude_files"}}, "",
		},
		"deltas that no signature is for": {
			services + "bundles:\n  a: {service: web, signing: {keyid: k, allow_unsigned_delta_bundles: true}}\n",
			[]configured.Source{{Name: "a", Service: "web", Resource: "bundles/a", Signed: true, KeyID: "k", Loose: "allow_unsigned_delta_bundles"}}, "",
		},
		"a list of services": {
			"services: [{name: only, url: 'http://w'}]\nbundles: {a: {resource: x}}\n",
			[]configured.Source{{Name: "a", Service: "only", Resource: "x"}}, "",
		},
		"discovery": {
			services + "discovery: {service: reg, resource: 'r/d:1'}\n",
			[]configured.Source{{Name: "discovery bundle", Service: "reg", Resource: "r/d:1", OCI: true, Discovery: true}}, "",
		},
		"any of several services": {services + "bundles: {a: {resource: x}}\n", nil, "bundles.a.service: got none of 2 services"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []configured.Source
			_, err := bundle.Open(bundle.Options{Config: []byte(tt.config), Prepare: (&side{}).prepare, Removed: (&side{}).removed, Sources: func(all []configured.Source) (map[string]bundle.Feed, func(), error) {
				got = all
				return nil, nil, nil
			}})
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSourcesThatSomebodyVouchesFor: what is refused is not asked for, and what is fetched by
// somebody else is loaded from a file.
func TestSourcesThatSomebodyVouchesFor(t *testing.T) {
	t.Parallel()
	s := newService(t)
	_, err := bundle.Open(bundle.Options{Config: []byte(manually(s.URL, "a")), Prepare: (&side{}).prepare, Removed: (&side{}).removed,
		Sources: func([]configured.Source) (map[string]bundle.Feed, func(), error) { return nil, nil, errRefused }})
	if !errors.Is(err, errRefused) {
		t.Errorf("got %v, want the refusal", err)
	}
	served, fed := &side{}, &feed{changed: make(chan struct{})}
	config := strings.ReplaceAll(manually(s.URL, "a"), "trigger: manual", "trigger: manual, signing: {keyid: k}") + "keys: {k: {algorithm: HS256, key: secret}}\n"
	m := open(t, config, served, func(o *bundle.Options) {
		o.Sources = func([]configured.Source) (map[string]bundle.Feed, func(), error) {
			return map[string]bundle.Feed{"a": fed}, nil, nil
		}
	})
	becomes := func(what string, of func(bundle.Status) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !of(m.Statuses()["a"]); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("got %+v, want %s", m.Statuses()["a"], what)
			}
		}
	}
	unsigned := tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego})
	fed.set(unsigned, "sha256:1")
	becomes("what OPA is to check beside to be checked", func(s bundle.Status) bool { return strings.Contains(s.Error, "signatures") })
	fed.set(signedWith(t, "secret", unsigned), "sha256:2")
	becomes("revision 1", func(s bundle.Status) bool { return s.Revision == "1" && s.Error == "" })
	if got := served.last(); len(got.Bundles) != 1 || got.Modules["a/policies/one.rego"] == "" || got.Bundles[0].Tag != "sha256:2" {
		t.Errorf("got %v, want the bundle of the feed, its modules below its name, and its tag", got)
	}
	if s.asked != 0 {
		t.Errorf("got %d requests, want none to the source", s.asked)
	}
}

// feed is a feed that a test fills.
type feed struct {
	mu      sync.Mutex
	body    []byte
	tag     string
	changed chan struct{}
}

func (f *feed) set(body []byte, tag string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.body, f.tag = body, tag
	close(f.changed)
	f.changed = make(chan struct{})
}

// Next implements [bundle.Feed].
func (f *feed) Next(ctx context.Context, than string) ([]byte, string) {
	for {
		f.mu.Lock()
		body, tag, changed := f.body, f.tag, f.changed
		f.mu.Unlock()
		if body != nil && tag != than {
			return body, tag
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return body, tag
		}
	}
}

// signedWith is a bundle with a signature of OPA's.
func signedWith(t *testing.T, secret string, bundle []byte) []byte {
	t.Helper()
	read, err := archive.Read(bundle, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := read.Sign(opabundle.NewSigningConfig(secret, "HS256", ""), "k")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := archive.Write(&out, signed); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
