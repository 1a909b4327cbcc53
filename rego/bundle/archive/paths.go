package archive

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a path.
const (
	maxPath  = 1024
	maxDepth = 64
)

// clean returns a path as it is compared, without the one leading slash that OPA writes or
// the ./ of tar. It refuses every other way to write a place: OPA strips leading dots and
// slashes, joins what is left, and decodes percent signs where it loads data without reading
// it, so that one path would be two places.
func clean(name string, directory bool) (string, error) {
	out := name
	if cut, ok := strings.CutPrefix(out, "./"); ok {
		out = cut
	} else {
		out = strings.TrimPrefix(out, "/")
	}
	if directory {
		if out = strings.TrimSuffix(out, "/"); out == "" || out == "." {
			return "", nil
		}
	}
	if err := check(out); err != nil {
		return "", fmt.Errorf("%q: %w", name, err)
	}
	return out, nil
}

func check(name string) error {
	segments := strings.Split(name, "/")
	switch {
	case name == "":
		return fmt.Errorf("got no path")
	case len(name) > maxPath:
		return fmt.Errorf("got a path of %d bytes, want at most %d", len(name), maxPath)
	case len(segments) > maxDepth:
		return fmt.Errorf("got a path %d deep, want at most %d", len(segments), maxDepth)
	case !utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("got a path with control characters or bytes that are not UTF-8")
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("got an absolute path, want one in the bundle")
	case slices.Contains(segments, ".."):
		return fmt.Errorf("got a path that leads out of its directory")
	case strings.ContainsAny(name, `\%`):
		return fmt.Errorf(`got a path with \ or %%, want none: it would mean two places`)
	case path.Clean(name) != name:
		return fmt.Errorf("got a path that is not clean, want %s", path.Clean(name))
	}
	if k := kindOf(name); k == manifest || k == signature { // [expected] knows their place
		segments = segments[:len(segments)-1]
	}
	for _, segment := range segments {
		if strings.HasPrefix(segment, ".") {
			return fmt.Errorf("got the hidden name %s, want %s and %s alone, at the top", segment, manifestFile, signaturesFile)
		}
	}
	return nil
}

// kind is what OPA, or nobody, does with a file of that path.
type kind int

const (
	unknown kind = iota
	rego
	data
	manifest
	signature
	patch
	evaluated // WebAssembly and plans: programs that another evaluator runs
)

func kindOf(name string) kind {
	switch base := path.Base(name); {
	case strings.HasSuffix(name, ".manifest"), strings.HasSuffix(name, ".manifest.pb"):
		return manifest
	case strings.HasSuffix(name, "signatures.json"):
		return signature
	case strings.HasSuffix(name, ".rego"):
		return rego
	case strings.HasSuffix(name, ".wasm"), base == "plan.json", base == "plan.pb":
		return evaluated
	case base == patchFile:
		return patch
	case base == "data.json", base == "data.yaml", base == "data.yml":
		return data
	}
	return unknown
}

// allExpected is expected of each file. It holds whatever the manifest says: another one, which
// OPA would take, may say something else.
func allExpected(files map[string][]byte) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		errs = append(errs, expected(name))
	}
	return errors.Join(errs...)
}

// expected refuses files that have no place in a bundle, or not that place. One that is left
// out in silence may be a policy.
func expected(name string) error {
	switch kindOf(name) {
	case manifest:
		if name != manifestFile {
			return fmt.Errorf("%q: got another manifest, want %s alone", name, manifestFile)
		}
	case signature:
		if name != signaturesFile {
			return fmt.Errorf("%q: got another file of signatures, want %s alone", name, signaturesFile)
		}
	case patch:
		if name != patchFile {
			return fmt.Errorf("%q: got a patch in a directory, want it at the top", name)
		}
	case evaluated:
		return fmt.Errorf("%q: got WebAssembly or a plan, want Rego: assay evaluates no other program", name)
	case unknown:
		return fmt.Errorf("%q: got a file that nobody reads, want Rego (*.rego) and data (data.json): it would be left out in silence", name)
	case rego, data:
	}
	return nil
}
