package world

import (
	"regexp"
	"strings"
)

// placeholder is the registry in texts that must not depend on the port.
const placeholder = "registry.example"

// variable is ${…}.
var variable = regexp.MustCompile(`\$\{[a-z0-9:@._-]+\}`)

// Expand replaces the world's variables in a policy, a review or an expectation:
//
//	${registry}      host:port
//	${app}           host:port/acme/app:v1, the image named app
//	${app@}          host:port/acme/app@sha256:…
//	${digest:app}    sha256:…
//	${key:deploy}    the PEM of the key signer named deploy
//
// The lines of a PEM are indented like the line on which the variable stands,
// which makes ${key:…} fit in a YAML block scalar (data: |). Anything else in ${} stays.
func (w *World) Expand(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for n, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		lines[n] = variable.ReplaceAllStringFunc(line, func(match string) string {
			value, ok := w.value(match[len("${") : len(match)-len("}")])
			if !ok {
				return match
			}
			return strings.ReplaceAll(value, "\n", "\n"+indent)
		})
	}
	return strings.Join(lines, "")
}

func (w *World) value(name string) (string, bool) {
	if name == registryVariable {
		return w.Registry(), true
	}
	if image, ok := strings.CutPrefix(name, "digest:"); ok {
		_, digest, ok := w.Image(image)
		return digest, ok
	}
	if signer, ok := strings.CutPrefix(name, "key:"); ok {
		pem, ok := w.PublicKey(signer)
		return strings.TrimSuffix(string(pem), "\n"), ok
	}
	if image, ok := strings.CutSuffix(name, "@"); ok {
		made, ok := w.images[image]
		return made.repository + "@" + made.subject.Digest, ok
	}
	ref, _, ok := w.Image(name)
	return ref, ok
}

// Redact replaces the registry's host:port by registry.example, so that what was
// printed about one world can be compared with what is printed about the next.
// Digests stay: those of images are the same in every world.
func (w *World) Redact(text string) string {
	return strings.ReplaceAll(text, w.Registry(), placeholder)
}
