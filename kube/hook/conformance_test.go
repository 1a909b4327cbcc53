package hook_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// measured is what policy-controller's API types said of a file.
type measured struct {
	File, Kind              string
	MeasuredDecodeError     string
	MeasuredValidateError   string
	MeasuredValidateWarning string
}

// TestConformanceOfAdmission applies real resources, and holds what is said of them to
// what policy-controller says.
func TestConformanceOfAdmission(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: it names the directory of the real policies")
	}
	for _, dir := range []string{"valid", "invalid"} {
		dir := filepath.Join(data, "policies", dir)
		var cases []measured
		if err := json.Unmarshal([]byte(file(t, dir, "expected.json")), &cases); err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			t.Run(filepath.Base(dir)+"/"+c.File, func(t *testing.T) {
				t.Parallel()
				for object := range strings.SplitSeq(file(t, dir, c.File), "\n---\n") {
					if strings.Contains(object, "kind: "+c.Kind) {
						checkMeasured(t, c, object)
					}
				}
			})
		}
	}
}

func file(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func checkMeasured(t *testing.T, c measured, object string) {
	t.Helper()
	r := request(t, "CREATE", object, "null")
	got := judge().Validate(t.Context(), r)
	switch {
	case c.MeasuredDecodeError != "":
		if !strings.HasPrefix(got.Message(), "decoding request failed: ") || !strings.Contains(got.Message(), c.MeasuredDecodeError) {
			t.Errorf("got %q, want one of decoding: %s", got.Message(), c.MeasuredDecodeError)
		}
	case c.MeasuredValidateError != "":
		if diff := cmp.Diff("validation failed: "+c.MeasuredValidateError, got.Message()); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	default:
		if !got.Allowed {
			t.Errorf("got %q, want it admitted", got.Message())
		}
		if diff := cmp.Diff(c.MeasuredValidateWarning, strings.Join(got.Warnings, "\n")); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
		r.Object = patched(t, r.Object, judge().Default(r).Patch)
		if got := judge().Validate(t.Context(), r); !got.Allowed {
			t.Errorf("got %q with its defaults, want it admitted", got.Message())
		}
	}
}
