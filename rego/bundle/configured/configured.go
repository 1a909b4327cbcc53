// Package configured is what a configuration of OPA says of bundles: its file, and the sources in
// it, also of one that discovery brought. What becomes of them is for others to decide.
//
// This package knows texts. It opens no connection, and no file but that of the configuration.
package configured

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/open-policy-agent/opa/v1/config"
	"github.com/open-policy-agent/opa/v1/util"
)

// mostConfig bounds a configuration file.
const mostConfig = 1 << 20

// Read reads an OPA configuration file, in which ${NAME} stands for a variable of the
// environment, as it does for OPA.
func Read(file string, env func(string) string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, mostConfig+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(text) > mostConfig {
		return nil, fmt.Errorf("%s: got more than %d bytes", file, mostConfig)
	}
	text = regexp.MustCompile(`\$\{[^{}]+\}`).ReplaceAllFunc(text, func(name []byte) []byte {
		return []byte(env(strings.TrimSpace(string(name[2 : len(name)-1]))))
	})
	var tree map[string]any
	if err := util.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := exact(file, tree, ofFile()); err != nil {
		return nil, err
	}
	if _, legacy := tree["bundle"]; legacy {
		return nil, fmt.Errorf("%s: bundle: got the form for one bundle, which OPA deprecates, want bundles", file)
	}
	return text, nil
}

// Ignored are the keys of a configuration that are for OPA's own server, and have no effect.
func Ignored(text []byte) (out []string) {
	var tree map[string]any
	if util.Unmarshal(text, &tree) != nil {
		return nil
	}
	for _, name := range []string{"default_authorization_decision", "distributed_tracing", "server", "storage"} {
		if _, has := tree[name]; has {
			out = append(out, name)
		}
	}
	return out
}

// Candidate is a configuration with one bundle from another resource, and nothing but bundles:
// what it brings is tried, and told to nobody.
func Candidate(text []byte, name, resource string) ([]byte, error) {
	var tree map[string]any
	if err := util.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	bundles, _ := tree["bundles"].(map[string]any)
	of, ok := bundles[name].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("bundles.%s: got none, want the bundle that there is a candidate for", name)
	}
	of["resource"] = resource
	for _, bundle := range bundles {
		if block, ok := bundle.(map[string]any); ok {
			delete(block, "persist")
		}
	}
	for _, key := range []string{"discovery", "decision_logs", "status", "plugins"} {
		delete(tree, key)
	}
	return json.Marshal(tree)
}

// PersistenceDirectory is where a configuration has what outlives the process. It is absolute:
// the URL of a file has no place for another.
func PersistenceDirectory(text []byte) (string, error) {
	parsed, err := config.ParseConfig(text, "")
	if err != nil {
		return "", err
	}
	directory, err := parsed.GetPersistenceDirectory()
	if err != nil {
		return "", err
	}
	return filepath.Abs(directory)
}
