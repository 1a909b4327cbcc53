package webhook

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestContainerMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, test := range map[string]struct {
		text string
		want int64
	}{
		"a gibibyte":     {"1073741824\n", 1 << 30},
		"no limit":       {"max\n", math.MaxInt64},
		"nothing":        {"", math.MaxInt64},
		"zero":           {"0\n", math.MaxInt64},
		"less than zero": {"-1\n", math.MaxInt64},
		"too many":       {"99999999999999999999\n", math.MaxInt64},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := containerMemory(file); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
	if got := containerMemory(filepath.Join(dir, "absent")); got != math.MaxInt64 {
		t.Errorf("no file: got %d, want none", got)
	}
}
