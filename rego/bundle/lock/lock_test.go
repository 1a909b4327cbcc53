//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows

package lock_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego/bundle/lock"
)

// holding names the directory that the test binary, started by a test, is to hold.
const holding = "ASSAY_TEST_HOLDS"

func TestMain(m *testing.M) {
	if directory := os.Getenv(holding); directory != "" {
		held, err := lock.Take(directory)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		time.Sleep(time.Hour) // until it is killed
		runtime.KeepAlive(held)
	}
	os.Exit(m.Run())
}

func TestOneHolderAtATime(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "not", "there", "yet")
	first, err := lock.Take(directory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Take(directory); !errors.Is(err, lock.ErrHeld) || !strings.Contains(err.Error(), directory) {
		t.Errorf("the second: got %v, want it to be held, and where", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := lock.Take(directory)
	if err != nil {
		t.Fatalf("released: got %v, want the lock", err)
	}
	if err := again.Release(); err != nil {
		t.Error(err)
	}
	if err := (*lock.Lock)(nil).Release(); err != nil {
		t.Errorf("none: got %v, want nothing", err)
	}
}

// TestAHolderThatIsKilledLeavesNoLock.
func TestAHolderThatIsKilledLeavesNoLock(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	holder := exec.Command(self)
	holder.Env = append(os.Environ(), holding+"="+directory)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	said, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := lock.Take(directory); !errors.Is(err, lock.ErrHeld) || said != "held\n" {
		t.Errorf("while it runs (%q): got %v, want it to be held", said, err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // it was killed
	after, err := lock.Take(directory)
	if err != nil {
		t.Fatalf("killed: got %v, want the lock", err)
	}
	if err := after.Release(); err != nil {
		t.Error(err)
	}
}

func TestADirectoryThatIsNone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Take(file); err == nil || errors.Is(err, lock.ErrHeld) {
		t.Errorf("got %v, want another error", err)
	}
}
