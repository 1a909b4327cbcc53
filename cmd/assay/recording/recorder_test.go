package recording_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
)

// counts are what a recorder told of its decisions.
type counts struct {
	mu sync.Mutex
	of map[recording.Result]int
}

func (c *counts) count(result recording.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[recording.Result]int{}
	}
	c.of[result]++
}

// record takes decisions and then writes them all.
func record(t *testing.T, flags recording.Flags, log *bytes.Buffer, made ...rego.Made) *counts {
	t.Helper()
	if flags.MaxBytes == 0 {
		flags.MaxBytes = 1 << 30
	}
	seen := &counts{}
	r := recording.NewRecorder(flags, new(recording.Sealer), slog.New(slog.NewTextHandler(log, nil)), seen.count)
	for _, m := range made {
		r.Take(m)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	r.Run(ended)
	r.Take(made[0]) // after the end nothing is taken, and nobody waits
	return seen
}

// twoDecisions are an admission and a denial.
func twoDecisions(t *testing.T) (allowed, denied rego.Made) {
	t.Helper()
	r := open(t, setup{record: true})
	r.decide(t, r.image("app"))
	r.decide(t, r.image("bare"))
	return r.made[0], r.made[1]
}

func TestRecorderTakesWhatItsFlagsSay(t *testing.T) {
	t.Parallel()
	allowed, denied := twoDecisions(t)
	undecided := rego.Made{Set: denied.Set, Review: denied.Review, Answers: denied.Answers, Err: context.DeadlineExceeded}
	for _, tt := range []struct {
		name  string
		flags recording.Flags
		want  []string
	}{
		{"all", recording.Flags{Sample: 1}, []string{"allowed", "denied", "undecided"}},
		{"denials, and where there is no decision", recording.Flags{Sample: 1, Denials: true}, []string{"denied", "undecided"}},
		{"none of them", recording.Flags{Sample: 0}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.flags.Dir = t.TempDir()
			seen := record(t, tt.flags, new(bytes.Buffer), allowed, denied, undecided)
			var got []string
			for _, name := range names(t, tt.flags.Dir) {
				got = append(got, strings.Split(name, "-")[1])
			}
			if slices.Sort(got); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if seen.of[recording.Written] != len(tt.want) || seen.of[recording.Failed] > 0 {
				t.Errorf("got %v, want %d written", seen.of, len(tt.want))
			}
		})
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, entry := range entries {
		out = append(out, entry.Name())
	}
	return out
}

// TestRecorderThatCannotKeepUpDrops fills the queue while nobody writes.
func TestRecorderThatCannotKeepUpDrops(t *testing.T) {
	t.Parallel()
	_, denied := twoDecisions(t)
	dir := t.TempDir()
	made := slices.Repeat([]rego.Made{denied}, 100)
	seen := record(t, recording.Flags{Dir: dir, Sample: 1}, new(bytes.Buffer), made...)
	if seen.of[recording.Written] != 64 || seen.of[recording.Dropped] != 100-64+1 {
		t.Errorf("got %v, want 64 written and the others dropped", seen.of)
	}
	large := denied
	large.Review = append(bytes.Clone(denied.Review), bytes.Repeat([]byte(" "), 30<<20)...)
	seen = record(t, recording.Flags{Dir: dir, Sample: 1}, new(bytes.Buffer), large, large, large, denied)
	if seen.of[recording.Written] != 3 || seen.of[recording.Dropped] != 2 {
		t.Errorf("large reviews: got %v, want those that fit written", seen.of)
	}
}

// TestEvidenceThatWaitsIsBounded has decisions with some megabytes of evidence each, which
// are held for as long as the disk takes, whatever caches forget.
func TestEvidenceThatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	r := open(t, setup{
		record: true, description: strings.Replace(description, "buildType: make", "buildType: "+strings.Repeat("x", 4<<20), 1),
		policies: signed + "      attestations: [{name: slsa, predicateType: https://slsa.dev/provenance/v1}]\n",
	})
	r.decide(t, r.image("app"))
	if holds := r.made[0].Answers.(*builtins.Session).Holds(); holds < 4<<20 {
		t.Fatalf("got %d bytes, want those of the attestation", holds)
	}
	seen := record(t, recording.Flags{Dir: t.TempDir(), Sample: 1}, new(bytes.Buffer), slices.Repeat(r.made, 30)...)
	if got := seen.of[recording.Written]; got == 0 || got > 16 {
		t.Errorf("got %v, want as many as 64 MiB hold", seen.of)
	}
}

