//go:build !linux

package bundled

import "syscall"

// alone is what a child is started with: elsewhere than on Linux nothing has it end with
// this process.
func alone() *syscall.SysProcAttr { return nil }

func yielding(int) {}

// resident is not known here: the limit of Go's own memory counts, which what runs obeys.
func resident(int) (int64, bool) { return 0, false }
