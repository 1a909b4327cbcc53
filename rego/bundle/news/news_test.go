package news

import "testing"

func TestNews(t *testing.T) {
	t.Parallel()
	var c Causes
	for i, step := range []struct {
		name, cause string // no cause is that it works
		want        bool
	}{
		{"a", "", false},
		{"a", "down", true}, {"a", "down", false}, {"b", "down", true}, {"a", "forged", true}, {"a", "down", true},
		{"a", "", true}, {"a", "", false}, {"a", "down", true},
		{"b", "read tcp 10.0.0.1:49152->10.0.0.2:443: reset", true}, {"b", "read tcp 10.0.0.1:49153->10.0.0.2:443: reset", false},
		{"b", "read tcp 10.0.0.1:49153->10.0.0.3:443: reset", true},
	} {
		got := false
		if step.cause == "" {
			got = c.Over(step.name)
		} else {
			got = c.New(step.name, step.cause)
		}
		if got != step.want {
			t.Errorf("%d: got %t of %q %q, want %t", i, got, step.name, step.cause, step.want)
		}
	}
}
