// Package compiled prints what policies become, or makes an OPA bundle of it.
package compiled

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/assay-dev/assay/rego"
)

// Text compiles the policies of a source to text.
func Text(ctx context.Context, source rego.Source) (*rego.Text, error) {
	text, err := rego.Modules(ctx, source.Policies)
	if err != nil {
		return nil, err
	}
	return text, text.AddRaw(ctx, source)
}

// Print prints the policies for people, and with all the library that joins them.
func Print(w io.Writer, text *rego.Text, all bool) error {
	var out strings.Builder
	for i, path := range order(text, all) {
		if i > 0 {
			out.WriteByte('\n')
		}
		version := ""
		if slices.Contains(text.V0, path) {
			version = " (Rego v0)"
		}
		fmt.Fprintf(&out, "# %s%s\n\n%s", path, version, text.Modules[path])
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// Files are the modules, and the data documents, where OPA's tools take them for a bundle
// (opa check -b, opa test -b): what of them is Rego v0 stands in its manifest.
func Files(text *rego.Text, data map[string]any) (map[string][]byte, error) {
	out := map[string][]byte{".manifest": text.Manifest()}
	for path, module := range text.Modules {
		out[path] = []byte(module)
	}
	if len(data) == 0 {
		return out, nil
	}
	encoded, err := json.MarshalIndent(data, "", "  ")
	out["data.json"] = append(encoded, '\n')
	return out, err
}

// order lists what to print: the policies by name, those in Rego, the index, and with
// all the library that joins them.
func order(text *rego.Text, all bool) []string {
	var policies, index, rest []string
	for _, path := range slices.Sorted(maps.Keys(text.Modules)) {
		switch {
		case slices.Contains(text.Raw, path):
		case strings.HasPrefix(path, "cip/_"):
			index = append(index, path)
		case strings.HasPrefix(path, "cip/"):
			policies = append(policies, path)
		case all:
			rest = append(rest, path)
		}
	}
	return slices.Concat(policies, text.Raw, index, rest)
}
