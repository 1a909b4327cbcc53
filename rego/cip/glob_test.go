package cip_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

const digest = "@sha256:5504f2a95018e3d8a52d80d9e1a128c6ea337581808ff9fe96f5628ce2336350"

// globCase is one image and globs, which match or do not.
type globCase struct{ name, image, yes, no string }

func globCases() []globCase {
	return []globCase{
		// policy-controller's own table, which TestGlobTableIsWhole counts.
		{"GLOB-4: upstream's table", "foo", "index.docker.io/library/foo:latest index.docker.io/library/foo:* index.docker.io/library/* " +
			"index.docker.io/library/*:latest index.docker.io/*/* index.docker.io/** index.docker.** inde** ** foo foo* foo** *", ""},
		{"GLOB-4: upstream's table", "myuser/myapp", "index.docker.io/myuser/myapp:latest index.docker.io/myuser/myapp:* index.docker.io/myuser/* " +
			"index.docker.io/myuser/*:latest index.docker.io/*/* index.docker.io/** index.docker.** inde** ** " +
			"myuser/myapp myuser/myapp* myuser/myapp** */*", ""},
		{"GLOB-2: upstream's table", "ghcr.io/foo/bar", "ghcr.io/*/* ghcr.io/**", ""},
		{"GLOB-2: upstream's table", "ghcr.io/foo", "ghcr.io/** ghc** ** */** ghcr.io/foo* ghcr.io/foo**", "ghcr.io/*/*"},
		{"GLOB-2: upstream's table", "prefix-ghcr.io/foo", "", "ghcr.io/foo"},
		{"GLOB-2: upstream's table", "ghcr.io/foo-suffix", "", "ghcr.io/foo"},
		{"GLOB-2: upstream's table", "ghcrxio/foo", "", "ghcr.io/**"},
		{"GLOB-4: upstream's table", "ghcr.io/foo" + digest, "ghcr.io/foo" + digest, ""},
		// What follows from its rules, for names as an admission sees them.
		{"GLOB-2: dots and stars", "a/b/c", "a/**c a/***c index.docker.io/a/b/c:*", "a/*c"},
		{"GLOB-3: one star", "nginx", "* ** */*", ""},
		{"GLOB-3: one star", "org/app", "*/* **", "*"},
		{"GLOB-3: one star", "nginx" + digest, "* *@* */*", ""},
		{"GLOB-3: one star", "org/app" + digest, "*/* */*@*", "*"},
		{"GLOB-3: one star is of Docker Hub", "ghcr.io/org/app" + digest, "**", "* */*"},
		{"GLOB-3: no other glob gets a host", "nginx" + digest, "index.docker.io/library/nginx@*", "library/nginx@* myuser/*"},
		{"GLOB-4: a digest leaves no tag", "ghcr.io/foo" + digest, "ghcr.io/foo* ghcr.io/foo@* ghcr.io/foo**", "ghcr.io/foo ghcr.io/foo:* ghcr.io/foo:v1"},
		{"GLOB-4: a tag beside it counts as it is written", "ghcr.io/foo:v1" + digest, "ghcr.io/foo@* ghcr.io/foo:v1@*", "ghcr.io/foo:v1"},
		{"GLOB-5: unqualified", "docker.io/nginx", "docker.io/** index.docker.io/library/nginx:*", "docker.io/library/**"},
		{"GLOB-6: docker.io", "index.docker.io/library/nginx" + digest, "index.docker.io/**", "docker.io/** nginx*"},
		{"GLOB-7: a star at the end", "ghcr.io/foobar", "ghcr.io/foo*", ""},
		{"GLOB-7: a star at the end", "gcr.io/org/img-evil" + digest, "gcr.io/org/img*", "gcr.io/org/img@*"},
		// Unlike upstream: hosts have no case, on either side; tags have.
		{"GLOB-8: letter case", "GHCR.io/org/x" + digest, "ghcr.io/** GHCR.IO/** ghcr.io/org/x@*", "other.io/**"},
		{"GLOB-8: letter case", "ghcr.io/org/x", "GHCR.IO/** Ghcr** *HCR.io/**", "ghcr.io/ORG/* **.IO/**"},
		{"GLOB-8: letter case", "Docker.io/library/nginx" + digest, "index.docker.io/**", ""},
		{"GLOB-8: letter case", "Localhost:5000/x:V1", "localhost:5000/x:V1 LOCALHOST:5000/*:V1", "localhost:5000/x:v1"},
		{"GLOB-8: letter case of a tag", "foo:V1", "foo:V1 f*V1 **:V1 foo:*", "foo:v1"},
	}
}

func TestGlobMatch(t *testing.T) {
	t.Parallel()
	for _, c := range globCases() {
		for want, globs := range map[bool]string{true: c.yes, false: c.no} {
			for glob := range strings.FieldsSeq(globs) {
				t.Run(c.name+"|"+c.image+"|"+glob, func(t *testing.T) { t.Parallel(); checkGlob(t, glob, c.image, want) })
			}
		}
	}
}

// GLOB-1, GLOB-4: of the 42 pairs of policy-controller's table, 39 are in the cases
// above and 3 are an image and two globs that are none, in the tests below.
func TestGlobTableIsWhole(t *testing.T) {
	t.Parallel()
	pairs := 0
	for _, c := range globCases() {
		if strings.HasSuffix(c.name, "upstream's table") {
			pairs += len(strings.Fields(c.yes)) + len(strings.Fields(c.no))
		}
	}
	if pairs != 39 {
		t.Errorf("got %d pairs, want 39", pairs)
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
		got := regexp.MustCompile(glob.Regexp()).MatchString(name)
		if want := stands(glob.Normalized(), name); got != want {
			t.Errorf("Regexp %s over %s: got %t, want %t", glob.Regexp(), name, got, want)
		}
		if got {
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

// stands is what a glob means, without expressions: reached[i] says that the glob so
// far can stand for the first i bytes of the name.
func stands(glob, name string) bool {
	reached := make([]bool, len(name)+1)
	reached[0] = true
	for len(glob) > 0 {
		next := make([]bool, len(name)+1)
		step := 1
		switch {
		case strings.HasPrefix(glob, "**"):
			step = 2
			for i := range next {
				next[i] = reached[i] || i > 0 && next[i-1]
			}
		case glob[0] == '*':
			for i := range next {
				next[i] = reached[i] || i > 0 && next[i-1] && name[i-1] != '/'
			}
		default:
			for i := 1; i < len(next); i++ {
				next[i] = reached[i-1] && name[i-1] == glob[0]
			}
		}
		glob, reached = glob[step:], next
	}
	return reached[len(name)]
}

// GLOB-4: what is no reference matches nothing and is an error.
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

// GLOB-1: other characters are an error, and so is what no glob can need.
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

// GLOB-2, GLOB-3: the anchored expression that a glob stands for.
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
