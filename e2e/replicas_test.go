package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/e2e/service"
)

// buildAssay builds the binary as it ships: once for all stories, and not at all where it is
// up to date.
func buildAssay(ctx context.Context) (string, error) {
	bin, err := filepath.Abs(filepath.Join(".assay", "bin", "assay"))
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "./cmd/assay")
	command.Dir = ".."
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

// webhook is the host part of the address of the Service, and those of its replicas follow it.
const webhook = 10

// install applies the webhooks of the chart and listens at the address of its Service.
func install(ts *testscript.TestScript, s *story, _ []string) {
	address := s.listen(ts)
	var err error
	s.authority, err = cluster.NewAuthority("webhooks of a test")
	ts.Check(err)
	manifests, err := webhooks(address, s.authority.PEM)
	ts.Check(err)
	_, err = s.cluster.TryKubectl(s.t, manifests, "apply", "--filename=-")
	ts.Check(err)
}

// listen listens at the address of the Service, and gives it.
func (s *story) listen(ts *testscript.TestScript) (address string) {
	address = s.cluster.Service(webhook)
	var err error
	s.service, err = service.Listen(address + ":443")
	if errors.Is(err, fs.ErrPermission) {
		s.t.Skipf("listen at the address of a Service: %v; run as root, or set net.ipv4.ip_unprivileged_port_start", err)
	}
	ts.Check(err)
	ts.Defer(s.service.Close)
	return address
}

// manifests installs what docs/install-cluster.md does, and listens at the address of the Service.
func manifests(ts *testscript.TestScript, s *story, _ []string) {
	applyManifests(s.t, s.cluster, s.listen(ts))
}

// deployed starts a replica as the Deployment says, with the rights of its ServiceAccount.
func deployed(ts *testscript.TestScript, s *story, args []string) {
	account := s.cluster.ServiceAccount(s.t, "cosign-system", "assay")
	ts.Setenv("account", account)
	s.start(ts, args[0], append(append(deploymentArgs(s.t, s.cluster), "--tuf-cache="+ts.MkAbs("tuf"), "--kubeconfig="+account, "--drain-delay=500ms"), args[1:]...))
}

// replica is a process of assay.
type replica struct {
	command *exec.Cmd
	log     *log
	ended   chan error
	address string
}

// issue writes a new certificate for a replica, over the one that it has.
func issue(ts *testscript.TestScript, s *story, args []string) {
	certificate, key, err := s.authority.Server("webhook.cosign-system.svc")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".crt"), certificate, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), key, 0o600))
}

// startReplica starts assay as a Pod of its Deployment would, and waits until the Service has it.
func startReplica(ts *testscript.TestScript, s *story, args []string) {
	name := args[0]
	issue(ts, s, args)
	s.start(ts, name, append([]string{
		"serve", "--tls-cert", name + ".crt", "--tls-key", name + ".key", "--allow-private-registries", "--drain-delay", "500ms",
	}, args[1:]...))
}

// start starts a replica at an address of its own.
func (s *story) start(ts *testscript.TestScript, name string, args []string) {
	address := s.cluster.Service(webhook+1+len(s.replicas)) + ":8443"
	r := &replica{log: newLog(), ended: make(chan error, 1), address: address}
	r.command = exec.Command(s.assay, append(args, "--addr", address)...)
	r.command.Dir, r.command.Env, r.command.Stderr = ts.MkAbs("."), s.env.Vars, r.log
	ts.Check(r.command.Start())
	go func() { r.ended <- r.command.Wait() }()
	ts.Defer(func() {
		_ = r.command.Process.Kill()
		if s.t.Failed() {
			ts.Logf("[log of %s]\n%s", name, r.log)
		}
	})
	s.replicas[name] = r
	ready := s.service.Ready()
	s.service.Add(address)
	for deadline := time.After(patience); s.service.Ready() == ready; {
		select {
		case err := <-r.ended:
			ts.Fatalf("%s ended before it was ready: %v\n%s", name, err, r.log)
		case <-deadline:
			ts.Fatalf("%s is not ready:\n%s", name, r.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *story) named(ts *testscript.TestScript, name string) *replica {
	r, ok := s.replicas[name]
	if !ok {
		ts.Fatalf("got no replica %s", name)
	}
	return r
}

func terminate(ts *testscript.TestScript, s *story, args []string) {
	r := s.named(ts, args[0])
	ts.Check(r.command.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-r.ended:
		ts.Check(err)
	case <-time.After(patience):
		ts.Fatalf("got no end within %s after SIGTERM", patience)
	}
}

func crash(ts *testscript.TestScript, s *story, args []string) {
	r := s.named(ts, args[0])
	ts.Check(r.command.Process.Kill())
	if err := <-r.ended; err == nil {
		ts.Fatalf("got exit code 0, want none: it was killed")
	}
}

func waitFor(ts *testscript.TestScript, s *story, args []string) {
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	r := s.named(ts, args[0])
	late := time.After(patience)
	for !r.log.find(pattern) {
		select {
		case <-r.log.changed:
		case <-late:
			ts.Fatalf("got no line %s within %s in the log:\n%s", pattern, patience, r.log)
		}
	}
}

// log is what a process wrote, and can be waited for.
type log struct {
	mu      sync.Mutex
	text    []byte
	read    int // how far it was waited for
	changed chan struct{}
}

func newLog() *log { return &log{changed: make(chan struct{}, 1)} }

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.text = append(l.text, p...)
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

// find says whether there is a match later than the last one.
func (l *log) find(pattern *regexp.Regexp) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := pattern.FindIndex(l.text[l.read:])
	if found == nil {
		return false
	}
	l.read += found[1]
	return true
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
