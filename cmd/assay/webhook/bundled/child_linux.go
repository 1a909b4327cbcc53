package bundled

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// alone has a child end with this process, in a group of its own.
func alone() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// yielding lets everything else go before a child's group. Where that is not so it is only
// in the way.
func yielding(pid int) { _ = syscall.Setpriority(syscall.PRIO_PGRP, pid, 10) }

// resident is how much memory a process has, in bytes; false where that is not known.
func resident(pid int) (int64, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}
