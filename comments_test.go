package assay_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCommentsBecomeRows has the rules of reference_test.go in single comments.
func TestCommentsBecomeRows(t *testing.T) {
	t.Parallel()
	c := comments{
		texts: map[string]string{}, fields: map[string]string{"Key.SecretRef": "secretRef"},
		values: map[string][]value{"Mode": {{"ModeWarn", "warn"}}},
	}
	for _, tt := range []struct{ name, comment, of, public, meaning, preset string }{
		{"the name and its verb are left out", "Glob is a pattern.", "Glob", "glob", "a pattern", ""},
		{"of many too", "Images are patterns.", "Images", "images", "patterns", ""},
		{"with another verb the name is that of users", "Match restricts it.", "Match", "match", "`match` restricts it", ""},
		{"a constant is its value", "ModeWarn is mild.", "ModeWarn", "warn", "`warn` is mild", ""},
		{"quotes are code", `Type is "cue" or "rego".`, "Type", "type", "`cue` or `rego`", ""},
		{"links are code, by the names of users", "Key is one of [Key.SecretRef].", "Key", "key", "one of `secretRef`", ""},
		{"required", "Name is a name. Required.", "Name", "name", "a name", "required"},
		{"required, and more", "Names are names. Required, at least one.", "Names", "names", "names", "required, at least one"},
		{"a default", `Mode is a mode. Default: "enforce".`, "Mode", "mode", "a mode", "`enforce`"},
		{"a default with dots", `URL is a place. Default: "https://a.b".`, "URL", "url", "a place", "`https://a.b`"},
		{"a default that is a sentence", "Log is a log. Default: demanded, else not.", "Log", "log", "a log", "demanded, else not"},
		{"nothing but a default", "Required.", "X", "x", "", "required"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			meaning, preset := cutPreset(tt.comment)
			got := []string{c.plain(meaning, tt.of, tt.public), c.plain(preset, "", "")}
			if diff := cmp.Diff([]string{tt.meaning, tt.preset}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.comment, diff)
			}
		})
	}
}
