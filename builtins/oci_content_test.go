package builtins_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
)

// TestContent: what a digest names, asked once and known ever after.
func TestContent(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	facts := factsOf(t, w)
	open := func() map[string]any {
		return answer(t, facts.Open(oci.Credentials{}, ""), w.Expand(`oci.manifest("${app@}")`)).(map[string]any)
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
	configs := answer(t, facts.Open(oci.Credentials{}, ""), w.Expand(`oci.configs("${app@}")`)).(map[string]any)
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
		got := answer(t, facts.Open(oci.Credentials{}, ""), w.Expand(call))
		if code, message := problem(t, got); code != want || message == "" {
			t.Errorf("%s: got %s: %s, want %s", call, code, message, want)
		}
		name, _, _ := strings.Cut(call, "(")
		if err := conforms(declaration(t, name).Decl.Result(), got); err != nil {
			t.Errorf("%s: %v", call, err)
		}
	}
	t.Run("IDX-2: that an image given by digest exists is asked by who wants to know", func(t *testing.T) {
		got := answer(t, facts.Open(oci.Credentials{}, ""), w.Expand(fmt.Sprintf(`oci.resolve("${registry}/app@sha256:%s")`, zeros)))
		if got.(map[string]any)["ok"] != true {
			t.Errorf("got %v, want a digest to resolve to itself", got)
		}
	})
}

// TestManifestOfATagIsReadOnce: oci.resolve read it already.
func TestManifestOfATagIsReadOnce(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	got := answer(t, factsOf(t, w).Open(oci.Credentials{}, ""), w.Expand(`oci.manifest(oci.resolve("${app}").ref)`))
	if got.(map[string]any)["ok"] != true {
		t.Fatalf("got %v, want ok", got)
	}
	if got := w.Requests(); len(got) != 2 {
		t.Errorf("got requests %q, want the ping and the tag", got)
	}
}

var zeros = strings.Repeat("0", 64)
