package resource_test

import (
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
)

func TestSourcesOutsideOfWhatIsAllowed(t *testing.T) {
	t.Parallel()
	allowed := func(texts ...string) (out []string) {
		for _, text := range texts {
			prefix, err := resource.ParseSourcePrefix(text)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, prefix)
		}
		return out
	}
	all := allowed("ghcr.io", "registry.example:5000/signatures", "docker.io/acme")
	for _, tt := range []struct {
		name, oci string
		allowed   []string
		outside   bool
	}{
		{"none is the image's own", "", nil, false},
		{"nothing is allowed", "ghcr.io/acme/sigs", nil, true},
		{"a host", "ghcr.io/acme/sigs", all, false},
		{"a repository", "registry.example:5000/signatures", all, false},
		{"below it", "registry.example:5000/signatures/app", all, false},
		{"one that begins alike", "registry.example:5000/signatures-of-mine", all, true},
		{"above it", "registry.example:5000/other", all, true},
		{"another port", "registry.example/signatures", all, true},
		{"a host that begins alike", "ghcr.io.evil.example/acme/sigs", all, true},
		{"Docker Hub by its other name", "index.docker.io/acme/sigs", all, false},
		{"Docker Hub, another's", "index.docker.io/evil/sigs", all, true},
		{"a registry alone, which is a repository of Docker Hub", "ghcr.io", all, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source := "{oci: '" + tt.oci + "'}"
			docs, err := cip.Parse([]byte("apiVersion: policy.assay.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: own, namespace: team-a}\n" +
				"spec: {images: [{glob: '**'}], authorities: [{key: {secretRef: {name: k}}, source: [" + source + "]}]}"))
			if err != nil {
				t.Fatal(err)
			}
			got := resource.Outside(docs.Policies[0], tt.allowed)
			if (len(got) > 0) != tt.outside || tt.outside && !strings.Contains(got["spec.authorities[0]"], "source[0].oci: got "+tt.oci) {
				t.Errorf("got %q, want it outside: %t", got, tt.outside)
			}
			cluster := docs.Policies[0]
			cluster.Namespace = ""
			if got := resource.Outside(cluster, nil); len(got) > 0 {
				t.Errorf("a ClusterImagePolicy: got %q, want nothing outside", got)
			}
		})
	}
	for _, text := range []string{"", "acme", "acme/sigs", "https://ghcr.io", "ghcr.io/", "ghcr.io/UPPER", "ghcr.io/*", "*.ghcr.io"} {
		if got, err := resource.ParseSourcePrefix(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}