// TestDiskThatCannotBeWrittenIsCounted says it once, and counts each.
func TestDiskThatCannotBeWrittenIsCounted(t *testing.T) {
	t.Parallel()
	_, denied := twoDecisions(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	seen := record(t, recording.Flags{Dir: filepath.Join(file, "capsules"), Sample: 1}, &log, denied, denied, denied)
	if seen.of[recording.Failed] != 3 || seen.of[recording.Written] != 0 {
		t.Errorf("got %v, want 3 failed", seen.of)
	}
	if got := strings.Count(log.String(), "level=ERROR"); got != 1 {
		t.Errorf("got %d lines, want one:\n%s", got, &log)
	}
}

// TestOldestCapsulesMakeRoom keeps to the bound, and leaves other files alone.
func TestOldestCapsulesMakeRoom(t *testing.T) {
	t.Parallel()
	_, denied := twoDecisions(t)
	dir := t.TempDir()
	c, err := new(recording.Sealer).Seal(denied)
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for i := range 5 {
		c.Settings.Time = c.Settings.Time.AddDate(0, 0, -1)
		if _, size, err = capsule.Save(dir, c); err != nil {
			t.Fatal(err, i)
		}
	}
	other := filepath.Join(dir, "20200101T000000.000Z-notes.txt")
	if err := os.WriteFile(other, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	seen := record(t, recording.Flags{Dir: dir, Sample: 1, MaxBytes: 3*size + size/2}, new(bytes.Buffer), denied)
	after := names(t, dir)
	if seen.of[recording.Removed] != 3 || len(after) != 4 || !slices.Contains(after, filepath.Base(other)) {
		t.Errorf("got %v and %q, want three of %q removed and the other file kept", seen.of, after, before)
	}
	if slices.Contains(after, before[1]) || !slices.Contains(after, before[len(before)-1]) {
		t.Errorf("got %q, want the newest of %q", after, before)
	}
	seen = record(t, recording.Flags{Dir: dir, Sample: 1, MaxBytes: 1}, new(bytes.Buffer), denied)
	if after := names(t, dir); len(after) != 1 {
		t.Errorf("a bound below one capsule: got %v and %q, want the other file alone", seen.of, after)
	}
}

// TestWhatStaysMakesNoDirectoryGrow has a capsule that cannot be removed, and one that a
// program which died left unfinished.
func TestWhatStaysMakesNoDirectoryGrow(t *testing.T) {
	t.Parallel()
	_, denied := twoDecisions(t)
	c, err := new(recording.Sealer).Seal(denied)
	if err != nil {
		t.Fatal(err)
	}
	_, size, err := capsule.Save(t.TempDir(), c)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const stays, left, large = "20200101T000000.000Z-denied-000000000000.capsule.tar", ".writing-1.capsule.tar", 1 << 20
	for _, name := range []string{stays, left} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, large), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := recording.NewRecorder(recording.Flags{Dir: dir, Sample: 1, MaxBytes: large + size + size/2}, new(recording.Sealer), slog.New(slog.DiscardHandler),
		func(recording.Result) {
			// A directory with something in it is not removed.
			if err := os.Remove(filepath.Join(dir, stays)); err == nil {
				_ = os.MkdirAll(filepath.Join(dir, stays, "x"), 0o700)
			}
		})
	for range 4 {
		r.Take(denied) // masks, and so the name, are others each time
	}
	ended, end := context.WithCancel(t.Context())
	end()
	r.Run(ended)
	if got := names(t, dir); len(got) != 2 || got[0] != stays {
		t.Errorf("got %q, want %s and one capsule", got, stays)
	}
}
