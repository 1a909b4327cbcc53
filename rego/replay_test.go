package rego_test

import (
	"bytes"
	"encoding/json"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
)

// isTest reports whether decisions are recorded and made again: those of benchmarks are
// not.
func isTest(t testing.TB) bool {
	_, ok := t.(*testing.T)
	return ok
}

// replayed makes the first decisions of a test again, from a capsule that was written
// and read, and wants the very same.
func replayed(t testing.TB) func(rego.Made) {
	t.Helper()
	const most = 2 // one with answers that are new, and one with answers that are known
	judge, err := recording.NewJudge()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	count := 0
	return func(made rego.Made) {
		mu.Lock()
		defer mu.Unlock()
		if count++; count > most {
			return
		}
		replay(t, judge, made)
	}
}

func replay(t testing.TB, judge *recording.Judge, made rego.Made) {
	t.Helper()
	if _, ok := made.Answers.(*builtins.Session); !ok || made.Err != nil {
		return // a test of what no session answers, or of what ended before there was a decision
	}
	if len(made.Set.Source().Allow.Builtins) > 0 {
		return // what http.send was answered is in no capsule
	}
	sealed, err := new(recording.Sealer).Seal(made)
	if err != nil {
		t.Errorf("recording: %v", err)
		return
	}
	if len(sealed.Settings.Masked) > 0 {
		return // a policy that looks at what is masked judges the mask
	}
	var file bytes.Buffer
	if _, err := capsule.Write(&file, sealed); err != nil {
		t.Errorf("recording: %v", err)
		return
	}
	read, _, err := capsule.Read(&file)
	if err != nil {
		t.Errorf("recording: %v", err)
		return
	}
	judged, err := judge.Judge(t.Context(), read, nil)
	if err != nil {
		t.Errorf("replaying: %v", err)
		return
	}
	outcome, err := judged.Outcome()
	if late := []byte("(timeout)"); bytes.Count(outcome.Decision, late) > bytes.Count(read.Outcome.Decision, late) {
		return // a machine that was slower the second time: what was late the first time is given, not judged again
	}
	if err != nil || len(judged.NotRecorded) > 0 || judged.PolicySet != read.Settings.PolicySet || !recording.Same(outcome, read.Outcome) {
		t.Errorf("replaying: got %v, not recorded %q, policy set %s of %s, and (-recorded +replayed):\n%s", err, judged.NotRecorded,
			judged.PolicySet, read.Settings.PolicySet, cmp.Diff(lines(read.Outcome.Decision), lines(outcome.Decision)))
	}
}

// lines is JSON with a line for each value.
func lines(text []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", " ") != nil {
		return string(text)
	}
	return out.String()
}
