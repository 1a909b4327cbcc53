package bundled

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/tree"
	"github.com/assay-dev/assay/rego/bundle"
)

// testTime is how long the tests of bundles may take.
const testTime = 2 * time.Minute

// testsPrefix begins the names of directories in which tests run.
const testsPrefix = "tests-"

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
	dir, err := os.MkdirTemp(b.own, testsPrefix)
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

// mostMemory bounds what tests may hold, in bytes, and looks is how often that is looked at.
const (
	mostMemory = 512 << 20
	looks      = 50 * time.Millisecond
)

// run runs assay test, which is this program: whatever is at its path by now, by the name
// that it was called by.
func run(ctx context.Context, dir string, v0 bool) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("tests of the bundles: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	arguments := []string{"test", "."}
	if v0 {
		arguments = append(arguments, "--v0-compatible")
	}
	command := exec.CommandContext(ctx, program, arguments...)
	command.Args[0] = os.Args[0]
	command.Dir, command.WaitDelay, command.SysProcAttr = dir, time.Second, alone()
	command.Env = []string{"HOME=" + dir, "GOMEMLIMIT=384MiB", "GOMAXPROCS=1"}
	output := &tail{}
	command.Stdout, command.Stderr = output, output
	// A child that ends with its parent ends with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := command.Start(); err != nil {
		return fmt.Errorf("tests of the bundles: %w", err)
	}
	yielding(command.Process.Pid)
	go watch(ctx, command.Process.Pid, end)
	if err := command.Wait(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("tests of the bundles: %w: %s", err, plain.Below(strings.TrimSpace(string(output.text))))
	}
	return nil
}

// watch ends a process that holds too much memory, until ctx ends.
func watch(ctx context.Context, pid int, end context.CancelCauseFunc) {
	ticker := time.NewTicker(looks)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if got, ok := resident(pid); ok && got > mostMemory {
			end(fmt.Errorf("memory: got %d MiB, want at most %d", got>>20, int64(mostMemory)>>20))
			return
		}
	}
}

// leftovers removes what tests left that were ended with the process before this one.
func leftovers(own string) error {
	entries, err := os.ReadDir(own)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), testsPrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(own, entry.Name())))
		}
	}
	return err
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
