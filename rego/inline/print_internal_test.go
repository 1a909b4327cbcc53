package inline

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// TestSameModule: a printed module that says something else is not used, were
// OPA's formatter to change a meaning again (T27).
func TestSameModule(t *testing.T) {
	t.Parallel()
	const meant = "package p\nimport input.a\nx = 1 { a } else = 2 { true }\ny[z] { z := 1 }"
	for name, c := range map[string]struct {
		printed string
		want    bool
	}{
		"T27: the same, laid out otherwise": {"package p\n\nimport input.a\n\nx := 1 {\n\ta\n} else := 2 {\n\ttrue\n}\n\ny[z] {\n\tz := 1\n}", true},
		"T27: keywords imported":            {"package p\nimport future.keywords\nimport input.a\nx := 1 if { a } else := 2 if { true }\ny contains z if { z := 1 }", true},
		"T27: another package":              {"package q\nimport input.a\nx = 1 { a } else = 2 { true }\ny[z] { z := 1 }", false},
		"T27: an import less":               {"package p\nx = 1 { a } else = 2 { true }\ny[z] { z := 1 }", false},
		"T27: an import by another name":    {"package p\nimport input.b as a\nx = 1 { a } else = 2 { true }\ny[z] { z := 1 }", false},
		"T27: a rule less":                  {"package p\nimport input.a\nx = 1 { a } else = 2 { true }", false},
		"T27: rules in another order":       {"package p\nimport input.a\ny[z] { z := 1 }\nx = 1 { a } else = 2 { true }", false},
		"T27: another value":                {"package p\nimport input.a\nx = 2 { a } else = 2 { true }\ny[z] { z := 1 }", false},
		"T27: another else":                 {"package p\nimport input.a\nx = 1 { a } else = 3 { true }\ny[z] { z := 1 }", false},
		"T27: a negation":                   {"package p\nimport input.a\nx = 1 { not a } else = 2 { true }\ny[z] { z := 1 }", false},
		"T27: an object instead of a set":   {"package p\nimport input.a\nx = 1 { a } else = 2 { true }\ny[z] = true { z := 1 }", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := func(text string) *ast.Module {
				module, err := parseAs("p.rego", text, ast.RegoV0)
				if err != nil {
					t.Fatal(err)
				}
				return module
			}
			if err := sameModule(read(meant), read(c.printed)); (err == nil) != c.want {
				t.Errorf("got %v, want the same: %v", err, c.want)
			}
		})
	}
}
