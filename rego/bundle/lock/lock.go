// Package lock has a directory be one process's: two that keep floors of revisions and bundles in
// one directory would each undo what the other keeps.
//
// The lock is the kernel's, on a file that stays. It is gone with the process, however that ends.
// Where a system has none that this package knows, nobody is held off.
package lock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrHeld says that another process has the directory.
var ErrHeld = errors.New("another process has it")

// name is that of the file.
const name = "lock"

// Lock is held until it is released, and as long as somebody has it.
type Lock struct{ file *os.File }

// Take takes a directory, which is made where there is none. It does not wait.
func Take(directory string) (*Lock, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(directory, name)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := take(file); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return &Lock{file}, nil
}

// Release lets others take it. Nil holds nothing.
func (l *Lock) Release() error {
	if l == nil {
		return nil
	}
	// Left before it is closed: a child that is being started has the file open, too.
	return errors.Join(leave(l.file), l.file.Close())
}
