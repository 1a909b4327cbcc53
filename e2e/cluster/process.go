package cluster

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// process is a component that was started. Its err is there once done is closed.
type process struct {
	pid  int
	done chan struct{}
	err  error
}

// run starts a component of the control plane, with its log in NAME.log.
func (c *Cluster) run(name string, args ...string) error {
	log, err := os.OpenFile(c.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	command := exec.Command(c.Tool(name), args...)
	command.Dir, command.Stdout, command.Stderr = c.Dir, log, log
	// In a group of its own: an interrupt of the terminal is for the test, which stops them in
	// the right order. Should the test die without doing so, the kernel does.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &process{done: make(chan struct{})}
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
		return err
	}
	p.pid = command.Process.Pid
	c.running[name] = p
	return nil
}

// kill ends a component and waits until it is gone. On SIGTERM the API server would wait for
// those who watch.
func (c *Cluster) kill(name string) {
	p, ok := c.running[name]
	if !ok {
		return
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.done
	delete(c.running, name)
}

// stop ends everything, and shows the ends of the logs if the test failed.
func (c *Cluster) stop(t testing.TB) {
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "server"} {
		c.kill(name)
		if !t.Failed() {
			continue
		}
		if content, err := os.ReadFile(c.path(name + ".log")); err == nil {
			t.Logf("the end of the log of %s:\n%s", name, tail(string(content)))
		}
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
