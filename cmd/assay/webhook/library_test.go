package webhook

import (
	"strings"
	"testing"
)

// TestABundleCallsTheLibrary, which it does not bring along.
func TestABundleCallsTheLibrary(t *testing.T) {
	t.Parallel()
	packed := func(revision, body string) []byte {
		return bundleOf(t, `{"revision": "`+revision+`", "roots": ["policies/x"]}`, map[string]string{
			"policies/x.rego": "package policies.x\n\nimport data.assay.images\nimport data.assay.lib.references\n\ndeny contains \"elsewhere\" if {\n\tsome entry in images.found\n\t" + body + "\n}\n",
		})
	}
	files := newBucket(t, map[string][]byte{"main": packed("1", `references.elsewhere(entry.image, ["a.io"])`)})
	f := withBundles(t, manual(t, files.URL, "main"), nil)
	if err := f.trigger(); err != nil {
		t.Fatal(err)
	}
	if got := f.says("a.io/x" + digest); strings.Contains(got, "elsewhere") {
		t.Errorf("got %q, want nothing of the policy", got)
	}
	if got := f.says("b.io/x" + digest); !strings.Contains(got, "elsewhere") {
		t.Errorf("got %q, want the denial of the policy", got)
	}
	files.put("main", packed("2", `references.nowhere(entry.image)`))
	if err := f.trigger(); err == nil || !strings.Contains(err.Error(), "undefined function data.assay.lib.references.nowhere") {
		t.Errorf("got %v, want a refusal", err)
	}
}
