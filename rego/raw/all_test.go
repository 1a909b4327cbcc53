package raw_test

import (
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/raw"
)

func TestModulesOfBundlesThatNoPolicyImports(t *testing.T) {
	t.Parallel()
	const mask = "package logs\n\nmask contains \"/input\" if http.send({\"url\": \"http://a\", \"method\": \"get\"}).status_code == 200\n"
	off := raw.Off()
	for name, tt := range map[string]struct {
		modules map[string]string
		v0      bool
		off     []string
		want    string // "" for none
	}{
		"what is off":              {map[string]string{"b/mask.rego": mask}, false, off, "b/mask.rego:3: rego_type_error: undefined function http.send"},
		"what an installation has": {map[string]string{"b/mask.rego": mask}, false, nil, ""},
		"a test":                   {map[string]string{"b/mask_test.rego": strings.Replace(mask, "package logs", "package logs_test", 1)}, false, off, "http.send"},
		"several at once": {map[string]string{
			"b/mask.rego": mask, "c/other.rego": "package other\n\nx := opa.runtime()\n",
		}, false, off, "c/other.rego:3: rego_type_error: undefined function opa.runtime"},
		"Rego v0 where it may be":     {map[string]string{"b/old.rego": "package old\n\nx[y] { y := 1 }\n"}, true, off, ""},
		"Rego v0 where it may not be": {map[string]string{"b/old.rego": "package old\n\nx[y] { y := 1 }\n"}, false, off, "b/old.rego"},
		"nothing":                     {nil, false, off, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := raw.CheckAll(tt.modules, nil, tt.v0, tt.off)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
