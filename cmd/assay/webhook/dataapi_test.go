package webhook

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
)

func TestDataAPI(t *testing.T) {
	t.Parallel()
	const rego = "package policies.x\n\nimport rego.v1\n\ndeny contains sprintf(\"no %s\", [input.name]) if input.name in data.names.all\n\nasks := cosign.verify(\"a.io/x\", {})\n"
	files := newBucket(t, map[string][]byte{"main": bundleOf(t, `{"revision": "1", "roots": ["policies/x", "names"]}`, map[string]string{
		"policies/x.rego": rego, "names/data.json": `{"all": ["a"]}`,
	})})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := withBundles(t, manual(t, files.URL, "main"), func(_ *wiring.Flags, from *bundled.Flags) { from.DataAPI, from.Token = true, token })
	ask := func(method, path, token, body string) string {
		request, err := http.NewRequestWithContext(t.Context(), method, f.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d %s", answer.StatusCode, strings.TrimSpace(string(text)))
	}
	yaml, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/v1/data/policies/x/deny", strings.NewReader("input: {name: a}"))
	if err != nil {
		t.Fatal(err)
	}
	yaml.Header.Set("Content-Type", "application/x-YAML")
	yaml.Header.Set("Authorization", "Bearer secret")
	answer, err := http.DefaultClient.Do(yaml)
	if err != nil {
		t.Fatal(err)
	}
	if _ = answer.Body.Close(); answer.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("YAML: got %d, want 415", answer.StatusCode)
	}
	if got := ask("GET", "/health?bundles", "", ""); !strings.HasPrefix(got, "500 ") {
		t.Errorf("health before: got %s, want 500", got)
	}
	f.fetch()
	for name, tt := range map[string]struct{ method, path, token, body, want string }{
		"health needs no token":       {"GET", "/health?bundles", "", "", "200 {}"},
		"nobody without the token":    {"POST", "/v1/data/policies/x/deny", "", `{}`, "401 "},
		"nobody with another":         {"POST", "/v1/data/policies/x/deny", "secre", `{}`, "401 "},
		"a question":                  {"POST", "/v1/data/policies/x/deny", "secret", `{"input": {"name": "a"}}`, `200 {"result":["no a"]`},
		"a question of version 0":     {"POST", "/v0/data/policies/x/deny", "secret", `{"name": "a"}`, `200 ["no a"]`},
		"a builtin with credentials":  {"POST", "/v1/data/policies/x/asks", "secret", `{}`, `needs the engine`},
		"writing data":                {"PUT", "/v1/data/names", "secret", `[]`, "405 "},
		"changing data":               {"PATCH", "/v1/data/names", "secret", `[]`, "405 "},
		"reading it with a query":     {"GET", "/v1/data/names", "secret", "", "405 "},
		"writing policies":            {"PUT", "/v1/policies/x", "secret", "package x", "404 "},
		"queries of its own":          {"POST", "/v1/query", "secret", `{"query": "true"}`, "404 "},
		"partial evaluation":          {"POST", "/v1/compile", "secret", `{}`, "404 "},
		"the configuration":           {"GET", "/v1/config", "secret", "", "404 "},
		"OPA's own documents":         {"POST", "/v1/data/system", "secret", `{}`, "404 "},
		"a part of them":              {"POST", "/v1/data/system/bundles/main", "secret", `{}`, "404 "},
		"them in version 0":           {"POST", "/v0/data/system/bundles", "secret", `{}`, "404 "},
		"them in percent-encoding":    {"POST", "/v1/data/%73ystem", "secret", `{}`, "404 "},
		"them encoded twice":          {"POST", "/v1/data/%2573ystem", "secret", `{}`, "404 "},
		"them behind a slash":         {"POST", "/v1/data/%2fsystem", "secret", `{}`, "404 "},
		"them with one encoded":       {"POST", "/v1/data/system%2fbundles", "secret", `{}`, "404 "},
		"what is called nearly so":    {"POST", "/v1/data/systems", "secret", `{}`, "200 {"},
		"a system of another package": {"POST", "/v1/data/names/system", "secret", `{}`, "200 {"},
		"a path that is none":         {"POST", "/v1/data/../policies", "secret", `{}`, "404 "},
		"a method in place of POST":   {"DELETE", "/v1/data/names", "secret", "", "405 "},
		"more than a question may be": {"POST", "/v1/data/policies/x/deny", "secret", `{"input": "` + strings.Repeat("x", 5<<20) + `"}`, "4"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ask(tt.method, tt.path, tt.token, tt.body); !strings.HasPrefix(got, tt.want) && !strings.Contains(got, tt.want) {
				t.Errorf("got %.300s, want %s", got, tt.want)
			}
		})
	}
	if got := ask("POST", "/v1/data", "secret", `{}`); !strings.Contains(got, `"names"`) || strings.Contains(got, `"system"`) {
		t.Errorf("all data: got %.300s, want it without OPA's own documents", got)
	}
	for name, call := range map[string]string{
		"opa.runtime":           "opa.runtime().env",
		"graphql.is_valid":      `graphql.is_valid(input.q, "type Query { a: String }")`, // its parser ends the process
		"graph.reachable_paths": "graph.reachable_paths(input.g, input.from)",
	} {
		files.put("main", bundleOf(t, `{"revision": "2", "roots": ["lib/x"]}`, map[string]string{
			"lib/x.rego": "package lib.x\n\nx := " + call + "\n",
		}))
		if err := f.trigger(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want a refusal of %s", err, name)
		}
	}
}
