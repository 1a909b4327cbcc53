package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dies is set where this test binary plays a test that dies.
const dies = "PROCESS_TEST_DIES"

// A test that panics, or is killed, runs no Cleanup.
func TestComponentsDieWithTheTest(t *testing.T) {
	t.Parallel()
	if os.Getenv(dies) != "" {
		p, err := Start(t.TempDir(), "sleep", "/bin/sleep", "600")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\npid %d\n", p.pid)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestComponentsDieWithTheTest$")
	command.Env = append(os.Environ(), dies+"=1")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "pid %d", &pid)
	}
	if err := command.Wait(); err == nil || pid == 0 {
		t.Fatalf("got process %d and %v, want one that was killed", pid, err)
	}
	for deadline := time.Now().Add(patience); runs(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", pid)
		}
		<-time.After(time.Millisecond)
	}
}

// runs says whether a process does: one that is dead and waited for by nobody does not.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestTailLeavesInformationOut(t *testing.T) {
	t.Parallel()
	log := "E1 first\nI2 fine\n" + strings.Repeat("W3 odd\n", 19) + "I4 fine\nplain\n"
	if got, want := tail(log), strings.Repeat("W3 odd\n", 19)+"plain\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
