package sbom

import (
	"strings"

	"github.com/assay-dev/assay/predicate/bounded"
)

// known is the text, and nothing where the text says that nothing is known.
func known(text string) string {
	if text == "NOASSERTION" || text == "NONE" {
		return ""
	}
	return text
}

// word is a constant of a format in our spelling: OPERATING-SYSTEM and
// operatingSystem are operating_system.
func word(text string) string {
	var out strings.Builder
	for i, r := range text {
		upper := r >= 'A' && r <= 'Z'
		switch {
		case r == '-' || r == ' ':
			out.WriteByte('_')
		case upper && i > 0 && text[i-1] >= 'a' && text[i-1] <= 'z':
			out.WriteString("_" + string(r+'a'-'A'))
		case upper:
			out.WriteRune(r + 'a' - 'A')
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

func licences(declared, concluded string) []License {
	var out []License
	if text := known(declared); text != "" {
		out = append(out, License{Kind: "declared", Expression: text})
	}
	if text := known(concluded); text != "" {
		out = append(out, License{Kind: "concluded", Expression: text})
	}
	return out
}

// identify keeps the identifiers that have a meaning in every format.
func (p *Package) identify(kind, identifier string) {
	switch kind {
	case "purl", "packageUrl":
		p.PURLs = append(p.PURLs, identifier)
	case "cpe22Type", "cpe23Type", "cpe22", "cpe23":
		p.CPEs = append(p.CPEs, identifier)
	}
}

// hash keeps one digest for each algorithm, and refuses two that differ: a package
// has one content.
func (p *Package) hash(path, algorithm, value string) error {
	algorithm, value = hashName(algorithm), strings.ToLower(value)
	if algorithm == "" || value == "" {
		return bounded.Refuse(bounded.Malformed, path, "got no algorithm or no value, want both")
	}
	if other, ok := p.Hashes[algorithm]; ok && other != value {
		return bounded.Refuse(bounded.Malformed, path, "got a second %s, want one", algorithm)
	}
	if p.Hashes == nil {
		p.Hashes = map[string]string{}
	}
	p.Hashes[algorithm] = value
	return nil
}

// hashName spells sha1 and sha256 as in-toto does, whether it was SHA-256 or SHA256.
func hashName(algorithm string) string {
	name := strings.ToLower(algorithm)
	if rest, ok := strings.CutPrefix(name, "sha-"); ok {
		return "sha" + rest
	}
	return name
}
