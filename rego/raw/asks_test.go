package raw_test

import (
	"testing"

	"github.com/assay-dev/assay/rego/raw"
)

// TestPolicyThatAsks is one that may have another answer when more is known.
func TestPolicyThatAsks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body string
		asks bool
	}{
		"nothing":               {"deny contains \"x\" if input.bad", false},
		"a pure builtin":        {"deny contains \"x\" if not oci.parse(input.image).ok", false},
		"the time":              {"deny contains \"x\" if time.now_ns() > input.end", false},
		"a registry":            {"deny contains \"x\" if not oci.resolve(input.image).ok", true},
		"in a library":          {"deny contains \"x\" if not data.lib.fine", true},
		"the network":           {"deny contains \"x\" if http.send({\"method\": \"get\", \"url\": \"https://example.com\"}).status_code == 500", true},
		"in a function of ours": {"import data.assay.images\n\ndeny contains \"x\" if images.found", false},
	} {
		p := compile(t, raw.Source{
			Allow: raw.Allow{Builtins: []string{"http.send"}, Hosts: []string{"example.com"}},
			Modules: map[string]string{
				"p.rego": "package policies.p\n\n" + tt.body + "\n", "lib.rego": "package lib\n\nfine if cosign.verify(input.image, {}).ok\n",
			},
		}).Policy("p")
		if got := p.Asks(); got != tt.asks || p.Failure() != nil {
			t.Errorf("%s: got %t and %+v, want %t", name, got, p.Failure(), tt.asks)
		}
	}
}
