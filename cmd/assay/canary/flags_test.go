package canary_test

import (
	"math"
	"testing"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/canary"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	var defaults canary.Flags
	defaults.Add(&cobra.Command{})
	if err := defaults.Check(false); err != nil {
		t.Errorf("the defaults: got %v, want nothing wrong with them", err)
	}
	for name, tt := range map[string]struct {
		flags canary.Flags
		tried bool
		want  string
	}{
		"no share":                 {canary.Flags{Sample: 1}, true, "--canary-share: got 0, want more than 0 and at most 1"},
		"more than a core":         {canary.Flags{Share: 1.5, Sample: 1}, true, "--canary-share: got 1.5, want more than 0 and at most 1"},
		"a share that is none":     {canary.Flags{Share: math.NaN(), Sample: 1}, true, "--canary-share: got NaN, want more than 0 and at most 1"},
		"more than all":            {canary.Flags{Share: 1, Sample: 2}, true, "--canary-sample: got 2, want from 0 to 1"},
		"less than nothing":        {canary.Flags{Share: 1, Sample: 1, Fetch: -1}, true, "--canary-fetch: got -1, want 0 or more"},
		"a budget of no candidate": {canary.Flags{Share: 0.2, Sample: 1, Fetch: 1}, false, "--canary: got none, want the candidate that the other flags are about"},
	} {
		if err := tt.flags.Check(tt.tried); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
	var options canary.Options
	(&canary.Flags{Share: 0.5, Sample: 0.25, Fetch: 3}).Set(&options)
	if options.Share != 0.5 || options.Skip != 0.75 || options.FetchPerMinute != 3 {
		t.Errorf("got %+v, want what the flags say", options)
	}
}
