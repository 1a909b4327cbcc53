// Package compiled prints what policies become, or writes it as an OPA bundle.
package compiled

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
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

// Write writes the modules, and the data documents, where OPA's tools take them for a bundle (opa
// check -b, opa test -b): what of them is Rego v0 stands in its manifest. A
// directory that has something in it may be of another set, and is refused.
func Write(dir string, text *rego.Text, data map[string]any) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("--output: got %s, want a directory that is empty or does not exist", dir)
	}
	write := func(path string, content []byte) error {
		file := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, content, 0o644)
	}
	for path, module := range text.Modules {
		if err := write(path, []byte(module)); err != nil {
			return err
		}
	}
	if len(data) > 0 {
		encoded, err := json.MarshalIndent(data, "", "  ")
		if err != nil {
			return err
		}
		if err := write("data.json", append(encoded, '\n')); err != nil {
			return err
		}
	}
	return write(".manifest", text.Manifest())
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
