package builtins_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
)

// TestContent: what a digest names, asked once and known ever after.
func TestContent(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	facts := factsOf(t, w)
	open := func() map[string]any {
		return answer(t, facts.Open(oci.Credentials{}, tenant.Workload{}), w.Expand(`oci.manifest("${app@}")`)).(map[string]any)
	}
	first := open()
	value, _ := first["value"].(map[string]any)
	if first["ok"] != true || value["schemaVersion"] == nil || first["error"] != nil {
		t.Fatalf("got %v, want the manifest", first)
	}
	if got := w.Requests(); len(got) != 2 {
		t.Errorf("got requests %q, want the ping and the manifest", got)
	}
	w.ResetRequests()
	if open(); len(w.Requests()) != 0 {
		t.Errorf("got requests %q, want none", w.Requests())
	}
	configs := answer(t, facts.Open(oci.Credentials{}, tenant.Workload{}), w.Expand(`oci.configs("${app@}")`)).(map[string]any)
	for platform, config := range configs["value"].(map[string]any) {
		if _, ok := config.(map[string]any)["config"]; !ok {
			t.Errorf("IN-4: got %v for %s, want a config file", config, platform)
		}
	}
	if configs["ok"] != true || len(configs["value"].(map[string]any)) != 1 {
		t.Errorf("IN-4: got %v, want one config file", configs)
	}
	for call, want := range map[string]string{
		`oci.index("${app@}")`:                                  "malformed",
		`oci.manifest("${app}")`:                                "malformed",
		`oci.manifest("${registry}/app@sha256:` + zeros + `")`:  "not_found",
		`oci.configs("${registry}/app@sha256:` + zeros + `")`:   "not_found",
		`oci.index("169.254.169.254/app@sha256:` + zeros + `")`: "forbidden_host",
	} {
		got := answer(t, facts.Open(oci.Credentials{}, tenant.Workload{}), w.Expand(call))
		if code, message := problem(t, got); code != want || message == "" {
			t.Errorf("%s: got %s: %s, want %s", call, code, message, want)
		}
		name, _, _ := strings.Cut(call, "(")
		if err := conforms(declaration(t, name).Decl.Result(), got); err != nil {
			t.Errorf("%s: %v", call, err)
		}
	}
	t.Run("IDX-2: that an image given by digest exists is asked by who wants to know", func(t *testing.T) {
		got := answer(t, facts.Open(oci.Credentials{}, tenant.Workload{}), w.Expand(fmt.Sprintf(`oci.resolve("${registry}/app@sha256:%s")`, zeros)))
		if got.(map[string]any)["ok"] != true {
			t.Errorf("got %v, want a digest to resolve to itself", got)
		}
	})
}

