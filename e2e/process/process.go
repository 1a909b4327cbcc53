// Package process runs the components that tests are told with, and ends them with the test,
// whichever way it ends. It needs Linux: the processes of a test that dies are ended by the kernel.
package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a component may take to start on a machine that is busy with other
// things. Nothing waits for it when all is well.
const patience = 3 * time.Minute

// Process is a component that was started.
type Process struct {
	name, log string
	pid       int
	done      chan struct{}
	err       error // once done is closed
}

// Start runs a program in a directory, with its log in NAME.log there.
func Start(dir, name, program string, args ...string) (*Process, error) {
	p := &Process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	command := exec.Command(program, args...)
	command.Dir, command.Stdout, command.Stderr = dir, log, log
	// In a group of its own: an interrupt of the terminal is for the test, which stops them in
	// the right order. Should the test die without doing so, the kernel does.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The signal comes when the thread ends that started the process, not when the
		// program does: this one lives as long as the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			p.err = command.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	p.pid = command.Process.Pid
	return p, nil
}

// Await asks until there is no error, the process ends, or patience does.
func (p *Process) Await(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %w", p.name, p.err)
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", p.name, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Kill ends it and waits until it is gone. On SIGTERM servers would wait for their clients.
func (p *Process) Kill() {
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.done
}

// Stop ends it, and shows the end of its log if the test failed.
func (p *Process) Stop(t testing.TB) {
	p.Kill()
	if !t.Failed() {
		return
	}
	if content, err := os.ReadFile(p.log); err == nil {
		t.Logf("the end of the log of %s:\n%s", p.name, tail(string(content)))
	}
}

// tail gives the last lines of a log that are no mere information.
func tail(log string) string {
	const lines = 20
	var kept []string
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "I") { // as klog begins them
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-lines):], "")
}
