package cip_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

const digest = "@sha256:5504f2a95018e3d8a52d80d9e1a128c6ea337581808ff9fe96f5628ce2336350"

func TestGlobMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		image string
		yes   string // globs that match
		no    string // globs that do not
	}{
		// policy-controller's own table.
		{"foo", "index.docker.io/library/foo:latest index.docker.io/library/foo:* index.docker.io/library/* " +
			"index.docker.io/library/*:latest index.docker.io/*/* index.docker.io/** index.docker.** inde** ** foo foo* foo** *", ""},
		{"myuser/myapp", "index.docker.io/myuser/myapp:latest index.docker.io/myuser/myapp:* index.docker.io/myuser/* " +
			"index.docker.io/myuser/*:latest index.docker.io/*/* index.docker.io/** index.docker.** inde** ** " +
			"myuser/myapp myuser/myapp* myuser/myapp** */*", "*"},
		{"ghcr.io/foo/bar", "ghcr.io/*/* ghcr.io/**", ""},
		{"ghcr.io/foo", "ghcr.io/** ghc** ** */** ghcr.io/foo* ghcr.io/foo**", "ghcr.io/*/*"},
		{"prefix-ghcr.io/foo", "", "ghcr.io/foo"},
		{"ghcr.io/foo-suffix", "", "ghcr.io/foo"},
		{"ghcrxio/foo", "", "ghcr.io/**"},
		{"ghcr.io/foo" + digest, "ghcr.io/foo" + digest, ""},
		// What follows from its rules, for names as an admission sees them.
		{"ghcr.io/foo" + digest, "ghcr.io/foo* ghcr.io/foo@* ghcr.io/foo**", "ghcr.io/foo ghcr.io/foo:* ghcr.io/foo:v1"},
		{"ghcr.io/foo:v1" + digest, "ghcr.io/foo@* ghcr.io/foo:v1@*", "ghcr.io/foo:v1"},
		{"docker.io/nginx", "docker.io/** index.docker.io/library/nginx:*", "docker.io/library/**"},
		{"index.docker.io/library/nginx" + digest, "index.docker.io/**", "docker.io/** nginx*"},
		{"ghcr.io/foobar", "ghcr.io/foo*", ""},
		{"a/b/c", "a/**c a/***c index.docker.io/a/b/c:*", "a/*c"},
		// Hosts have no case, on either side; tags have.
		{"GHCR.io/org/x" + digest, "ghcr.io/** GHCR.IO/** ghcr.io/org/x@*", "other.io/**"},
		{"ghcr.io/org/x", "GHCR.IO/** Ghcr** *HCR.io/**", "ghcr.io/ORG/* **.IO/**"},
		{"Docker.io/library/nginx" + digest, "index.docker.io/**", ""},
		{"Localhost:5000/x:V1", "localhost:5000/x:V1 LOCALHOST:5000/*:V1", "localhost:5000/x:v1"},
		{"foo:V1", "foo:V1 f*V1 **:V1 foo:*", "foo:v1"},
	} {
		for want, globs := range map[bool]string{true: c.yes, false: c.no} {
			for glob := range strings.FieldsSeq(globs) {
				t.Run(c.image+"|"+glob, func(t *testing.T) { t.Parallel(); checkGlob(t, glob, c.image, want) })
			}
		}
	}
}

// checkGlob also holds Regexp and Prefix to what Match says.
func checkGlob(t *testing.T, source, image string, want bool) {
	t.Helper()
	glob, err := cip.ParseGlob(source)
	if err != nil {
		t.Fatal(err)
	}
	got, err := glob.Match(image)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("Match(%q) of %s: got %t, want %t", image, glob, got, want)
	}
	names, err := cip.Names(image)
	if err != nil {
		t.Fatal(err)
	}
	matched := false
	for _, name := range names {
		if regexp.MustCompile(glob.Regexp()).MatchString(name) {
			matched = true
			if !strings.HasPrefix(name, glob.Prefix()) {
				t.Errorf("%s matches %s, which lacks its prefix %q", glob, name, glob.Prefix())
			}
		}
	}
	if matched != want {
		t.Errorf("Regexp %s over %v: got %t, want %t", glob.Regexp(), names, matched, want)
	}
}

