package bundled

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/assay-dev/assay/cmd/assay/tree"
	"github.com/assay-dev/assay/rego/bundle"
)

// testTime is how long the tests of bundles may take.
const testTime = 2 * time.Minute

// Tests runs the tests that bundles brought along, if the flags want that, and refuses those
// whose tests fail. They run in a process of their own, which has nothing of this one's
// environment and is ended in time: a test calls what it likes.
func (b *Bundles) Tests(ctx context.Context, next bundle.Content) error {
	if !b.flags.Tests || !tested(next) {
		return nil
	}
	files, err := sourcesOf(next)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.own, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.own, "tests-")
	if err != nil {
		return err
	}
	err = tree.Write(dir, files)
	if err == nil {
		err = run(ctx, dir, next.V0)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func tested(next bundle.Content) bool {
	for path := range next.Modules {
		if strings.HasSuffix(path, "_test.rego") {
			return true
		}
	}
	return false
}

// sourcesOf is what bundles were built of: objects and data as files at the top, Rego below the
// names of the bundles.
func sourcesOf(next bundle.Content) (map[string][]byte, error) {
	files := map[string][]byte{}
	for path, text := range next.Modules {
		files[path] = []byte(text)
	}
	for _, resource := range next.Resources {
		files[strings.ReplaceAll(resource.Path, "/", "_")+".json"] = resource.Document // no name of an object has the character
	}
	if len(next.Data) == 0 {
		return files, nil
	}
	data, err := json.Marshal(next.Data)
	files["data.json"] = data
	return files, err
}

// run runs assay test, which is this program.
func run(ctx context.Context, dir string, v0 bool) error {
	program, err := exec.LookPath(os.Args[0])
	if err != nil {
		return fmt.Errorf("tests of the bundles: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	arguments := []string{"test", "."}
	if v0 {
		arguments = append(arguments, "--v0-compatible")
	}
	if program, err = filepath.Abs(program); err != nil {
		return fmt.Errorf("tests of the bundles: %w", err)
	}
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir, command.Env, command.WaitDelay = dir, []string{"HOME=" + dir, "GOMEMLIMIT=512MiB"}, time.Second
	output := &tail{}
	command.Stdout, command.Stderr = output, output
	if err := command.Run(); err != nil {
		return fmt.Errorf("tests of the bundles: %w: %s", err, strings.TrimSpace(string(output.text)))
	}
	return nil
}

// tail keeps the last of what is written.
type tail struct{ text []byte }

// Write implements [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	t.text = append(t.text, p...)
	if len(t.text) > most {
		t.text = append([]byte(nil), t.text[len(t.text)-most:]...)
	}
	return len(p), nil
}
