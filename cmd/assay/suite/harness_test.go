package suite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"golang.org/x/tools/txtar"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/cmd/assay/opa"
)

// TestMain lets the tests run the test binary as the program, in a directory and with
// an environment of their own.
func TestMain(m *testing.M) {
	builtins.Register()
	if len(os.Args) > 1 && os.Args[1] == "test" {
		os.Exit(main(os.Args[1:]))
	}
	Register()
	os.Exit(m.Run())
}

func main(args []string) int {
	root := &cobra.Command{Use: "assay", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(Command())
	root.SetArgs(args)
	root.SetOut(os.Stdout) // cobra's default is standard error
	err := root.Execute()
	var exit opa.Exit
	switch {
	case errors.As(err, &exit):
		return exit.Code
	case err != nil:
		fmt.Fprintln(os.Stderr, "assay:", err)
		return exitFailed
	}
	return 0
}

// stock is the upstream binary, in the version that the product links. The go command
// builds it once and keeps it.
var stock = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "opa").Output()
	return strings.TrimSpace(string(out)), err
})

// outcome is what a program printed and how it ended.
type outcome struct {
	Output, Errors string
	Code           int
}

// execute runs a program in a directory. Environment is added to that of the test.
func execute(t testing.TB, dir string, environment []string, program string, args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var output, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &output, &errs
	cmd.Env = append(os.Environ(), environment...)
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{output.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// assay runs this program.
func assay(t testing.TB, dir string, args ...string) outcome {
	t.Helper()
	return execute(t, dir, nil, os.Args[0], append([]string{"test"}, args...)...)
}

// unpacked writes an archive to a directory.
func unpacked(t testing.TB, archive string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var (
	durations = regexp.MustCompile(`\b\d+(\.\d+)?(ns|µs|ms|s)\b|"duration": \d+`)
	measured  = regexp.MustCompile(`\t[^\n]*`)
)

// steady is the text without what differs from run to run: times, and the order in
// which tests that run side by side end.
func steady(text string) string {
	text = measured.ReplaceAllString(durations.ReplaceAllString(text, "TIME"), "")
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return line == "" }) // between files
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
