// Package tools builds the programs that tests run beside assay, from modules of their own:
// directories such as .kubernetes, whose go.mod pins versions and names the programs as its tools.
package tools

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/mod/modfile"
)

// Module pins programs.
type Module struct {
	home string
	file *modfile.File
}

// Find finds a module by the name of its directory: beside the package whose tests run, or above it.
func Find(name string) (*Module, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for at := dir; ; at = filepath.Dir(at) {
		home := filepath.Join(at, name)
		content, err := os.ReadFile(filepath.Join(home, "go.mod"))
		if err == nil {
			file, err := modfile.Parse(filepath.Join(home, "go.mod"), content, nil)
			return &Module{home: home, file: file}, err
		}
		if at == filepath.Dir(at) {
			return nil, fmt.Errorf("got no %s/go.mod in or above %s", name, dir)
		}
	}
}

// Version is that of a module which this one requires.
func (m *Module) Version(path string) (string, error) {
	for _, require := range m.file.Require {
		if require.Mod.Path == path {
			return require.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s/go.mod: got no %s", m.home, path)
}

// Build builds the tools into bin, unless what is there was built from the same versions in the
// same way, and gives that directory. Several tests may ask at once: one builds, the others wait.
func (m *Module) Build(ctx context.Context, ldflags string) (string, error) {
	flags := []string{"-trimpath", "-ldflags=-s -w " + ldflags}
	stamp, err := m.stamp(flags)
	if err != nil {
		return "", err
	}
	bin := filepath.Join(m.home, "bin")
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
	command.Dir = m.home
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, os.WriteFile(built, stamp, 0o600)
}

// stamp is equal for builds that give the same binaries.
func (m *Module) stamp(flags []string) ([]byte, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOARCH, flags)
	sources, err := filepath.Glob(filepath.Join(m.home, "*", "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range append([]string{filepath.Join(m.home, "go.mod"), filepath.Join(m.home, "go.sum")}, sources...) {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		hash.Write(content)
	}
	return fmt.Appendf(nil, "%x\n", hash.Sum(nil)), nil
}
