package bundled

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlagsThatContradict(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		flags Flags
		want  string
	}{
		"a minimum of nothing":     {Flags{Minimum: map[string]string{"a": "1"}}, "--config-file: got none"},
		"a data API of nothing":    {Flags{DataAPI: true}, "--config-file: got none"},
		"a token for nothing":      {Flags{Config: "x", Token: "t"}, "--api-token-file: got it without --data-api"},
		"all that there has to be": {Flags{Config: "x", DataAPI: true, Token: "t"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := tt.flags.Check(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want == "", got == ""); diff != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
