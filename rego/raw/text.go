package raw

import (
	"fmt"
	"path"
	"strings"
)

// Text is a file as it is printed beside compiled policies, and its place in a bundle.
type Text struct {
	// Path is that in a bundle: the package, and the name of the file.
	Path string
	// File is where the author keeps it.
	File string
	Text string
	// V0 says that it is Rego v0.
	V0 bool
}

// Texts are the files, in the order of their paths.
func (p *Policies) Texts() []Text {
	taken := map[string]bool{}
	var out []Text
	for _, f := range p.files {
		parts := ground(f.module.Package.Path)
		for i, part := range parts {
			parts[i] = strings.NewReplacer("/", "_", "\\", "_").Replace(part)
			if strings.Trim(part, ".") == "" {
				parts[i] = "_"
			}
		}
		base := strings.TrimSuffix(path.Base(strings.ReplaceAll(f.path, "\\", "/")), ".rego")
		place := path.Join(append(parts, base)...)
		for free, n := place, 2; taken[place]; n++ { // a file may have that name itself
			place = fmt.Sprintf("%s-%d", free, n)
		}
		taken[place] = true
		out = append(out, Text{Path: place + ".rego", File: f.path, Text: f.text, V0: f.v0})
	}
	return out
}
