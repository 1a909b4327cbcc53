package fresh

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, a, b string
		want       int
	}{
		{"a count", "41", "42", -1},
		{"numbers are no texts", "9", "10", -1},
		{"a date", "2026.11.26.3", "2026.11.27.1", -1},
		{"a version", "v1.4.0", "v1.10.0", -1},
		{"a v says nothing", "v1.4", "1.4", 0},
		{"what follows a plus says nothing", "v1.4.0+3ae5", "v1.4.0+aaaa", 0},
		{"what follows a dash says nothing", "42-rc.1", "42", 0},
		{"what is not there is zero", "1.2", "1.2.0", 0},
		{"and less than one", "1.2", "1.2.0.1", -1},
		{"zeros before a number", "007", "7", 0},
		{"zero", "0", "0.0", 0},
		{"beyond 64 bits", "18446744073709551616", "18446744073709551615", 1},
		{"and far beyond", strings.Repeat("9", 255), "1" + strings.Repeat("0", 255), -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Compare(tt.a, tt.b)
			if err != nil || got != tt.want {
				t.Errorf("Compare(%q, %q): got %d, %v, want %d", tt.a, tt.b, got, err, tt.want)
			}
			if got, err := Compare(tt.b, tt.a); err != nil || got != -tt.want {
				t.Errorf("Compare(%q, %q): got %d, %v, want %d", tt.b, tt.a, got, err, -tt.want)
			}
		})
	}
}

func TestCompareRefusesWhatHasNoOrder(t *testing.T) {
	t.Parallel()
	for _, revision := range []string{
		"", "v", "vv1", "V1", "main", "1..2", ".1", "1.", "1.x", "0x10", "1e3", " 1", "1 ", "+1", "-1", "1_000", "١", "1,2",
		"3ae5f1", strings.Repeat("1", maxRevision+1), "1-" + strings.Repeat("a", maxRevision),
	} {
		if got, err := Compare(revision, "1"); !errors.Is(err, ErrUnordered) {
			t.Errorf("Compare(%q, 1): got %d, %v, want %v", revision, got, err, ErrUnordered)
		}
		if got, err := Compare("1", revision); !errors.Is(err, ErrUnordered) {
			t.Errorf("Compare(1, %q): got %d, %v, want %v", revision, got, err, ErrUnordered)
		}
	}
}

func FuzzCompare(f *testing.F) {
	for _, seed := range [][3]string{{"1", "2", "3"}, {"v1.4.0+3ae5", "2026.11.26.3", "0"}, {"", "-", "1.2"}, {"00", "0.0", "v0-"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, err := Compare(a, b)
		if err != nil {
			if !errors.Is(err, ErrUnordered) {
				t.Fatalf("Compare(%q, %q): got %v", a, b, err)
			}
			return
		}
		if ba, err := Compare(b, a); err != nil || ba != -ab {
			t.Errorf("%q against %q: got %d and %d, %v, want opposites", a, b, ab, ba, err)
		}
		if aa, err := Compare(a, a); err != nil || aa != 0 {
			t.Errorf("%q against itself: got %d, %v", a, aa, err)
		}
		bc, err := Compare(b, c)
		if err != nil {
			return
		}
		if ac, err := Compare(a, c); err != nil || ab <= 0 && bc <= 0 && ac > 0 || ab >= 0 && bc >= 0 && ac < 0 {
			t.Errorf("%q, %q, %q: got %d, %d and %d, %v, want an order", a, b, c, ab, bc, ac, err)
		}
	})
}

func TestFloorsRefuse(t *testing.T) {
	t.Parallel()
	floors, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	if err := floors.Raise("prod", "v7.2", ""); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, bundle, revision, minimum string
		want                            error
		says                            string
	}{
		{"an older one", "prod", "7.1.9", "", ErrBackwards, `bundle "prod": got revision "7.1.9", want at least "v7.2", which was active here`},
		{"one below the minimum", "other", "3", "4", ErrBackwards, `bundle "other": got revision "3", want at least the minimum "4"`},
		{"one without an order", "prod", "main", "", ErrUnordered, `bundle "prod"`},
		{"none", "other", "", "", ErrUnordered, `got ""`},
		{"a minimum without an order", "other", "3", "latest", ErrUnordered, `bundle "other": minimum`},
		{"the same one", "prod", "v7.2+other", "", nil, ""},
		{"a newer one", "prod", "8", "7", nil, ""},
		{"another bundle has a floor of its own", "other", "1", "", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := floors.Check(tt.bundle, tt.revision, tt.minimum, "")
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %q, want %q in it", err, tt.says)
			}
		})
	}
	if err := floors.Raise("prod", "7", ""); !errors.Is(err, ErrBackwards) {
		t.Errorf("raised to less: got %v, want %v", err, ErrBackwards)
	}
}

func TestFloorsOutliveAProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "floors.json")
	for _, revision := range []string{"1", "2", "2-again", "10"} {
		floors, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := floors.Raise("prod", revision, ""); err != nil {
			t.Fatal(err)
		}
	}
	floors, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := floors.Check("prod", "9", "", ""); !errors.Is(err, ErrBackwards) {
		t.Errorf("got %v, want %v", err, ErrBackwards)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want the file alone", entries, err)
	}
}

func TestFloorsThatCannotBeWrittenAreNotRaised(t *testing.T) {
	t.Parallel()
	floors, err := Open(filepath.Join(t.TempDir(), "gone", "floors.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := floors.Raise("prod", "5", ""); err == nil {
		t.Fatal("got no error, want one")
	}
	if err := floors.Check("prod", "4", "", ""); err != nil {
		t.Errorf("got %v, want the floor where it was", err)
	}
}

func TestOpenRefusesWhatWasNotWritten(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"an empty file":           "",
		"half a file":             `{"format": "assay.floors/1", "floors": {"prod": "4`,
		"another format":          `{"format": "assay.floors/2", "floors": {}}`,
		"no format":               `{"floors": {"prod": "4"}}`,
		"no floors":               `{"format": "assay.floors/1"}`,
		"null":                    `null`,
		"a list":                  `[]`,
		"an unknown field":        `{"format": "assay.floors/1", "floors": {}, "more": 1}`,
		"two objects":             `{"format": "assay.floors/1", "floors": {}}{}`,
		"a floor without order":   `{"format": "assay.floors/1", "floors": {"prod": {"revision": "latest", "content": ""}}}`,
		"more than can be theirs": `{"format": "assay.floors/1", "floors": {}}` + strings.Repeat(" ", maxFile),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "floors.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want an error that names %s", err, path)
			}
		})
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a directory: got no error, want one")
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, at string
		want     error
	}{
		{"a second before its end", "2026-11-26T12:00:01Z", nil},
		{"in another zone, before", "2026-11-26T13:30:00+01:00", nil},
		{"at its end", "2026-11-26T12:00:00Z", ErrExpired},
		{"in another zone, after", "2026-11-26T12:30:00+01:00", ErrExpired},
		{"years ago", "2020-01-01T00:00:00Z", ErrExpired},
	} {
		at, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := Expired(at, now); !errors.Is(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
	if err := Expired(time.Time{}, now); err != nil {
		t.Errorf("without an end: got %v, want none", err)
	}
}

// TestOneRevisionIsOneContent: whoever has two signed bundles of one revision shows the older.
func TestOneRevisionIsOneContent(t *testing.T) {
	t.Parallel()
	floors, err := Open(filepath.Join(t.TempDir(), "floors.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := floors.Raise("prod", "1.4.0", "new"); err != nil {
		t.Fatal(err)
	}
	again, err := Open(floors.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, revision := range []string{"1.4.0", "1.4.0-rc1", "v1.4.0+3ae5"} {
		if err := again.Check("prod", revision, "", "old"); !errors.Is(err, ErrBackwards) {
			t.Errorf("%s with other content: got %v, want a refusal", revision, err)
		}
		if err := again.Check("prod", revision, "", "new"); err != nil {
			t.Errorf("%s with the same content: got %v, want none", revision, err)
		}
		if err := again.Check("prod", revision, "", ""); err != nil {
			t.Errorf("%s before its content is known: got %v, want none", revision, err)
		}
	}
	if err := again.Check("prod", "1.4.1", "", "other"); err != nil {
		t.Errorf("a higher one: got %v, want none", err)
	}
}
