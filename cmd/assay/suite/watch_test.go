package suite

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWatch changes a fixture, adds one in a new directory and breaks a file: each
// time the tests run again, until the program is interrupted.
func TestWatch(t *testing.T) {
	t.Parallel()
	dir := unpacked(t, "-- policies/a_test.rego --\npackage a_test\n\ntest_a if true\n")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "test", "--watch", "policies")
	cmd.Dir = dir
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	until := func(want string) {
		t.Helper()
		var seen []string
		for lines.Scan() {
			if seen = append(seen, lines.Text()); strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("got\n%s\nand no more, want %s", strings.Join(seen, "\n"), want)
	}
	until("PASS: 1/1")
	until("Watching for changes ...")
	write(t, dir, "policies/a_test.rego", "package a_test\n\ntest_a if false\n")
	until("FAIL: 1/1")
	until("Watching for changes ...")
	if err := os.Mkdir(filepath.Join(dir, "policies", "new"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "policies/new/b_test.yaml", "cases: [{name: b, image: 'ghcr.io/x:v1', want: denied}]\n")
	until("FAIL: 1/2")
	until("Watching for changes ...")
	write(t, dir, "policies/a_test.rego", "package\n")
	until("rego_parse_error")
	until("Watching for changes ...")
	write(t, dir, "policies/a_test.rego", "package a_test\n\ntest_a if true\n")
	until("PASS: 2/2")
	until("Watching for changes ...")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, output); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: got %v, want code 0", err)
	}
}
