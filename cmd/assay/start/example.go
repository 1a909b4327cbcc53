package start

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/assay-dev/assay/rego/cip"
)

// someDigest is that of no image.
const someDigest = "@sha256:0000000000000000000000000000000000000000000000000000000000000000"

// exampleImage is the name of an image that a glob matches. Nothing is a name before
// it was matched.
func exampleImage(glob string) (registry, repository string, err error) {
	parsed, err := cip.ParseGlob(glob)
	if err != nil {
		return "", "", err
	}
	registry, _, found := strings.Cut(parsed.Prefix(), "/")
	if !found {
		return "", "", fmt.Errorf("got %q, want a registry written out, as in ghcr.io/acme/**", glob)
	}
	image, _, _ := strings.Cut(parsed.Normalized(), "@")
	image = strings.NewReplacer("**", "app", "*", "app").Replace(image)
	reference, err := name.NewDigest(image+someDigest, name.WeakValidation)
	if err != nil {
		return "", "", fmt.Errorf("got %q, want a glob of names: %w", glob, err)
	}
	if matched, err := parsed.Match(reference.Name()); err != nil || !matched {
		return "", "", fmt.Errorf("got %q, want a glob that matches %s", glob, image)
	}
	return registry, reference.Context().RepositoryStr(), nil
}

// exampleSubject is a text that an expression matches.
func exampleSubject(expression string) (string, error) {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return "", err
	}
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return "", err
	}
	text := example(parsed.Simplify())
	if !compiled.MatchString(text) {
		return "", fmt.Errorf("got %q, of which there is no example: %q does not match", expression, text)
	}
	return text, nil
}

// example is a text that an expression probably matches. Where anything will do it is
// a version, as that of a tag.
func example(e *syntax.Regexp) string {
	switch e.Op {
	case syntax.OpLiteral:
		return string(e.Rune)
	case syntax.OpCharClass:
		return string(exampleOf(e.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "v"
	case syntax.OpStar, syntax.OpPlus:
		if op := e.Sub[0].Op; op == syntax.OpAnyChar || op == syntax.OpAnyCharNotNL {
			return "v1"
		}
		return example(e.Sub[0])
	case syntax.OpCapture, syntax.OpAlternate:
		return example(e.Sub[0])
	case syntax.OpConcat:
		var out strings.Builder
		for _, part := range e.Sub {
			out.WriteString(example(part))
		}
		return out.String()
	}
	return "" // what stands for a place, or may be absent
}

// exampleOf is a character of a class, whose ranges are pairs.
func exampleOf(ranges []rune) rune {
	in := func(r rune) bool {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= r && r <= ranges[i+1] {
				return true
			}
		}
		return false
	}
	readable := []rune("1av")
	if i := slices.IndexFunc(readable, in); i >= 0 {
		return readable[i]
	}
	for _, r := range ranges {
		if unicode.IsGraphic(r) {
			return r
		}
	}
	return unicode.ReplacementChar
}

// strangerTo is a subject like another one that an expression does not match.
func strangerTo(expression, subject string) (string, error) {
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return "", err
	}
	workflow, _, _ := strings.Cut(subject, "@")
	strangers := []string{
		workflow + "@refs/heads/main",
		"https://github.com/stranger/app/.github/workflows/release.yml@refs/tags/v1.0.0",
		"stranger@example.com",
	}
	if !strings.Contains(subject, "://") {
		strangers = strangers[1:]
	}
	if i := slices.IndexFunc(strangers, func(s string) bool { return !compiled.MatchString(s) }); i >= 0 {
		return strangers[i], nil
	}
	return "", fmt.Errorf("got %q, want an expression that does not match %s", expression, strangers[len(strangers)-1])
}
