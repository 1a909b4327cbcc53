package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assay-dev/assay/builtins"
)

// replayed is the program as scripts run it: what verify decides in any story is
// recorded too, and has to be the same when it is replayed. Stories that say --record
// themselves are left alone, and those of what no capsule holds.
func replayed() {
	alone := func(arg string) bool { return slices.Contains([]string{"--record", "--allow-builtin", "--help"}, arg) }
	if len(os.Args) < 2 || os.Args[1] != "verify" || slices.ContainsFunc(os.Args, alone) {
		main()
		return
	}
	builtins.Register()
	dir, err := os.MkdirTemp("", "assay-replayed-")
	if err != nil {
		panic(err)
	}
	code := run(context.Background(), append(os.Args[1:], "--record", dir), os.Stdout, unrecorded{os.Stderr})
	capsules, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		panic(err)
	}
	if len(capsules) == 0 && code != exitUndecided {
		fmt.Fprintln(os.Stderr, "nothing was recorded")
		code = exitUnlike
	}
	if code == exitUndecided {
		capsules = nil // the time was over, and is no part of a capsule
	}
	for _, path := range capsules {
		var said bytes.Buffer
		if got := run(context.Background(), []string{"replay", "--timeout", "10m", path}, io.Discard, &said); got != exitAdmitted {
			fmt.Fprintf(os.Stderr, "replayed with code %d: %s\n", got, &said)
			code = exitUnlike
		}
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// exitUnlike is the code of a decision that is another one when it is replayed.
const exitUnlike = 99

// unrecorded leaves out what --record says.
type unrecorded struct{ io.Writer }

func (u unrecorded) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "recorded ") {
		return len(p), nil
	}
	return u.Writer.Write(p)
}
