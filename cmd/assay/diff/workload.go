// Package diff is assay diff: which workloads two policy sets judge differently, and
// why.
//
// A workload is a recorded decision, which both sets judge from its evidence with no
// network, or a manifest, for which both ask the registries as verify does. What a
// capsule has no answer to makes the outcome unknown, never allowed.
package diff

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip/strict"
)

// workload is something that both sets judge.
type workload struct {
	name string
	// Either of the two.
	capsule *capsule.Capsule
	review  []byte
}

// The bounds of manifests.
const (
	mostManifestBytes = 16 << 20
	mostWorkloads     = 10_000
)

// found are the files that paths name: a directory stands for the manifests and capsules
// in it and below, but for what begins with a dot. Links to files are read; links to
// directories are not, since they may lead in a circle, and told.
func found(paths []string, warnings io.Writer) ([]string, error) {
	var out []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, path)
			continue
		}
		root := filepath.Clean(path) + string(filepath.Separator) // which may be a link
		err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil || file == root:
				return err
			case sources.Hidden(entry.Name()) && entry.IsDir():
				return fs.SkipDir
			case sources.Hidden(entry.Name()):
				return nil
			}
			kept, err := holds(file, entry, warnings)
			if kept {
				out = append(out, file)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, errors.New("got no capsules and no manifests in the directories, want at least one")
	}
	if len(out) > mostWorkloads {
		return nil, fmt.Errorf("got %d files, want at most %d", len(out), mostWorkloads)
	}
	return out, nil
}

// holds says whether a file of a directory is one to read, also through a link. One that
// leads nowhere may have led to a workload.
func holds(file string, entry fs.DirEntry, warnings io.Writer) (bool, error) {
	if entry.Type()&fs.ModeSymlink == 0 {
		return entry.Type().IsRegular() && hasWorkloads(file), nil
	}
	info, err := os.Stat(file)
	switch {
	case err != nil && hasWorkloads(file):
		return false, err
	case err != nil:
		return false, nil
	case info.IsDir():
		fmt.Fprintf(warnings, "warning: %s: got a link to a directory, which is not read: name it as well\n", plain.Line(file))
	}
	return info.Mode().IsRegular() && hasWorkloads(file), nil
}

func hasWorkloads(file string) bool {
	return !capsule.Unfinished(file) && (strings.HasSuffix(file, capsule.Extension) || slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file)))
}

// isCapsule looks at the name and, where that says nothing, at the content.
func isCapsule(file string) bool {
	if strings.HasSuffix(file, capsule.Extension) {
		return true
	}
	f, err := os.Open(file)
	if err != nil {
		return false // reading it says why
	}
	defer func() { _ = f.Close() }()
	beginning, err := io.ReadAll(io.LimitReader(f, 512))
	return err == nil && capsule.Is(beginning)
}

// workloads reads those of one file.
func workloads(file string, review func(manifest []byte) ([]byte, error)) ([]workload, error) {
	if isCapsule(file) {
		c, _, err := capsule.Open(file)
		if err != nil {
			return nil, err
		}
		return []workload{{name: nameOf(c.Review, file), capsule: c}}, nil
	}
	text, err := sources.Read(file, mostManifestBytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	out, err := manifests(text, file, review)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return out, nil
}

// manifests are those of a stream of YAML documents, the items of Lists each by itself.
func manifests(text []byte, file string, review func([]byte) ([]byte, error)) ([]workload, error) {
	documents, err := strict.Documents(text)
	if err != nil {
		return nil, err
	}
	var out []workload
	for i, document := range documents {
		var list struct {
			Kind  string
			Items []json.RawMessage
		}
		objects := []json.RawMessage{document}
		if json.Unmarshal(document, &list) == nil && strings.HasSuffix(list.Kind, "List") && list.Items != nil {
			objects = list.Items
		}
		for _, object := range objects {
			made, err := review(object)
			if err != nil {
				return nil, fmt.Errorf("document %d: %w", i, err)
			}
			out = append(out, workload{name: nameOf(made, file), review: made})
		}
	}
	return out, nil
}

// nameOf is what people call the object of a review: kind, namespace and name, and the
// file that it is in.
func nameOf(review []byte, file string) string {
	var in struct {
		Request struct {
			Namespace, Name string
			Kind            struct{ Kind string }
			Object          struct {
				Metadata struct{ Namespace, Name, GenerateName string }
			}
		}
	}
	_ = json.Unmarshal(review, &in) // what cannot be read has no name
	object := in.Request.Object.Metadata
	name := cmp.Or(in.Request.Name, object.Name, object.GenerateName)
	if namespace := cmp.Or(in.Request.Namespace, object.Namespace); namespace != "" {
		name = namespace + "/" + name
	}
	return strings.TrimSpace(in.Request.Kind.Kind+" "+name) + " (" + file + ")"
}

// Judgment is what one set says of a workload.
type Judgment struct {
	// Verdict is allowed, denied, unknown or undecided.
	Verdict string `json:"verdict"`
	// Reasons and Warnings are those of the decision, NotRecorded what a capsule lacks,
	// Unanswered why a registry gave no answer, Error why there is no decision.
	Reasons     []string `json:"reasons,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
	NotRecorded []string `json:"not_recorded,omitempty"`
	Unanswered  []string `json:"unanswered,omitempty"`
	Error       string   `json:"error,omitempty"`
	patch       []byte
}

// decided reports whether it says anything of the workload. What is unknown, or without a
// decision for the same reason twice, may be anything once there is one.
func (j Judgment) decided() bool { return j.Verdict == "allowed" || j.Verdict == "denied" }

func judgment(decision rego.Decision, err error, notRecorded []string) Judgment {
	out := Judgment{Verdict: "denied", Reasons: decision.Reasons, Warnings: decision.Warnings, NotRecorded: notRecorded}
	out.patch, _ = json.Marshal(decision.Patch)
	if err == nil && !decision.Allowed {
		out.Unanswered = recording.Unanswered(decision)
	}
	switch {
	case len(notRecorded) > 0 || len(out.Unanswered) > 0:
		// Not even a denial: with the evidence it might be an admission.
		out.Verdict = "unknown"
	case err != nil:
		out.Verdict, out.Error = "undecided", err.Error()
	case decision.Allowed:
		out.Verdict = "allowed"
	}
	return out
}

// Judge is one of the two sets.
type Judge struct {
	// Live judges a review, Recorded a capsule.
	Live     func(ctx context.Context, review []byte) (rego.Decision, error)
	Recorded func(ctx context.Context, c *capsule.Capsule) (decision rego.Decision, notRecorded []string, failure, err error)
}

func (j Judge) judge(ctx context.Context, w workload) (Judgment, error) {
	if w.capsule == nil {
		decision, err := j.Live(ctx, w.review)
		return judgment(decision, err, nil), nil
	}
	decision, notRecorded, failure, err := j.Recorded(ctx, w.capsule)
	return judgment(decision, failure, notRecorded), err
}

// Change is a workload that the two sets judge differently.
type Change struct {
	Workload string   `json:"workload"`
	Old      Judgment `json:"old"`
	New      Judgment `json:"new"`
}

// differs reports whether anything that a user would notice is different.
func (c Change) differs() bool {
	return c.Old.Verdict != c.New.Verdict || !c.New.decided() || c.Old.Error != c.New.Error ||
		!slices.Equal(c.Old.Reasons, c.New.Reasons) || !slices.Equal(c.Old.Warnings, c.New.Warnings) ||
		!bytes.Equal(c.Old.patch, c.New.patch)
}

// without are the texts of one list that the other has not.
func without(texts, others []string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return slices.Contains(others, text) })
}
