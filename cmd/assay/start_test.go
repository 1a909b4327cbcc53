package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestStartPage runs what docs/start.md tells a reader to type, one after the other.
func TestStartPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/start.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", "")) {
			typed, ok := strings.CutPrefix(line, "$ ")
			if !ok {
				continue
			}
			if !strings.HasPrefix(typed, "cd ") {
				script.WriteString("exec ")
			}
			script.WriteString(typed)
		}
	}
	if strings.Count(script.String(), "\n") < 4 {
		t.Fatalf("got the commands\n%s, want those of the page", script.String())
	}
	file := filepath.Join(t.TempDir(), "start.txtar")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Files: []string{file}, RequireExplicitExec: true})
}

// TestInitPassesRegal lints what assay init writes as an editor does, by the rules that
// come with it.
func TestInitPassesRegal(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "tool", "-modfile=../../.tools/go.mod", "-n", "regal").Output()
	if err != nil {
		t.Skipf("there is no Regal, which make rego builds: %v", err)
	}
	dir := t.TempDir()
	var capabilities, stderr bytes.Buffer
	if code := run(t.Context(), []string{"init", dir}, io.Discard, &stderr); code != 0 {
		t.Fatalf("init: got exit code %d, want 0\n%s", code, &stderr)
	}
	if code := run(t.Context(), []string{"capabilities"}, &capabilities, &stderr); code != 0 {
		t.Fatalf("capabilities: got exit code %d, want 0\n%s", code, &stderr)
	}
	if err := os.WriteFile(filepath.Join(dir, "capabilities.json"), capabilities.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	regal := exec.Command(strings.TrimSpace(string(out)), "lint", "policies")
	regal.Dir = dir
	if out, err := regal.CombinedOutput(); err != nil {
		t.Errorf("regal lint: %v\n%s", err, out)
	}
}
