package finding_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
)

// TestWhatIsNotCheckedIsNoPass: nor is what failed, and a warning is one.
func TestWhatIsNotCheckedIsNoPass(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		one  finding.Finding
		want error
	}{
		{"all is well", finding.OK("a", "b"), nil},
		{"warned of", finding.Warned("a", "do", "b"), nil},
		{"failed", finding.Failed("a", "do", "b"), finding.Err},
		{"not checked", finding.NotChecked("a", errors.New("b")), finding.Err},
		{"not checked, with what to do", finding.Because("a", "do", errors.New("b")), finding.Err},
	} {
		if got := finding.Worst([]finding.Finding{finding.OK("first", "fine"), tt.one}); !errors.Is(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestStrangersDoNotSpeakToTheTerminal: names and messages are of objects that others write.
func TestStrangersDoNotSpeakToTheTerminal(t *testing.T) {
	t.Parallel()
	all := []finding.Finding{finding.Failed("policy \x1b[2J", "fix\u202e", "first\nok           clock: all is well\x07 %s", strings.Repeat("é", 2000))}
	for _, format := range []string{"text", "json"} {
		var out strings.Builder
		if err := finding.Write(&out, format, all); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"\x1b", "\x07", "\u202e", "first\n"} {
			if strings.Contains(out.String(), bad) {
				t.Errorf("%s: got %q in %q", format, bad, out.String())
			}
		}
		if len(out.String()) > 2500 {
			t.Errorf("%s: got %d bytes, want a message that is cut", format, len(out.String()))
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	one := finding.Failed("CustomResourceDefinition a", "kubectl apply", "got none")
	one.Check = "definitions"
	two := finding.NotChecked("b", errors.New("no right"))
	two.Check = "leader"
	var out strings.Builder
	if err := finding.Write(&out, "text", []finding.Finding{one, two}); err != nil {
		t.Fatal(err)
	}
	want := "failed       definitions   CustomResourceDefinition a: got none\n" +
		"                           fix: kubectl apply\n" +
		"not checked  leader        b: no right\n" +
		"0 ok, 0 warned of, 1 failed, 1 not checked\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// TestJSON: each has all five fields.
func TestJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := finding.Write(&out, "json", []finding.Finding{finding.OK("a <b>", "c")}); err != nil {
		t.Fatal(err)
	}
	var got []map[string]string
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]string{{"check": "", "status": "ok", "object": "a <b>", "message": "c", "fix": ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("json (-want +got):\n%s", diff)
	}
}

func TestWhatToDoSoThatSomethingIsLookedAt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "a", errors.New("no")), "as somebody who may"},
		{fmt.Errorf("get: %w", context.DeadlineExceeded), "try again"},
		{errors.New("other"), ""},
	} {
		if got := finding.NotChecked("a", tt.err).Fix; !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}
