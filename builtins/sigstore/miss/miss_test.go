package miss

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"plain text stays", "https://example.com/ä", "https://example.com/ä"},
		{"no line is begun", "a\nadmitted", `a\u000aadmitted`},
		{"no cursor is moved", "a\x1b[2J\r\x07", `a\u001b[2J\u000d\u0007`},
		{"no C1 control", "a\u009b2J", `a\u009b2J`},
		{"no direction is turned", "a\u202eb\u2066", `a\u202eb\u2066`},
		{"nothing is hidden", "a\u200bb\ufeff\U000e0041", `a\u200bb\ufeff\U000e0041`},
		{"not UTF-8", "a\xffb", `a\xffb`},
		{"the replacement character itself", "a\uFFFDb", "a\uFFFDb"},
	} {
		if got := Printable(tt.text); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := Printable(strings.Repeat("ä", 1<<20)); len(got) > longest+8 {
		t.Errorf("got %d bytes, want at most %d", len(got), longest)
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b\n\xff\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		got := Printable(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("got %q, want what prints", got)
		}
		if len(got) > longest+16 {
			t.Errorf("got %d bytes, want at most %d", len(got), longest)
		}
	})
}

func TestNearestIdentity(t *testing.T) {
	t.Parallel()
	const issuer = "https://issuer.example"
	for _, tt := range []struct {
		name   string
		wanted []Identity
		names  []string
		want   []Difference
	}{
		{
			"an equal issuer before an equal subject",
			[]Identity{{Issuer: "https://other", Subject: "a@b"}, {Issuer: issuer, Subject: "zzz"}},
			[]string{"a@b"}, []Difference{{Subject, "a@b", "zzz"}},
		},
		{
			"then the longest beginning in common",
			[]Identity{{Issuer: issuer, Subject: "repo@main"}, {Issuer: issuer, Subject: "repo@v1"}, {Issuer: issuer, Subject: "x"}},
			[]string{"repo@v2"}, []Difference{{Subject, "repo@v2", "repo@v1"}},
		},
		{
			"of several names the nearest",
			[]Identity{{Issuer: issuer, Subject: "repo@v1"}},
			[]string{"x", "repo@v2", "repo"}, []Difference{{Subject, "repo@v2", "repo@v1"}},
		},
		{
			"an expression by what it begins with",
			[]Identity{{Issuer: issuer, SubjectRegExp: "^other/.*"}, {IssuerRegExp: "^https://", SubjectRegExp: `\A(?:repo/.*@v[0-9]+)\z`}},
			[]string{"repo/a@main"}, []Difference{{Subject, "repo/a@main", `one that matches \A(?:repo/.*@v[0-9]+)\z`}},
		},
		{
			"both differ",
			[]Identity{{Issuer: "https://other", Subject: "a"}},
			[]string{"b"}, []Difference{{Issuer, issuer, "https://other"}, {Subject, "b", "a"}},
		},
		{
			"a certificate without names",
			[]Identity{{Issuer: issuer, Subject: "a"}},
			nil, []Difference{{Subject, "none", "a"}},
		},
		{
			"hostile names are escaped",
			[]Identity{{Issuer: issuer, Subject: "a"}},
			[]string{"a\nadmitted\x1b[0m"}, []Difference{{Subject, `a\u000aadmitted\u001b[0m`, "a"}},
		},
		{"an expression that does not compile", []Identity{{Issuer: issuer, SubjectRegExp: "("}}, []string{"a"}, []Difference{{Subject, "a", "one that matches ("}}},
	} {
		got, _ := Want(tt.wanted).Nearest(tt.names, issuer)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if got, near := Want(nil).Nearest([]string{"a"}, issuer); got != nil || near != 0 {
		t.Errorf("nobody is wanted: got %v, %d", got, near)
	}
}

func TestNearestIsBounded(t *testing.T) {
	t.Parallel()
	misses := make([]Miss, 20)
	misses[15].Rank, misses[16].Near = 1, 1
	misses[15].Differs = make([]Difference, 5)
	misses[15].Message = "a\nb"
	got := Nearest(misses)
	if len(got) != Most || got[0].Rank != 1 || got[1].Near != 1 || len(got[0].Differs) != mostDifferences || got[0].Message != `a\u000ab` {
		t.Errorf("got %+v", got)
	}
}

// TestMissesTakeFewBytes, whatever a stranger wrote: they are kept with a verdict.
func TestMissesTakeFewBytes(t *testing.T) {
	t.Parallel()
	for _, huge := range []string{strings.Repeat("x", 1<<20), strings.Repeat("\U000e0041", 1<<18), strings.Repeat("\xff", 1<<20)} {
		m := Miss{Digest: huge, Format: "legacy", At: huge, Code: "identity_mismatch", Message: huge, Claims: huge}
		for range 5 {
			m.Differs = append(m.Differs, Differs(Subject, huge, huge))
		}
		m = Nearest([]Miss{m})[0]
		got := len(m.Digest) + len(m.Format) + len(m.At) + len(m.Code) + len(m.Message) + len(m.Claims) + int(unsafe.Sizeof(m))
		for _, d := range m.Differs {
			got += len(d.Got) + len(d.Want) + int(unsafe.Sizeof(d))
		}
		if got > MostBytes {
			t.Errorf("%.4q…: got %d bytes, want at most %d", huge, got, MostBytes)
		}
		if !strings.HasPrefix(m.Claims, Printable(huge[:100])) {
			t.Errorf("got claims %.20q, want the beginning of %.4q…", m.Claims, huge)
		}
	}
}

// TestWhatsAreDistinct keeps the closed list a list of names.
func TestWhatsAreDistinct(t *testing.T) {
	t.Parallel()
	seen := map[What]bool{}
	for _, what := range Whats() {
		if what == "" || seen[what] {
			t.Errorf("got %q twice or empty", what)
		}
		seen[what] = true
	}
}