// TestContentOfAnImage: what the other builtins about a digest answer, and what they ask for it.
func TestContentOfAnImage(t *testing.T) {
	t.Parallel()
	w := worldOf(t, `
signers: {release: {issuer: "https://token.actions.githubusercontent.com", subject: "https://github.com/acme/app/.github/workflows/x.yml@v1"}}
images:
  app: {config: {user: "65532"}, files: {etc/os-release: ID=debian, bin/app: run}, signatures: [{signer: release, format: bundle}]}
  many: {platforms: [linux/amd64, linux/arm64]}
`)
	facts := factsOf(t, w)
	for _, tt := range []struct {
		call     string
		want     string // as JSON, of the answer
		code     string
		requests int
	}{
		{`oci.config("${app@}").value.config.User`, `"65532"`, "", 3},
		{`oci.config("${many@}")`, "", "malformed", 2},
		{`oci.config("${registry}/app@sha256:` + zeros + `")`, "", "not_found", 1},
		{`json.unmarshal(oci.blob(concat("@", ["${registry}/app", oci.manifest("${app@}").value.config.digest])).value).config.User`, `"65532"`, "", 0},
		{`oci.blob(concat("@", ["${registry}/app", oci.manifest("${app@}").value.layers[0].digest]))`, "", "malformed", 1},
		{`[r.artifactType | some r in oci.referrers("${app@}").value]`, `["application/vnd.dev.sigstore.bundle.v0.3+json"]`, "", 1},
		{`oci.manifest(oci.referrers("${app@}").value[0].ref).value.subject.digest == oci.parse("${app@}").digest`, `true`, "", 1},
		{`oci.referrers("${many@}")`, `{"ok": true, "value": [], "error": null}`, "", 1},
		{
			`oci.files("${app@}", ["/etc/os-release", "bin/app", "etc/none"])`,
			`{"ok": true, "value": {"files": {"/etc/os-release": "ID=debian", "bin/app": "run"}, "links": {}, "missing": ["etc/none"], "unreadable": {}}, "error": null}`, "", 1,
		},
		{`oci.files("${app@}", {"etc/os-release"}).value.files["etc/os-release"]`, `"ID=debian"`, "", 1},
		{`oci.files("${many@}", ["etc/os-release"])`, "", "malformed", 0},
	} {
		w.ResetRequests()
		got := answer(t, facts.Open(oci.Credentials{}, tenant.Workload{}), w.Expand(tt.call))
		if tt.code != "" {
			if code, message := problem(t, got); code != tt.code {
				t.Errorf("%s: got %s: %s, want %s", tt.call, code, message, tt.code)
			}
			name, _, _ := strings.Cut(tt.call, "(")
			if err := conforms(declaration(t, name).Decl.Result(), got); err != nil {
				t.Errorf("%s: %v", tt.call, err)
			}
		} else if encoded, _ := json.Marshal(got); !sameJSON(t, tt.want, string(encoded)) {
			t.Errorf("%s: got %s, want %s", tt.call, encoded, tt.want)
		}
		if got := w.Requests(); len(got) != tt.requests {
			t.Errorf("%s: got requests %q, want %d", tt.call, got, tt.requests)
		}
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatalf("%s, %s: %v", a, b, err)
	}
	return cmp.Equal(x, y)
}

// TestReferrersAreAskedForAgain: the list is the only answer of a registry but tags that
// may change, and that it is empty holds for a moment.
func TestReferrersAreAskedForAgain(t *testing.T) {
	t.Parallel()
	w := worldOf(t, `
signers: {release: {issuer: "https://token.actions.githubusercontent.com", subject: "https://github.com/acme/app/.github/workflows/x.yml@v1"}}
images: {app: {signatures: [{signer: release, format: bundle}]}, bare: {}}
`)
	for image, lives := range map[string]time.Duration{"app": 10 * time.Second, "bare": 2 * time.Second} {
		now := noon
		clock := func() time.Time { return now }
		client, err := oci.New(oci.WithPrivateRegistries(), oci.WithClock(clock))
		if err != nil {
			t.Fatal(err)
		}
		facts := factsFrom(t, w, client, builtins.Options{Now: clock})
		for _, step := range []struct {
			after time.Duration
			asks  bool
		}{{0, true}, {lives - time.Millisecond, false}, {time.Millisecond, true}} {
			now = now.Add(step.after)
			w.ResetRequests()
			answer(t, facts.Open(oci.Credentials{}, tenant.Workload{}), w.Expand(`oci.referrers("${`+image+`@}")`))
			if got := w.Requests(); len(got) > 0 != step.asks {
				t.Errorf("%s: got requests %q after %s, want some: %t", image, got, step.after, step.asks)
			}
		}
	}
}

// TestManifestOfATagIsReadOnce: oci.resolve read it already.
func TestManifestOfATagIsReadOnce(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	got := answer(t, factsOf(t, w).Open(oci.Credentials{}, tenant.Workload{}), w.Expand(`oci.manifest(oci.resolve("${app}").ref)`))
	if got.(map[string]any)["ok"] != true {
		t.Fatalf("got %v, want ok", got)
	}
	if got := w.Requests(); len(got) != 2 {
		t.Errorf("got requests %q, want the ping and the tag", got)
	}
}

var zeros = strings.Repeat("0", 64)
