package cip_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

func TestFieldErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		errs cip.FieldErrors
		want string
	}{
		{"none", nil, ""},
		{"one", cip.FieldErrors{{Message: "missing field(s)", Paths: []string{"a"}}}, "missing field(s): a"},
		{"no path", cip.FieldErrors{{Message: "m"}}, "m: "},
		{"details", cip.FieldErrors{{Message: "m", Paths: []string{"a"}, Details: "d"}}, "m: a\nd"},
		{"paths are sorted and unique", cip.FieldErrors{{Message: "m", Paths: []string{"b", "a", "b"}}}, "m: a, b"},
		{
			"equal messages and details merge",
			cip.FieldErrors{{Message: "m", Paths: []string{"b"}}, {Message: "n", Paths: []string{"c"}}, {Message: "m", Paths: []string{"a", "b"}}},
			"m: a, b\nn: c",
		},
		{
			"details keep apart and sort",
			cip.FieldErrors{{Message: "m", Paths: []string{"a"}, Details: "y"}, {Message: "m", Paths: []string{"b"}, Details: "x"}},
			"m: b\nx\nm: a\ny",
		},
		{
			"levels keep apart",
			cip.FieldErrors{{Level: cip.WarningLevel, Message: "m", Paths: []string{"a"}}, {Message: "m", Paths: []string{"b"}}},
			"m: b\nm: a",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.errs.Error(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestFieldErrorsMergeLeavesItsReceiverAlone(t *testing.T) {
	t.Parallel()
	errs := cip.FieldErrors{{Message: "n", Paths: []string{"b", "a"}}, {Message: "m", Paths: []string{"c"}}}
	_ = errs.Merge()
	want := cip.FieldErrors{{Message: "n", Paths: []string{"b", "a"}}, {Message: "m", Paths: []string{"c"}}}
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Errorf("after Merge (-want +got):\n%s", diff)
	}
}

func TestFieldErrorsAt(t *testing.T) {
	t.Parallel()
	errs := cip.FieldErrors{{Message: "m"}, {Level: cip.WarningLevel, Message: "w"}}
	if diff := cmp.Diff(cip.FieldErrors{{Level: cip.WarningLevel, Message: "w"}}, errs.At(cip.WarningLevel)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if len(errs) != 2 || errs[0].Message != "m" {
		t.Errorf("got %v after At, want it unchanged", errs)
	}
}
