package sigstore

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// layout is the evidence in an OCI layout, by the kinds that index.json gives.
type layout struct {
	name                              string
	signatures, attestations, bundles []Layer
}

func readLayout(t testing.TB, root, name string) layout {
	t.Helper()
	dir := filepath.Join(root, name)
	var index struct{ Manifests []listed }
	readInto(t, &index, dir, "index.json")
	out := layout{name: name}
	for _, m := range index.Manifests {
		layers := manifestLayers(t, dir, m.Digest)
		switch m.Annotations["kind"] {
		case "dev.cosignproject.cosign/sigs":
			out.signatures = append(out.signatures, layers...)
		case "dev.cosignproject.cosign/atts":
			out.attestations = append(out.attestations, layers...)
		case "dev.sigstore.bundle":
			out.bundles = append(out.bundles, layers...)
		}
	}
	return out
}

// manifestLayers leaves out layers whose blob is not there.
func manifestLayers(t testing.TB, dir, digest string) []Layer {
	t.Helper()
	file := func(digest string) string { return filepath.Join(dir, "blobs", strings.Replace(digest, ":", "/", 1)) }
	var manifest struct{ Layers []listed }
	data, err := os.ReadFile(file(digest))
	if err != nil || json.Unmarshal(data, &manifest) != nil {
		return nil
	}
	var out []Layer
	for _, l := range manifest.Layers {
		if content, err := os.ReadFile(file(l.Digest)); err == nil {
			out = append(out, Layer{Annotations: l.Annotations, Content: content})
		}
	}
	return out
}

// allLayouts are the layouts below the folder of images.
func allLayouts(t testing.TB, root string) []layout {
	t.Helper()
	var out []layout
	for _, pattern := range []string{"*", "*/*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern, "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			name, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, readLayout(t, root, name))
		}
	}
	return out
}

// pemChain is the PEM of several files.
func pemChain(t testing.TB, files ...string) []byte {
	t.Helper()
	var out []byte
	for _, file := range files {
		data := readFile(t, file)
		if _, err := cryptoutils.UnmarshalCertificatesFromPEM(data); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(append(out, data...), '\n')
	}
	return out
}
