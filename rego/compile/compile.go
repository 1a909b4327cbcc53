// Package compile writes a ClusterImagePolicy as the Rego module that a person
// would have written for it, to be read before it is trusted: in the order of
// the YAML, with the field it comes from above each rule.
//
// It decides nothing. What the module calls is in rego/lib; what a field means
// for a signature is in builtins/sigstore. A policy that still has to be told
// what it refers to (a Secret, a URL) is refused, never compiled in part.
package compile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/assay-dev/assay/rego/cip"
)

// Module is one compiled module.
type Module struct {
	// Path names the module in errors and in bundles: cip/NAME.rego.
	Path string
	// Text is formatted Rego v1.
	Text string
}

// Policy compiles one policy to package cip["NAME"]; that of a namespace to
// package cip["NAMESPACE/NAME"].
func Policy(p cip.Policy) (Module, error) {
	if err := resolved(p); err != nil {
		return Module{}, fmt.Errorf("policy %s: %w", p.Name, err)
	}
	w := &writer{}
	w.head(p)
	w.mode(p.Spec.Mode)
	if err := w.images(p); err != nil {
		return Module{}, fmt.Errorf("policy %s: %w", p.Name, err)
	}
	w.match(p.Spec.Match)
	w.verifies(p)
	for i, authority := range p.Spec.Authorities {
		w.authority(p, i, authority)
	}
	w.policy(p)
	return w.module("cip/" + p.Name + ".rego")
}