func TestGlobMatchRefusesBadImage(t *testing.T) {
	t.Parallel()
	glob, err := cip.ParseGlob("**")
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{"invalid&name", "", "in@valid", "ghcr.io/Foo", "Foo/bar"} {
		if matched, err := glob.Match(image); err == nil || matched {
			t.Errorf("Match(%q): got %t and error %v, want an error", image, matched, err)
		}
	}
}

func TestParseGlobRefuses(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"":                        `invalid glob ""`,
		".+":                      `invalid glob ".+"`,
		"[a-z]*":                  `invalid glob "[a-z]*"`,
		"[":                       "syntax error in pattern",
		`a\`:                      "syntax error in pattern",
		"a b":                     `invalid glob "a b"`,
		"a\n":                     `invalid glob "a\n"`,
		"é":                       `invalid glob "é"`,
		strings.Repeat("a", 1025): "got a glob of 1025 characters, want at most 1024",
	} {
		if _, err := cip.ParseGlob(source); err == nil || err.Error() != want {
			t.Errorf("ParseGlob(%q): got error %v, want %s", source, err, want)
		}
	}
}

func TestGlobRegexpAndPrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ glob, regexp, prefix string }{
		{"*", `^index\.docker\.io/library/[^/]*$`, "index.docker.io/library/"},
		{"*/*", `^index\.docker\.io/[^/]*/[^/]*$`, "index.docker.io/"},
		{"**", `^.*$`, ""},
		{"***", `^.*[^/]*$`, ""},
		{"ghcr.io/Org/*", `^ghcr\.io/Org/[^/]*$`, "ghcr.io/Org/"},
		{"GHCR.io/org**", `^ghcr\.io/org.*$`, "ghcr.io/org"},
		{"GHC**R", `^ghc.*R$`, "ghc"},
		{"*.GCR.io/x", `^[^/]*\.gcr\.io/x$`, ""},
		{"Foo:V1", `^foo:V1$`, "foo:V1"},
	} {
		glob, err := cip.ParseGlob(c.glob)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{glob.String(), glob.Regexp(), glob.Prefix()}
		if diff := cmp.Diff([]string{c.glob, c.regexp, c.prefix}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.glob, diff)
		}
	}
}

func TestZeroGlobMatchesNothing(t *testing.T) {
	t.Parallel()
	var glob cip.Glob
	if matched, err := glob.Match("nginx"); err != nil || matched {
		t.Errorf("got %t and error %v, want false", matched, err)
	}
	if regexp.MustCompile(glob.Regexp()).MatchString("nginx") {
		t.Error("got a Regexp that matches, want none")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for image, want := range map[string][]string{
		"nginx":                {"index.docker.io/library/nginx:latest", "nginx"},
		"GHCR.io/x":            {"ghcr.io/x:latest", "ghcr.io/x"},
		"ghcr.io/x" + digest:   {"ghcr.io/x" + digest},
		"a.b/x:T" + digest:     {"a.b/x" + digest, "a.b/x:T" + digest},
		"DOCKER.io/a" + digest: {"index.docker.io/library/a" + digest, "docker.io/a" + digest},
	} {
		got, err := cip.Names(image)
		if err != nil {
			t.Errorf("Names(%q): %v", image, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Names(%q) (-want +got):\n%s", image, diff)
		}
	}
}

func FuzzGlob(f *testing.F) {
	for _, glob := range []string{"*", "*/*", "**", "ghcr.io/**", "GHCR.io/*/x*", "foo:V1", "a**b/*@*", "[", ".+"} {
		for _, image := range []string{"nginx", "ghcr.io/a/b", "Docker.io/a:V1", "x:T" + digest, "in@valid", ""} {
			f.Add(glob, image)
		}
	}
	f.Fuzz(func(t *testing.T, source, image string) {
		glob, err := cip.ParseGlob(source)
		if err != nil {
			return
		}
		matched, err := glob.Match(image)
		if err != nil {
			return
		}
		checkGlob(t, source, image, matched)
	})
}
