package bundled

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/bundle"
)

// TestMain is also the program that runs tests of bundles, where it is called as that. What
// it does the directory says.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != "test" {
		os.Exit(m.Run())
	}
	text, _ := os.ReadFile("a_test.rego")
	switch string(text) {
	case "speaks":
		fmt.Printf("\x1b[2Jcleared\nassay: ok\n%s %s %q\n", os.Args[0], os.Getenv("GOMAXPROCS"), os.Getenv("PATH"))
		os.Exit(1)
	case "grows":
		var all [][]byte
		for {
			next := make([]byte, 16<<20)
			for i := range next {
				next[i] = 1
			}
			all = append(all, next)
			if len(all) > 128 { // 2 GiB: nobody looked
				os.Exit(0)
			}
		}
	}
	os.Exit(0)
}

func TestTestsAreBounded(t *testing.T) {
	t.Parallel()
	b := &Bundles{flags: Flags{Tests: true}, own: t.TempDir()}
	test := func(text string) error {
		return b.Tests(context.Background(), bundle.Content{Modules: map[string]string{"a_test.rego": text}})
	}
	if err := test("passes"); err != nil {
		t.Errorf("passes: got %v", err)
	}
	err := test("speaks")
	if want := fmt.Sprintf("%s 1 \"\"", os.Args[0]); err == nil || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "cleared\n  assay: ok\n  "+want) {
		t.Errorf("speaks: got %q, want no escapes, lines below, %q", err, want)
	}
	if runtime.GOOS == "linux" {
		if err := test("grows"); err == nil || !strings.Contains(err.Error(), "tests of the bundles: memory: got ") || !strings.Contains(err.Error(), "want at most 512") {
			t.Errorf("grows: got %v, want its memory bounded", err)
		}
	}
	if entries, err := os.ReadDir(b.own); err != nil || len(entries) > 0 {
		t.Errorf("got %v, %v left, want nothing", entries, err)
	}
}

func TestLeftoversGo(t *testing.T) {
	t.Parallel()
	own := t.TempDir()
	for _, name := range []string{"tests-1/a", "bundles/prod"} {
		if err := os.MkdirAll(filepath.Join(own, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := leftovers(own); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(own); err != nil || len(entries) != 1 || entries[0].Name() != "bundles" {
		t.Errorf("got %v, %v, want bundles alone", entries, err)
	}
	if err := leftovers(filepath.Join(own, "nowhere")); err != nil {
		t.Errorf("no directory: got %v", err)
	}
}
