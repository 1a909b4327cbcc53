package assay_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

// documents are the Markdown files of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func readDocuments(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range documents(t) {
		all.WriteString(read(t, path))
	}
	return all.String()
}

// anchors are the names by which a page's headings are linked.
func anchors(text string) []string {
	var out []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := strings.ReplaceAll(strings.ToLower(heading[1]), " ", "-")
		out = append(out, regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(name, ""))
	}
	return out
}

func TestDocsLinksResolve(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, path := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(found[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link to %s: %v", path, found[1], err)
			} else if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s: link to %s: got no such heading", path, found[1])
			}
		}
	}
}

// blocks are the fenced blocks of a language.
func blocks(text, language string) []string {
	var out []string
	for _, found := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		out = append(out, found[1])
	}
	return out
}

// commands are what the console blocks of a page tell a reader to type.
func commands(text string) []string {
	var out []string
	for _, block := range blocks(text, "console") {
		for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", "")) {
			if typed, ok := strings.CutPrefix(strings.TrimSpace(line), "$ "); ok {
				out = append(out, typed)
			}
		}
	}
	return out
}

func TestDocsConsoleBlocksCanBeTyped(t *testing.T) {
	t.Parallel()
	texts := helpTexts(t)
	program := regexp.MustCompile(`^(?:(?:\./)?bin/)?assay |^go run \./cmd/assay `)
	for _, path := range documents(t) {
		makefile := makefileOf(t, path)
		for _, typed := range commands(read(t, path)) {
			words := strings.Fields(typed)
			if words[0] == "make" && len(words) > 1 && !strings.Contains(makefile, "\n"+words[1]+":") {
				t.Errorf("%s: make %s: got no such target", path, words[1])
			}
			if start := program.FindString(typed); start != "" {
				checkCommand(t, path, texts, typed[len(start):])
			}
		}
	}
}

// makefileOf is the one that a page speaks of: that of the repository which it belongs
// to, or has the reader make, or else the project's.
func makefileOf(t *testing.T, page string) string {
	t.Helper()
	const started = "cmd/assay/start/repository"
	if filepath.Dir(page) == started || strings.Contains(read(t, page), "\n$ assay init ") {
		return read(t, filepath.Join(started, "Makefile"))
	}
	return read(t, "Makefile")
}

// checkCommand wants the command and every flag of a line that starts the program.
func checkCommand(t *testing.T, path string, texts map[string]string, line string) {
	t.Helper()
	command, _, _ := strings.Cut(line, " ")
	help, ok := texts[command]
	if !ok {
		t.Errorf("%s: assay %s: got no such command", path, command)
	}
	for _, flag := range flagPattern.FindAllString(line, -1) {
		if !slices.Contains(flagsOf(help), flag) {
			t.Errorf("%s: assay %s: got no flag %s", path, command, flag)
		}
	}
}

// TestDocsManifestsAreValid compiles every ClusterImagePolicy, and holds webhook
// configurations to the API.
func TestDocsManifestsAreValid(t *testing.T) {
	t.Parallel()
	policies, separator := 0, regexp.MustCompile(`(?m)^---\n`)
	for _, path := range documents(t) {
		for _, document := range separator.Split(strings.Join(blocks(read(t, path), "yaml"), "---\n"), -1) {
			if strings.Contains(document, "kind: ClusterImagePolicy\n") {
				policies++
			}
			if err := checkManifest(document); err != nil {
				t.Errorf("%s: %v\n%s", path, err, document)
			}
		}
	}
	if policies < 5 {
		t.Errorf("got %d policies in the documents, want those of docs/write-a-policy.md", policies)
	}
}

func checkManifest(document string) error {
	switch {
	case strings.Contains(document, "kind: ClusterImagePolicy\n"):
		parsed, err := cip.Parse([]byte(document))
		if err != nil {
			return err
		}
		text, err := rego.Modules(context.Background(), parsed.Policies)
		if err == nil && len(text.Warnings) > 0 {
			err = errors.New(strings.Join(text.Warnings, "\n"))
		}
		return err
	case strings.Contains(document, "kind: MutatingWebhookConfiguration\n"):
		return yaml.UnmarshalStrict([]byte(document), &admissionregistrationv1.MutatingWebhookConfiguration{})
	case strings.Contains(document, "kind: ValidatingWebhookConfiguration\n"):
		return yaml.UnmarshalStrict([]byte(document), &admissionregistrationv1.ValidatingWebhookConfiguration{})
	}
	return nil
}
