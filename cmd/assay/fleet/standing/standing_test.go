package standing_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/fleet/standing"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

func noon() time.Time { return time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC) }

// TestWhatIsWrittenIsRead, all of it.
func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	report := canary.Report{
		Name: "main", Revision: "43", Since: noon(), At: noon().Add(time.Hour), Decisions: map[canary.Outcome]int64{canary.Same: 3, canary.NewlyDenied: 2},
		Policies:    map[string]map[canary.Outcome]int64{"signed": {canary.NewlyDenied: 2}},
		Differences: []canary.Difference{{Outcome: canary.NewlyDenied, Kind: "Pod", Image: "app", Count: 2, First: noon(), Last: noon()}},
	}
	want := &standing.Standing{
		Bundles: map[string]standing.Bundle{"main": {Expires: noon(), Source: &standing.Source{Confirmed: noon(), Error: "e"}}},
		Entries: map[outcome.Place]map[outcome.Result]int64{outcome.Queue: {outcome.Dropped: 2, outcome.Delivered: 5}}, Canary: &report,
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := standing.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Contains(string(text), "example") {
		t.Errorf("got an example, want none: %s", text)
	}
	if diff := cmp.Diff(map[string]int64{"queue dropped": 2}, got.Lost()); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
}

// TestOneOfALaterProgramIsRead, as far as it is known.
func TestOneOfALaterProgramIsRead(t *testing.T) {
	t.Parallel()
	got, err := standing.Read([]byte(`{"mood": "good", "bundles": {"main": {"expires": "2026-11-26T12:00:00Z", "by": "x"}}, "entries": {"queue": {"eaten": 2}}}`))
	if err != nil || !got.Bundles["main"].Expires.Equal(noon()) || got.Lost()["queue eaten"] != 2 {
		t.Errorf("got %+v, %v, want what is known", got, err)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"bundles": {"x": {"expires": "0000-01-01T00:00:00Z", "source": {}}}}`, `{"entries": {"queue": {"dropped": 1099511627776}}}`,
		`{"canary": {"since": "2026-11-26T12:00:00Z", "decisions": {"same": 1}, "policies": {"a": {"same": -1}}, "differences": [{"outcome": "?", "count": 1}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := standing.Read(text)
		if err != nil {
			return
		}
		sum := int64(0)
		for cause, n := range got.Lost() {
			if sum += n; n <= 0 || sum < 0 || len(cause) > standing.MostText+3 {
				t.Errorf("got %d of %q lost, %d together", n, cause, sum)
			}
		}
		if got.Canary == nil {
			return
		}
		written, err := json.Marshal(got.Canary)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := canary.Read(written); err != nil || again.Judged() != got.Canary.Judged() {
			t.Errorf("got %v, %v, want the report that was read", again, err)
		}
	})
}
