package webhook

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// ownMemory is where a container finds how much memory it may have.
const ownMemory = "/sys/fs/cgroup/memory.max"

// keepWithin has the garbage collector keep nine tenths of what the container may have, where it
// may not have everything. Otherwise it lets garbage grow as large as what is in use, and a burst of
// large reviews is the end of the process. GOMEMLIMIT says otherwise.
func keepWithin(file string, getenv func(string) string) {
	if getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := containerMemory(file); limit != math.MaxInt64 {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
}

// containerMemory is the limit of a cgroup in bytes, and the largest number where there is none.
func containerMemory(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return math.MaxInt64 // this is no container
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || limit <= 0 {
		return math.MaxInt64 // max
	}
	return limit
}