// Index compiles package cip_index: which policies an image is a candidate of,
// by literal prefix. OPA indexes startswith and not globs, so a thousand
// policies cost an image 8 microseconds instead of half a millisecond. Those of a
// namespace are below it, and cost the images of others nothing.
func Index(policies []cip.Policy) (Module, error) {
	w := &writer{}
	w.line("# METADATA")
	w.line("# title: Index of the ClusterImagePolicies")
	w.line("# description: The policies whose globs can match an image, by the literal beginning of the glob.")
	w.line("package cip_index")
	w.line("")
	if !slices.ContainsFunc(policies, func(p cip.Policy) bool { return p.Namespace == "" }) {
		w.line("candidates := set()")
		w.line("")
	}
	// By name: the order of files must not change the text, nor the set's hash.
	byName := slices.SortedFunc(slices.Values(policies), func(a, b cip.Policy) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range byName {
		seen, list := map[string]bool{}, "candidates"
		if p.Namespace != "" {
			list = "namespaced[" + literal(p.Namespace) + "]"
		}
		for i, image := range p.Spec.Images {
			glob, err := cip.ParseGlob(image.Glob)
			if err != nil {
				return Module{}, fmt.Errorf("policy %s: spec.images[%d].glob: %w", p.Name, i, err)
			}
			if prefix := glob.Prefix(); !seen[prefix] {
				seen[prefix] = true
				w.line("%s contains %s if startswith(input.image, %s)", list, literal(p.Name), literal(prefix))
				w.line("")
			}
		}
	}
	return w.module("cip/_index.rego") // a name that no policy can have
}

// writer collects the lines of a module, in pieces that end between rules.
type writer struct {
	text   strings.Builder
	pieces []string
}

func (w *writer) line(pattern string, args ...any) { fmt.Fprintf(&w.text, pattern+"\n", args...) }

// cut ends a piece.
func (w *writer) cut() {
	w.pieces = append(w.pieces, w.text.String())
	w.text.Reset()
}

// module formats piece by piece: OPA's formatter looks at all comments of a text at
// each of its terms.
func (w *writer) module(path string) (Module, error) {
	w.cut()
	const header = "package piece\n\n"
	var out []string
	for i, piece := range w.pieces {
		if i > 0 {
			piece = header + piece
		}
		text, err := format.SourceWithOpts(path, []byte(piece), format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			return Module{}, fmt.Errorf("compiled module %s: %w", path, err)
		}
		if i > 0 {
			text = bytes.TrimPrefix(text, []byte(header))
		}
		out = append(out, string(text))
	}
	return Module{Path: path, Text: strings.Join(out, "\n")}, nil
}

// head writes what is known of the policy as a whole. Names and namespaces are RFC
// 1123 subdomains, so they may stand in a comment, but not alone: 1.0 and null are
// names, and no titles.
func (w *writer) head(p cip.Policy) {
	w.line("# METADATA")
	w.line("# title: %s", p)
	w.line("# description: Compiled from %s/%s.", p.Group(), p.Version)
	w.line("package cip[%s]", literal(p.Name))
	w.line("")
	if slices.ContainsFunc(p.Spec.Match, func(m cip.Match) bool { return m.Resource != "" && m.Selector != nil }) {
		w.line("import data.assay.match")
	}
	if p.Spec.Policy != nil {
		w.line("import data.assay.policies")
	}
	if len(p.Spec.Authorities) > 0 {
		w.line("import data.assay.verify")
	}
	w.line("")
}

func (w *writer) mode(mode cip.Mode) {
	w.line("# spec.mode")
	w.line("mode := %s", literal(string(mode)))
	w.line("")
}

// manyImages is how many globs a policy may have that are all asked of an image.
// Of more, OPA asks those whose literal beginning the image has.
const manyImages = 100

// images writes when the policy matches. input.image is host/repository@digest.
func (w *writer) images(p cip.Policy) error {
	spec := p.Spec
	w.line("default matched := false")
	w.line("")
	for i, image := range spec.Images {
		glob, err := cip.ParseGlob(image.Glob)
		if err != nil {
			return fmt.Errorf("spec.images[%d].glob: %w", i, err)
		}
		w.line("# spec.images[%d].glob: %s", i, image.Glob)
		var conditions []string
		if p.Namespace != "" {
			conditions = append(conditions, "input.namespace == "+literal(p.Namespace))
		}
		if prefix := glob.Prefix(); len(spec.Images) > manyImages && prefix != "" {
			conditions = append(conditions, "startswith(input.image, "+literal(prefix)+")")
		}
		conditions = append(conditions, "regex.match("+literal(glob.Regexp())+", input.image)")
		if len(spec.Match) > 0 {
			conditions = append(conditions, "_resource_matched")
		}
		if len(conditions) == 1 {
			w.line("matched if %s", conditions[0])
		} else {
			w.line("matched if {\n%s\n}", strings.Join(conditions, "\n"))
		}
		w.line("")
		if (i+1)%manyImages == 0 && i+1 < len(spec.Images) {
			w.cut()
		}
	}
	return nil
}

// match writes spec.match: the entries are alternatives (MATCH-1).
func (w *writer) match(entries []cip.Match) {
	for i, entry := range entries {
		if entry.Resource == "" {
			w.line("# spec.match[%d] names no resource: it matches nothing.", i)
			w.line("_resource_matched if false")
			w.line("")
			continue
		}
		w.line("# spec.match[%d]", i)
		w.line("_resource_matched if {")
		w.line("input.resource.group == %s", literal(entry.Group))
		if entry.Version != "*" {
			w.line("input.resource.version == %s", literal(entry.Version))
		}
		w.line("input.resource.resource == %s", literal(entry.Resource))
		if entry.Selector != nil {
			w.line("match.selects(%s, input.resource.labels)", literal(entry.Selector))
		}
		w.line("}")
		w.line("")
	}
}

// authority writes one authority. Each is a rule of its own, so that the
// questions of all of them are asked in one evaluation.
func (w *writer) authority(p cip.Policy, i int, a cip.Authority) {
	cause, unresolved := p.Gaps[authorityPath(i)]
	judges := "{}"
	if !unresolved {
		judges = w.judges(p.Name, i, a)
	}
	w.line("# spec.authorities[%d]", i)
	switch a := withoutPolicies(a); {
	case unresolved:
		w.line("authorities[%d] := verify.unresolved(%s, %s)", i, literal(a.Name), literal(cause))
	case a.Static != nil:
		w.line("authorities[%d] := verify.static(%s)", i, literal(a))
	case len(a.Attestations) > 0:
		w.line("authorities[%d] := verify.attestations(input, %s, %s)", i, literal(a), judges)
	default:
		w.line("authorities[%d] := verify.signatures(input.image, %s)", i, literal(a))
	}
	w.line("")
}
