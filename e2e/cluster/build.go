package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/mod/modfile"
)

// build builds the control plane into .kubernetes/bin, unless what is there was built from the
// same versions in the same way, and gives that directory. Several tests may ask at once: one
// builds, the others wait.
func build(ctx context.Context) (string, error) {
	home, err := pinned()
	if err != nil {
		return "", err
	}
	flags, err := buildFlags(home)
	if err != nil {
		return "", err
	}
	stamp, err := stampOf(home, flags)
	if err != nil {
		return "", err
	}
	bin := filepath.Join(home, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(bin, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	built := filepath.Join(bin, ".built")
	if last, err := os.ReadFile(built); err == nil && bytes.Equal(last, stamp) {
		return bin, nil
	}
	command := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), "-o", "bin/", "tool")...)
	command.Dir = home
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, os.WriteFile(built, stamp, 0o600)
}

// pinned finds the directory of the module that pins the control plane: beside the package whose
// tests run, or above it.
func pinned() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		home := filepath.Join(at, ".kubernetes")
		if _, err := os.Stat(filepath.Join(home, "go.mod")); err == nil {
			return home, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("got no .kubernetes/go.mod in or above %s", dir)
		}
	}
}

// buildFlags stamp the version: clients that check it refuse a server without.
func buildFlags(home string) ([]string, error) {
	content, err := os.ReadFile(filepath.Join(home, "go.mod"))
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse("go.mod", content, nil)
	if err != nil {
		return nil, err
	}
	for _, require := range file.Require {
		if require.Mod.Path != "k8s.io/kubernetes" {
			continue
		}
		version := require.Mod.Version
		var major, minor int
		if _, err := fmt.Sscanf(version, "v%d.%d.", &major, &minor); err != nil {
			return nil, fmt.Errorf("version of k8s.io/kubernetes: got %q: %w", version, err)
		}
		const in = "k8s.io/component-base/version"
		return []string{"-trimpath", fmt.Sprintf("-ldflags=-s -w -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]d "+
			"-X %[1]s.gitMinor=%[4]d -X %[1]s.gitCommit=0000000 -X %[1]s.gitTreeState=clean "+
			"-X %[1]s.buildDate=2026-01-01T00:00:00Z", in, version, major, minor)}, nil
	}
	return nil, errors.New("go.mod: got no k8s.io/kubernetes")
}

// stampOf is equal for builds that give the same binaries.
func stampOf(home string, flags []string) ([]byte, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOARCH, flags)
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(home, name))
		if err != nil {
			return nil, err
		}
		hash.Write(content)
	}
	return fmt.Appendf(nil, "%x\n", hash.Sum(nil)), nil
}
