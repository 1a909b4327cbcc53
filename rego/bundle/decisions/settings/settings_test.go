package settings_test

import (
	"testing"

	"github.com/assay-dev/assay/rego/bundle/decisions/settings"
)

type config struct {
	path, level string
	size        int64
	zip         bool
}

func fields(c *config) settings.Fields {
	return settings.Fields{
		"path": settings.Text(&c.path), "level": settings.OneOf(&c.level, "debug", "info"), "size": settings.Number(&c.size, 1, 10), "zip": settings.Flag(&c.zip),
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, config, want string }{
		{"a field that does not exist", `{"path": "x", "pth": 1}`, "plugins.p.pth: got a field that does not exist, want one of level, path, size, zip"},
		{"a field in another case", `{"Path": "x"}`, "plugins.p.Path: got a field that does not exist, want one of level, path, size, zip"},
		{"an empty text", `{"path": ""}`, `plugins.p.path: got "", want a text that is not empty`},
		{"null for a text", `{"path": null}`, `plugins.p.path: got null, want a text that is not empty`},
		{"a number for a text", `{"path": 1}`, `plugins.p.path: got 1, want a text that is not empty`},
		{"a text that is none of those", `{"level": "loud"}`, `plugins.p.level: got "loud", want one of debug, info`},
		{"a number that is too small", `{"size": 0}`, `plugins.p.size: got 0, want a whole number from 1 to 10`},
		{"a number that is too large", `{"size": 11}`, `plugins.p.size: got 11, want a whole number from 1 to 10`},
		{"a number that is not whole", `{"size": 1.5}`, `plugins.p.size: got 1.5, want a whole number from 1 to 10`},
		{"a text for a number", `{"size": "1"}`, `plugins.p.size: got "1", want a whole number from 1 to 10`},
		{"a text for a flag", `{"zip": "true"}`, `plugins.p.zip: got "true", want true or false`},
		{"a list", `[]`, `plugins.p: got [], want an object`},
		{"two values", `{} {}`, `plugins.p: got more than one value`},
		{"no JSON", `{`, `plugins.p: unexpected EOF`},
		{"all", `{"path": "x", "level": "info", "size": 2, "zip": true}`, ""},
		{"nothing", `null`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c config
			got := ""
			if err := settings.Read("p", []byte(tt.config), fields(&c)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if want := (config{"x", "info", 2, true}); tt.name == "all" && c != want {
				t.Errorf("got %v, want %v", c, want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"path": "x", "level": "info", "size": 2, "zip": true}`))
	f.Add([]byte(`{"size": 1e400, "path": "\ud800"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := config{size: 1}
		if err := settings.Read("p", data, fields(&c)); err == nil && (c.size < 1 || c.size > 10) {
			t.Errorf("got %d, want from 1 to 10", c.size)
		}
	})
}
