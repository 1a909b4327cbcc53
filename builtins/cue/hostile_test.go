package cue_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/cue"
)

// slow is a policy that takes seconds and makes little of them. Many are as good
// as other policies, one for each id.
func slow(id int) string {
	return fmt.Sprintf("import \"list\"\nlet r = list.Range(0, 40, 1)\nid: %d\nx: len([for a in r for b in r for c in r if a+b+c < 0 {a}])", id)
}

// hostile are policies that would take for ever, or break a naive evaluator. What
// a policy makes of memory is not bounded, so none of these makes much.
func hostile() map[string]string {
	var exponential, chain, doubled strings.Builder
	for i := range 60 {
		fmt.Fprintf(&exponential, "x%d: {a: 1} | {a: 2} | {b: 1}\n", i)
	}
	exponential.WriteString("all: x0")
	for i := range 59 {
		fmt.Fprintf(&exponential, " & x%d", i+1)
	}
	for i := 3000; i > 0; i-- {
		fmt.Fprintf(&chain, "x%d: {y: x%d.y}\n", i, i-1)
	}
	chain.WriteString("x0: y: 0")
	doubled.WriteString(`x0: "aaaaaaaaaaaaaaaa"` + "\n")
	for i := range 18 {
		fmt.Fprintf(&doubled, "x%d: x%d + x%d\n", i+1, i, i)
	}
	return map[string]string{
		"products of lists":          "import \"list\"\nlet r = list.Range(0, 2000, 1)\nx: len([for a in r for b in r for c in r if a+b+c < 0 {a}])",
		"exponential disjunctions":   exponential.String(),
		"a chain of references":      chain.String(),
		"a text that doubles":        doubled.String(),
		"repetition":                 "import \"strings\"\n" + `x: strings.Repeat("a", 100000000000)`,
		"multiplication":             `x: 1000000000000 * "a"`,
		"a large list":               "import \"list\"\n" + `x: list.Repeat([1], 1000000000000)`,
		"a large power":              "import \"math\"\n" + `x: math.Pow(10, 1000000000)`,
		"a large literal":            `x: 1e999999999 + 1`,
		"a regular expression":       `x: =~"(((((a*)*)*)*)*)*b"` + "\n" + `x: "` + strings.Repeat("a", 100000) + `"`,
		"a large regular expression": `x: =~"((a{1000}){1000}){1000}"` + "\n" + `x: "a"`,
		"a structural cycle":         `x: {y: x}`,
		"a cycle of two":             "a: {b: c}\nc: {d: a}",
		"a recursion":                "#F: {n: int, if n > 0 {next: #F & {n: n-1}}}\ny: #F & {n: 100000}",
		"a list of itself":           `a: [for i in a {i}, 1]`,
		"deep brackets":              "x: " + strings.Repeat("[", 100000) + strings.Repeat("]", 100000),
		"deep fields":                strings.Repeat("a: ", 80000) + "1",
		"deep selectors":             "a: a" + strings.Repeat(".b", 100000),
		"a long sum":                 "x: " + strings.Repeat("1+", 100000) + "1",
		"a long interpolation":       `x: ` + strings.Repeat(`"\(`, 9000) + "1" + strings.Repeat(`)"`, 9000),
		"no UTF-8":                   "\xff\xfe\x00",
	}
}

// alone is the name of the policy that this process is for.
const alone = "ASSAY_TEST_HOSTILE_CUE"

// TestHostilePolicies: each is answered at the deadline, and the process, which is
// one of its own because what runs on disturbs other tests, goes on.
func TestHostilePolicies(t *testing.T) {
	if name := os.Getenv(alone); name != "" {
		e := evaluator(t, cue.Options{Timeout: 200 * time.Millisecond})
		t.Logf("%.100v", e.Validate(t.Context(), hostile()[name], []byte(`{"predicate": {}}`), false))
		// Time may be short for this one too: what counts is that it is answered.
		if after := e.Validate(t.Context(), `a: 1`, []byte(`{"a": 1}`), false); after != nil && after.Code != cue.Timeout {
			t.Errorf("after it: got %v, want no refusal", after)
		}
		return
	}
	t.Parallel()
	for name := range hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			process := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHostilePolicies$", "-test.v")
			process.Env = append(os.Environ(), alone+"="+name)
			if out, err := process.CombinedOutput(); err != nil {
				t.Errorf("got %v, want a process that goes on:\n%.2000s", err, out)
			}
		})
	}
}

