package raw_test

import (
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/raw"
)

// TestWhatOthersHaveChangesNoPolicy: files of one owner say what they say, whatever others bring.
func TestWhatOthersHaveChangesNoPolicy(t *testing.T) {
	t.Parallel()
	own := map[string]string{
		"x.rego":   "package policies.x\n\nimport data.lib.sets\n\ndeny contains \"x\" if not input.r in sets.trusted\n\ndeny contains \"y\" if data.shared.banned[input.r]\n",
		"lib.rego": "package lib.sets\n\ntrusted contains \"a.io\"\n",
		"all.rego": "package policies.all\n\ndeny contains name if some name in data.teams[_].banned\n",
		"one.rego": "package teams.one\n\nbanned contains \"b.io\"\n",
	}
	documents := [][]string{{"limits"}, {"zones", "eu"}}
	type object = map[string]any
	for name, tt := range map[string]struct {
		others map[string]string
		data   object
		want   string // in the refusal, "" for none
	}{
		"nothing":                              {nil, nil, ""},
		"another policy":                       {map[string]string{"b/y.rego": "package policies.y\n\ndeny contains \"y\" if true\n"}, nil, ""},
		"a library beside theirs":              {map[string]string{"b/l.rego": "package lib.more\n"}, nil, ""},
		"what they read and leave to others":   {map[string]string{"b/l.rego": "package shared\n\nbanned contains \"c.io\"\n"}, nil, ""},
		"data that they leave to others":       {nil, object{"shared": object{"banned": object{"c.io": true}}}, ""},
		"a document beside theirs":             {nil, object{"zones": object{"us": object{"a": 1}}}, ""},
		"what is left of data that were there": {nil, object{"lib": object{"sets": object{}}, "limits": object{"a": object{}}}, ""},
		"the package of a library":             {map[string]string{"b/l.rego": "package lib.sets\n\ntrusted contains \"evil.io\"\n"}, nil, "b/l.rego at data.lib.sets meets lib.rego"},
		"the package of a policy":              {map[string]string{"b/x.rego": "package policies.x\n\nmode := \"warn\"\n"}, nil, "b/x.rego at data.policies.x meets x.rego"},
		"a package below a policy":             {map[string]string{"b/x.rego": "package policies.x.mode\n"}, nil, "b/x.rego at data.policies.x.mode meets x.rego"},
		"a package above a library":            {map[string]string{"b/l.rego": "package lib\n\nsets.trusted contains \"evil.io\"\n"}, nil, "b/l.rego at data.lib meets lib.rego"},
		"Rego of another version":              {map[string]string{"b/l.rego": "package lib.sets\n\ntrusted[\"evil.io\"] { true }\n"}, nil, "b/l.rego at data.lib.sets"},
		"one more of what a policy reads all":  {map[string]string{"b/t.rego": "package teams.two\n\nbanned contains \"z\"\n"}, nil, "b/t.rego at data.teams meets one.rego, and all.rego reads both together"},
		"data for what a policy reads all":     {nil, object{"teams": object{"two": object{"banned": []any{"z"}}}}, "data at data.teams meets one.rego, and all.rego"},
		"data in the place of a rule":          {nil, object{"lib": object{"sets": object{"trusted": []any{"evil.io"}}}}, "data at data.lib.sets meets lib.rego"},
		"data in the place of a package":       {nil, object{"lib": "evil.io"}, "data at data.lib.sets meets lib.rego"},
		"more of a document":                   {nil, object{"limits": object{"evil": 1}}, "data at data.limits meets a data document"},
		"rules in a document":                  {map[string]string{"b/l.rego": "package limits.evil\n"}, nil, "b/l.rego at data.limits.evil meets a data document"},
		"rules above a document":               {map[string]string{"b/l.rego": "package zones\n"}, nil, "b/l.rego at data.zones meets a data document"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := raw.Beside{Modules: own, Documents: documents, Others: tt.others, Data: tt.data}.Mixed(t.Context())
			if got := err != nil; got != (tt.want != "") || got && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
