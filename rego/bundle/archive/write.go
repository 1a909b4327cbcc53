package archive

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Set names the content: the SHA-256 of a JSON object with the SHA-256 of each file by its
// path, the roots and the versions of Rego. Revision, metadata and signature are no part of it.
func (a *Archive) Set() string {
	files := map[string]string{}
	for name, text := range a.Files {
		sum := sha256.Sum256(text)
		files[name] = hex.EncodeToString(sum[:])
	}
	content := struct {
		Files            map[string]string `json:"files"`
		Roots            []string          `json:"roots"`
		RegoVersion      *int              `json:"rego_version,omitempty"`
		FileRegoVersions map[string]int    `json:"file_rego_versions,omitempty"`
	}{Files: files, RegoVersion: a.Manifest.RegoVersion, FileRegoVersions: a.Manifest.FileRegoVersions}
	if a.Manifest.Roots != nil {
		content.Roots = slices.Sorted(slices.Values(*a.Manifest.Roots))
	}
	text, err := json.Marshal(content)
	if err != nil {
		panic("texts and numbers have JSON: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// encoded are the files as they are written, but for the signature.
func (a *Archive) encoded() (map[string][]byte, error) {
	manifest := a.Manifest
	if a.About.Format != "" {
		about := a.About
		about.Set = a.Set()
		about.Requires.Builtins = append([]string{}, about.Requires.Builtins...) // never null
		manifest.Metadata = map[string]any{}
		maps.Copy(manifest.Metadata, a.Manifest.Metadata)
		manifest.Metadata["assay"] = about
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, err)
	}
	out := maps.Clone(a.Files)
	if out == nil {
		out = map[string][]byte{}
	}
	out[manifestFile] = append(text, '\n')
	return out, nil
}

// Write writes a bundle that [Read] reads, with the set that its content has. The same
// content is the same bytes: paths are sorted, and there is no time, owner or mode that
// differs. It refuses what Read would.
func Write(w io.Writer, a *Archive) error {
	files, err := a.encoded()
	if err != nil {
		return err
	}
	if a.Signed {
		text, err := json.Marshal(a.signatures)
		if err != nil {
			return fmt.Errorf("%s: %w", signaturesFile, err)
		}
		files[signaturesFile] = append(text, '\n')
	}
	for name := range files {
		if err := check(name); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	if _, err := assemble(files, nil); err != nil {
		return err
	}
	return pack(w, files)
}

func pack(w io.Writer, files map[string][]byte) error {
	compressed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(files[name])), Mode: 0o644}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		if _, err := archive.Write(files[name]); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}