// TestDeadline: the own limit, that of the context, and no time at all.
func TestDeadline(t *testing.T) {
	t.Parallel()
	const within, none = "the cue policy was not evaluated within ", "the cue policy was not evaluated: no time is left"
	for _, tt := range []struct {
		name          string
		context, time time.Duration
		want          string
		abandoned     int64
	}{
		{"the own limit", time.Hour, 20 * time.Millisecond, within, 1},
		{"the context's", 20 * time.Millisecond, time.Hour, within, 1},
		{"none", -1, time.Hour, none, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := evaluator(t, cue.Options{Timeout: tt.time})
			var got *cue.Refusal
			for begun := time.Now(); time.Since(begun) < time.Minute; {
				ctx, cancel := context.WithTimeout(t.Context(), tt.context)
				got = e.Validate(ctx, slow(0), []byte(`{}`), false)
				cancel()
				if tt.want == none || got == nil || !strings.HasPrefix(got.Message, none) {
					break
				} // the time was over before it began
			}
			abandoned := e.Abandoned()
			if got == nil || got.Code != cue.Timeout || !strings.HasPrefix(got.Message, tt.want) {
				t.Errorf("got %v, want timeout: %s", got, tt.want)
			}
			if abandoned != tt.abandoned {
				t.Errorf("got %d abandoned, want %d", abandoned, tt.abandoned)
			}
		})
	}
}

// TestTooManyAbandoned: runaways do not eat the process, and who knows a verdict
// has it all the same.
func TestTooManyAbandoned(t *testing.T) {
	t.Parallel()
	e := evaluator(t, cue.Options{Timeout: 20 * time.Millisecond, Abandoned: 2, Parallel: 1})
	known := func() *cue.Refusal { return e.Validate(t.Context(), `a: 1`, []byte(`{"a": 2}`), false) }
	for known().Code == cue.Timeout { // on a machine that has other things to do
		t.Log("once more")
	}
	for i := range int64(2) {
		for e.Abandoned() == i { // the time may be over before it begins
			if got := e.Validate(t.Context(), slow(int(i)), []byte(`{}`), false); got == nil || got.Code != cue.Timeout {
				t.Fatalf("got %v, want timeout", got)
			}
		}
	}
	const still = "the cue policy is still being evaluated, past its time"
	const want = "the cue policy was not evaluated: 2 evaluations still run past their time, want less than 2"
	if got := e.Validate(t.Context(), slow(0), []byte(`{}`), false); message(got) != still {
		t.Errorf("the same again: got %v, want %s", got, still)
	}
	if got := e.Validate(t.Context(), ``, []byte(`{}`), false); message(got) != want || got.Code != cue.Timeout {
		t.Errorf("another: got %v, want %s", got, want)
	}
	if got := known(); got == nil || got.Code != cue.NotCompliant {
		t.Errorf("one that is known: got %v, want not_compliant", got)
	}
	if got := e.Abandoned(); got != 2 {
		t.Errorf("got %d abandoned, want 2", got)
	}
}

// TestOnePolicyAbandoned: one that takes too long, whatever the document, keeps itself
// from being evaluated and no other.
func TestOnePolicyAbandoned(t *testing.T) {
	t.Parallel()
	e := evaluator(t, cue.Options{Timeout: time.Minute, Abandoned: 4})
	const want = "the cue policy was not evaluated: 2 evaluations of it still run past their time, want less than 2"
	last := ""
	for i := 0; last != want && i < 1000; i++ { // the time may be over before one begins
		brief, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		last = message(e.Validate(brief, slow(0), fmt.Appendf(nil, `{"a": %d}`, i), false))
		cancel()
	}
	if last != want {
		t.Errorf("the same with another document: got %q, want %q", last, want)
	}
	if got := e.Validate(t.Context(), `a: 1`, []byte(`{"a": 2}`), false); got == nil || got.Code != cue.NotCompliant {
		t.Errorf("another: got %v, want not_compliant", got)
	}
}

// TestAbandonedEnd: what was given up is counted until it ends, and what it found
// serves whoever asks again.
func TestAbandonedEnd(t *testing.T) {
	t.Parallel()
	e := evaluator(t, cue.Options{Timeout: time.Millisecond})
	policy := slow(0) + "\ny: 1"
	ask := func() *cue.Refusal { return e.Validate(t.Context(), policy, []byte(`{"y": 2}`), false) }
	if got := ask(); got == nil || got.Code != cue.Timeout {
		t.Skipf("got %v before a millisecond was over", got)
	}
	for tick := time.Tick(time.Millisecond); e.Abandoned() > 0; <-tick {
		if t.Context().Err() != nil {
			t.Fatal("got no end")
		}
	}
	begun := time.Now()
	for got := ask(); got == nil || got.Code != cue.NotCompliant; got = ask() {
		if time.Since(begun) > time.Minute { // the time may have been over before it began
			t.Fatalf("got %v, want the verdict of the evaluation that ended late", got)
		}
	}
}

// TestWaitingEndsWithTheContext: whoever waits for a turn leaves when it is time.
func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	e := evaluator(t, cue.Options{Timeout: time.Hour, Parallel: 1})
	holds, leave := context.WithCancel(t.Context())
	var holder sync.WaitGroup
	holder.Go(func() { _ = e.Validate(holds, slow(0), []byte(`{}`), false) })
	const want = "the cue policy was not evaluated: 1 others are"
	got := ""
	for i := 0; got != want && i < 1000; i++ { // until the holder has the only turn
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		got = message(e.Validate(ctx, fmt.Sprintf("a: %d", i), []byte(`{}`), false))
		cancel()
	}
	leave()
	holder.Wait()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNothingIsReached: a policy has no hands. Tasks may be described and are not
