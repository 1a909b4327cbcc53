package suite

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/cmd/assay/suite/fixture"
	"github.com/assay-dev/assay/rego/cip/strict"
	"github.com/assay-dev/assay/rego/resource"
)

// loaded is what the paths hold.
type loaded struct {
	// modules, bundles and store are what `opa test` has of them. In bundle mode
	// the modules are those of the bundles.
	modules map[string]*ast.Module
	bundles map[string]*bundle.Bundle
	store   storage.Store
	// manifests are the files with resources, fixtures those with tests.
	manifests []fixture.Manifest
	fixtures  []*fixture.File
	// rego are the policies in Rego and their data documents, as --policy takes them.
	rego sources.Files
	// v0 lets them be Rego v0.
	v0 bool
	// warnings are about files that tell of tests and are none.
	warnings []string
}

// load walks the paths once, as OPA does; each file is given to whom it belongs.
func (s *settings) load() (*loaded, error) {
	out := &loaded{v0: s.v0}
	sorting := sorter{into: out, ignore: s.ignore, seen: map[string]bool{}, placed: map[string]bool{}}
	options := ast.ParserOptions{RegoVersion: s.regoVersion(), Capabilities: s.capabilities, ProcessAnnotation: true}
	var err error
	if s.bundle {
		sorting.bundles = s.paths
		out.bundles, out.store, err = tester.LoadBundlesWithParserOptions(s.paths, sorting.excluded, options)
		out.modules = map[string]*ast.Module{}
		for name, b := range out.bundles {
			maps.Copy(out.modules, b.ParsedModules(name))
		}
	} else {
		out.modules, out.store, err = tester.LoadWithParserOptions(s.paths, sorting.excluded, options)
	}
	return out, errors.Join(err, errors.Join(sorting.errs...))
}

// sorter is a filter of OPA's loader that keeps what is not for OPA.
type sorter struct {
	into   *loaded
	ignore []string
	seen   map[string]bool
	placed map[string]bool // Rego and data, by path and place
	// bundles are the directories that were named, where they are bundles.
	bundles []string
	errs    []error
}

// excluded says whether OPA shall leave out the file or directory.
func (s *sorter) excluded(path string, info fs.FileInfo, depth int) bool {
	for _, pattern := range s.ignore {
		if loader.GlobExcludeName(pattern, 1)(path, info, depth) {
			return true
		}
	}
	if info.IsDir() {
		return false
	}
	s.rego(path, depth)
	kind := kindOf(path)
	if kind == others {
		return false
	}
	if s.seen[path] { // named twice
		return true
	}
	data, err := readFile(path, info)
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", path, err))
		return true
	}
	switch {
	case kind == fixtures:
		file, err := fixture.Parse(path, data)
		if s.errs = append(s.errs, err); err == nil {
			s.into.fixtures = append(s.into.fixtures, file)
		}
	case holdsResources(data):
		s.into.manifests = append(s.into.manifests, fixture.Manifest{Origin: path, Text: string(data)})
	default:
		if likeFixture.Match(data) {
			s.into.warnings = append(s.into.warnings, path+": got cases in a file that is not called *_test.yaml: it is data, and tests nothing")
		}
		return false
	}
	s.seen[path] = true
	return true
}

// rego keeps what is OPA's and the engine's as well: policies in Rego and their data
// documents, as --policy takes them. OPA takes a file once for each place, too.
func (s *sorter) rego(path string, depth int) {
	at := s.at(path, depth)
	place := strings.Join(append([]string{path}, at...), "\x00")
	inside := append(slices.Clone(at), filepath.Base(path))
	if s.placed[place] || depth > 0 && slices.ContainsFunc(inside, sources.Hidden) {
		return
	}
	s.placed[place] = true
	switch sources.KindOf(filepath.Base(path)) {
	case sources.Policy:
		s.into.rego.Rego = append(s.into.rego.Rego, path)
	case sources.Data:
		s.into.rego.Data = append(s.into.rego.Data, sources.Document{Path: path, At: at})
	}
}

// at is the place of a file below the directory that was named. In bundles OPA counts the
// depth of the whole path.
func (s *sorter) at(path string, depth int) []string {
	for _, root := range s.bundles {
		if below, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(below) {
			depth = 1 + strings.Count(filepath.ToSlash(below), "/")
			break
		}
	}
	if depth <= 1 {
		return nil
	}
	all := strings.Split(filepath.ToSlash(filepath.Dir(path)), "/")
	return all[len(all)-(depth-1):]
}

// The kinds of files, by their names.
const (
	others = iota
	fixtures
	documents
)

func kindOf(path string) int {
	switch {
	case fixture.IsFixture(path):
		return fixtures
	case slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
		return documents
	}
	return others
}

// readFile reads no more than a fixture may have; more than that can only be data.
func readFile(path string, info fs.FileInfo) ([]byte, error) {
	if info.Size() > fixture.MaxBytes {
		if kindOf(path) == documents {
			return nil, nil
		}
		return nil, fmt.Errorf("got %d bytes, want at most %d", info.Size(), fixture.MaxBytes)
	}
	return os.ReadFile(path)
}

// likeFixture is what fixtures have, in YAML and in JSON.
var likeFixture = regexp.MustCompile(`(?s)(?:^|\n|\{)\s*"?cases"?\s*:.*\bwant"?\s*:\s*"?(?:allowed|denied)`)

// holdsResources reports whether one of the documents is a resource that policies
// are made of. Data may have a kind, too.
func holdsResources(data []byte) bool {
	text := string(data)
	if !slices.ContainsFunc(append(resourceKinds(), sigstoreGroup, ownGroup), func(word string) bool { return strings.Contains(text, word) }) {
		return false
	}
	return slices.ContainsFunc(strict.Locate(data).Resources(), func(r strict.Resource) bool {
		return slices.Contains(resourceKinds(), r.Kind) && r.Name != "" || strings.HasPrefix(r.APIVersion, sigstoreGroup) || strings.HasPrefix(r.APIVersion, ownGroup)
	})
}

// The groups of policies: what is in them is no data, whatever is wrong with it.
const (
	sigstoreGroup = "policy.sigstore.dev/"
	ownGroup      = resource.Group + "/"
)

func resourceKinds() []string {
	return []string{"ClusterImagePolicy", "TrustRoot", "Secret", "ConfigMap"}
}
