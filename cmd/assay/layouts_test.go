package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// conformanceData is the folder of real material, or the test is skipped.
func conformanceData(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if dir == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: the real material is not here")
	}
	return dir
}

// layouts is a read-only registry over OCI layouts: a layout is a repository of
// its name. Tags are made of what index.json says.
type layouts struct {
	root string // the folder of layouts

	mu       sync.Mutex
	requests []string
}

// serveLayouts serves the layouts below the folder on loopback.
func serveLayouts(t *testing.T, root string) (host string, l *layouts) {
	t.Helper()
	l = &layouts{root: root}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), l
}

func (l *layouts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.requests = append(l.requests, r.Method+" "+r.URL.Path)
	l.mu.Unlock()
	if r.URL.Path == "/v2/" {
		return
	}
	for _, kind := range []string{"manifests", "blobs", "referrers"} {
		repo, name, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/"+kind+"/")
		if !ok {
			continue
		}
		dir, ok := l.layout(repo)
		if !ok {
			break
		}
		l.serve(w, r, dir, kind, name)
		return
	}
	http.NotFound(w, r)
}

// layout finds the folder of a repository: layouts stand beside each other and
// in derived, referrers and generated.
func (l *layouts) layout(repo string) (string, bool) {
	for _, below := range []string{"", "derived", "referrers", "generated"} {
		dir := filepath.Join(l.root, below, repo)
		if _, err := os.Stat(filepath.Join(dir, "index.json")); err == nil {
			return dir, true
		}
	}
	return "", false
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

func (l *layouts) serve(w http.ResponseWriter, r *http.Request, dir, kind, name string) {
	var index struct{ Manifests []descriptor }
	if err := readJSON(filepath.Join(dir, "index.json"), &index); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	switch kind {
	case "referrers":
		serveReferrers(w, dir, name, index.Manifests)
		return
	case "manifests":
		for _, d := range index.Manifests {
			if d.Digest == name || tagOf(d, index.Manifests) == name {
				w.Header().Set("Content-Type", d.MediaType)
				name = d.Digest
			}
		}
	}
	algorithm, hex, ok := strings.Cut(name, ":")
	if !ok {
		http.NotFound(w, r)
		return
	}
	http.ServeFile(w, r, filepath.Join(dir, "blobs", algorithm, hex))
}

// tagOf is the tag under which an entry of a layout is found in a registry.
func tagOf(d descriptor, all []descriptor) string {
	suffix := map[string]string{"dev.cosignproject.cosign/sigs": ".sig", "dev.cosignproject.cosign/atts": ".att"}[d.Annotations["kind"]]
	if tag := d.Annotations["org.opencontainers.image.ref.name"]; tag != "" || suffix == "" {
		return tag
	}
	for _, image := range all {
		if strings.HasPrefix(image.Annotations["kind"], "dev.cosignproject.cosign/image") {
			return strings.Replace(image.Digest, ":", "-", 1) + suffix
		}
	}
	return ""
}

func serveReferrers(w http.ResponseWriter, dir, subject string, all []descriptor) {
	found := []descriptor{}
	for _, d := range all {
		var manifest struct {
			ArtifactType string
			Subject      *descriptor
		}
		file := filepath.Join(dir, "blobs", strings.Replace(d.Digest, ":", "/", 1))
		if readJSON(file, &manifest) == nil && manifest.Subject != nil && manifest.Subject.Digest == subject {
			found = append(found, descriptor{
				MediaType: d.MediaType, Digest: d.Digest, Size: d.Size,
				ArtifactType: manifest.ArtifactType, Annotations: d.Annotations,
			})
		}
	}
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found,
	})
}

func readJSON(file string, into any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