// run, files are not embedded, modules not loaded.
func TestNothingIsReached(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret, touched := filepath.Join(dir, "secret.txt"), filepath.Join(dir, "touched")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	const compile = "failed to compile the cue policy with error: "
	for _, tt := range []struct{ name, policy, want string }{
		{"tool/exec", "import \"tool/exec\"\nx: exec.Run & {cmd: [\"touch\", \"" + touched + "\"], stdout: string}", ""},
		{"tool/file writes", "import \"tool/file\"\nx: file.Create & {filename: \"" + touched + "\", contents: \"x\"}", ""},
		{"tool/file reads", "import \"tool/file\"\nx: file.Read & {filename: \"" + secret + "\", contents: \"other\"}", ""},
		{"tool/http", "import \"tool/http\"\nx: http.Get & {url: \"http://127.0.0.1:1\", response: body: \"x\"}", ""},
		{"tool/os", "import \"tool/os\"\nx: os.Getenv & {PATH: \"none\"}", ""},
		{"tool/cli", "import \"tool/cli\"\nx: cli.Print & {text: \"x\"}", ""},
		{"a command", "import \"tool/exec\"\ncommand: x: exec.Run & {cmd: \"touch " + touched + "\"}", ""},
		{"an embedded file", "@extern(embed)\npackage p\nx: _ @embed(file=\"" + secret + "\", type=text)", compile + "cannot embed files when not in a module"},
		{"embedded files", "@extern(embed)\npackage p\nx: _ @embed(glob=*.go, type=text)", compile + "cannot embed files when not in a module"},
		{"an attribute alone", `x: string @embed(file=cue_test.go, type=text)`, ""},
		{"code of another language", "@extern(wasm)\npackage p\nx: _ @extern(\"x.wasm\", abi=c, sig=\"func(int64): int64\")", compile + `no injection defined for "wasm"`},
		{"a module", "import \"example.com/acme/policy\"\nx: policy", compile + `package "example.com/acme/policy" imported but not defined in `},
		{"a module with a version", "import \"example.com/acme/policy@v1\"\nx: policy", compile + `package "example.com/acme/policy@v1" imported but not defined in `},
		{"a relative package", "import \"./policy\"\nx: policy", compile + `package "./policy" imported but not defined in `},
		{"an absolute package", "import \"/etc\"\nx: etc", compile + `builtin package "/etc" undefined`},
		{"a package that there is not", "import \"os\"\nx: os", compile + `builtin package "os" undefined`},
		{"the time", "import \"time\"\nx: time.Now()", compile + "x: cannot call non-function time.Now (type _|_)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := message(evaluator(t, cue.Options{}).Validate(t.Context(), tt.policy, []byte(`{}`), false))
			if cut, _, _ := strings.Cut(got, " (and "); cut != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if strings.Contains(got, "secret\"") {
				t.Errorf("got %q, want nothing of the file", got)
			}
			if _, err := os.Stat(touched); !os.IsNotExist(err) {
				t.Errorf("got %v, want no file", err)
			}
		})
	}
}

// TestEnvironmentDoesNotDecide: CUE has knobs in the environment of the process.
func TestEnvironmentDoesNotDecide(t *testing.T) {
	t.Setenv("CUE_DEBUG", "opendef,logeval=1")
	got := evaluator(t, cue.Options{}).Validate(t.Context(), "#A: {a: 1}\n#A", []byte(`{"b": 1}`), false)
	if want := "failed to evaluate the policy with error: b: field not allowed"; message(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestVerdictsAreFew: what is kept of a thousand questions is their verdicts, and no
// context, which would keep all that was compiled in it.
func TestVerdictsAreFew(t *testing.T) {
	e := evaluator(t, cue.Options{Verdicts: 10})
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	ask := func(n int) {
		for i := range n {
			_ = e.Validate(t.Context(), `a: int`, fmt.Appendf(nil, `{"a": %d, "b": [1, 2, 3], "c": {"d": "e"}}`, i), false)
		}
	}
	ask(100)
	before := heap()
	ask(1000)
	begun, tick := time.Now(), time.Tick(10*time.Millisecond)
	for after := heap(); after > before+4<<20; after = heap() { // others make use of the heap too, for a while
		if time.Since(begun) > time.Minute {
			t.Fatalf("got %d KiB more after 1000 questions, want few", (after-before)>>10)
		}
		<-tick
	}
}

// TestManyAtOnce gives everybody the verdict of their own question.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	e := evaluator(t, cue.Options{Verdicts: 5})
	var wait sync.WaitGroup
	for i := range 64 {
		wait.Go(func() {
			policy, document := fmt.Sprintf("a: %d", i%8), fmt.Appendf(nil, `{"a": %d}`, i%4)
			got := e.Validate(t.Context(), policy, document, i%2 == 0)
			if complies := i%8 == i%4; complies != (got == nil) {
				t.Errorf("%s of %s: got %v, want compliance %t", policy, document, got, complies)
			}
		})
	}
	wait.Wait()
	if got := e.Abandoned(); got != 0 {
		t.Errorf("got %d abandoned, want none", got)
	}
}
