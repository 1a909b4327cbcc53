package assay_test

import (
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rowsFile lists what policy-controller does, by the ids that tests cite.
const rowsFile = "testdata/rows.txt"

// pending are rows whose part is being built. A release has none: take an id out
// as soon as it has a test.
func pending() []string { return nil }

// TestEveryRowHasATest wants each row named at the start of a test's name or of
// the comment on it, and no test of a row that is later.
func TestEveryRowHasATest(t *testing.T) {
	t.Parallel()
	rows, tested := readRows(t), testedRows(t)
	for id, later := range rows {
		places, waiting := tested[id], slices.Contains(pending(), id)
		switch {
		case later && waiting:
			t.Errorf("%s: got it later and pending, want one of them", id)
		case later && len(places) > 0:
			t.Errorf("%s: is later, and has a test in %s", id, strings.Join(places, ", "))
		case waiting && len(places) > 0:
			t.Errorf("%s: is pending, and has a test in %s", id, strings.Join(places, ", "))
		case !later && !waiting && len(places) == 0:
			t.Errorf("%s: got no test, want one whose name or comment starts with it", id)
		}
	}
	for id, places := range tested {
		if _, known := rows[id]; !known {
			t.Errorf("%s: got a test in %s, and no row in %s", id, strings.Join(places, ", "), rowsFile)
		}
	}
	for _, id := range pending() {
		if _, known := rows[id]; !known {
			t.Errorf("%s: is pending, and no row in %s", id, rowsFile)
		}
	}
}

var rowLine = regexp.MustCompile(`^([A-Z0-9]+-[0-9]+) \| [^|]+( \| later: [^|]+)?$`)

// readRows says of each row whether it is later.
func readRows(t *testing.T) map[string]bool {
	t.Helper()
	rows := map[string]bool{}
	for line := range strings.Lines(read(t, rowsFile)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		found := rowLine.FindStringSubmatch(line)
		if found == nil {
			t.Errorf("%s: got %q, want ID | subject | later: reason", rowsFile, line)
			continue
		}
		if _, twice := rows[found[1]]; twice {
			t.Errorf("%s: %s stands twice", rowsFile, found[1])
		}
		rows[found[1]] = found[2] != ""
	}
	return rows
}

// rowTitle is one or more ids where a name in quotes, a comment or a story begins.
var (
	rowTitle = regexp.MustCompile("(?m)(?:^|[\"`]|// |# )((?:[A-Z][A-Z0-9]*-[0-9]+(?:, | and ))*[A-Z][A-Z0-9]*-[0-9]+)[:, ]")
	rowID    = regexp.MustCompile(`[A-Z][A-Z0-9]*-[0-9]+`)
)

// testedRows are the files that begin a title with an id, by id.
func testedRows(t *testing.T) map[string][]string {
	t.Helper()
	prefixes := map[string]bool{}
	for id := range readRows(t) {
		prefix, _, _ := strings.Cut(id, "-")
		prefixes[prefix] = true
	}
	tested := map[string]map[string]bool{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !isTest(path) || path == "rows_test.go" {
			return err
		}
		for _, title := range rowTitle.FindAllStringSubmatch(read(t, path), -1) {
			for _, id := range rowID.FindAllString(title[1], -1) {
				prefix, _, _ := strings.Cut(id, "-")
				if !prefixes[prefix] {
					continue // SHA-256 and the like
				}
				if tested[id] == nil {
					tested[id] = map[string]bool{}
				}
				tested[id][path] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for id, places := range tested {
		out[id] = slices.Sorted(maps.Keys(places))
	}
	return out
}

func isTest(path string) bool {
	return strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_test.rego") || filepath.Ext(path) == ".txtar"
}
